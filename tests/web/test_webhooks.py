"""The pages of webhooks and of what was sent to them."""

import html
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db.models.functions import Now
from django.test import Client

from accounts.models import AuditEvent, Role, User, Workspace
from jobs.delivering import messages_deliver
from jobs.models import MessageState, WebhookEndpoint, WebhookMessage
from tests.fakes.receiver import DOWN, OK, Receiver, receiver
from tests.jobs.webhook_steps import make_endpoint, write
from tests.makers import make_member, make_workspace
from tests.races import together
from tests.web.conftest import sign_in
from tests.web.html import Page

pytestmark = pytest.mark.django_db
SECRET = re.compile(r"whsec_[A-Za-z0-9+/=]{20,}")


@pytest.fixture
def server(settings: Any) -> Iterator[Receiver]:
    with receiver(settings) as server:
        yield server


@pytest.fixture
def studio(person: User) -> Workspace:
    return Workspace.objects.get()


def new(client: Client, url: str, **values: Any) -> Any:
    body = {"once": str(uuid4()), "url": url, "wanted": "all", **values}
    return client.post("/app/webhooks/new", body)


def secret_in(response: Any) -> str:
    assert "no-store" in response["Cache-Control"]
    found = SECRET.findall(html.unescape(response.content.decode()))
    assert len(found) == 1
    return str(found[0])


def page_of(client: Client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200
    text = response.content.decode()
    assert Page(text).problems() == []
    assert not SECRET.search(text)
    return text


def test_a_webhook_is_made_tested_and_read(signed_in: Client, studio: Workspace, server: Receiver):
    assert "No webhooks yet" in page_of(signed_in, "/app/webhooks")
    page_of(signed_in, "/app/webhooks/new")
    response = new(signed_in, f"{server.url}/in", wanted="some", events=["job.succeeded"])
    secret = secret_in(response)
    assert Page(response.content.decode()).problems() == []
    endpoint = WebhookEndpoint.objects.get()
    assert endpoint.events == ["job.succeeded"]
    path = f"/app/webhooks/{endpoint.uuid}"
    assert "Nothing has been sent yet." in page_of(signed_in, path)

    there = signed_in.post(f"{path}/test")["Location"]
    waiting = page_of(signed_in, there)
    assert 'hx-trigger="every 2s"' in waiting
    messages_deliver()
    assert server.received[0].verify(secret)["type"] == "webhook.test"
    text = page_of(signed_in, there)
    assert "hx-trigger" not in text
    for words in ("Delivered", "Try 1", "thanks", "webhook.test", str(server.received[0].id)):
        assert words in text
    assert "100.0 %" in page_of(signed_in, path)
    assert "100.0 %" in page_of(signed_in, "/app/webhooks")
    assert "webhook.test" in page_of(signed_in, "/app/webhooks/messages")

    assert signed_in.post(f"{there}/resend").status_code == 302
    messages_deliver()
    assert [one.id for one in server.received] == [server.received[0].id] * 2


def test_an_address_that_cannot_be_used_is_said_beside_it(signed_in: Client, studio: Workspace):
    for body in ({"url": "http://127.0.0.1/"}, {"url": ""}, {"wanted": "some"}):
        response = new(signed_in, **{"url": "https://example.org/", **body})
        assert response.status_code == 400
        assert Page(response.content.decode()).problems() == []
        assert 'class="errorlist' in response.content.decode()
    assert not WebhookEndpoint.objects.exists()


def test_what_failed_says_why_and_is_sent_again(
    signed_in: Client, studio: Workspace, server: Receiver
):
    endpoint, _ = make_endpoint(studio, server.url)
    server.answer = DOWN
    messages = write(studio, server.url, endpoint=endpoint, count=3)
    messages_deliver()
    page = page_of(signed_in, f"/app/webhooks/messages/{messages[0].uuid}")
    for words in ("500", "It answered with an error.", "oops", "next try", "Send again"):
        assert words in page
    assert "Nothing has arrived since" in page_of(signed_in, f"/app/webhooks/{endpoint.uuid}")

    WebhookMessage.objects.update(state=MessageState.FAILED, finished_at=Now())
    old = WebhookMessage.objects.filter(pk=messages[0].pk)
    old.update(created_at=Now() - timedelta(hours=2))
    failed = page_of(signed_in, f"/app/webhooks/{endpoint.uuid}?state=failed")
    assert failed.count('href="/app/webhooks/messages/') == 3
    assert "No deliveries in this state." in page_of(
        signed_in, f"/app/webhooks/{endpoint.uuid}?state=delivered"
    )
    server.answer = OK
    page_of(signed_in, f"/app/webhooks/{endpoint.uuid}/resend")
    response = signed_in.post(f"/app/webhooks/{endpoint.uuid}/resend", {"since": "1"}, follow=True)
    assert "2 deliveries are sent again." in response.content.decode()
    messages_deliver()
    states = WebhookMessage.objects.order_by("pk").values_list("state", flat=True)
    assert list(states) == ["failed", "delivered", "delivered"]
    assert old.get().attempts == 1


def test_a_webhook_is_changed_disabled_enabled_and_deleted(
    signed_in: Client, studio: Workspace, server: Receiver
):
    endpoint, _ = make_endpoint(studio, server.url)
    write(studio, server.url, endpoint=endpoint)
    path = f"/app/webhooks/{endpoint.uuid}"
    page_of(signed_in, f"{path}/edit")
    body = {"url": f"{server.url}/new", "wanted": "some", "events": ["job.failed"]}
    assert signed_in.post(f"{path}/edit", body).status_code == 302
    endpoint.refresh_from_db()
    assert (endpoint.url, endpoint.events) == (f"{server.url}/new", ["job.failed"])

    page_of(signed_in, f"{path}/disable")
    endpoint.refresh_from_db()
    assert endpoint.is_enabled
    signed_in.post(f"{path}/disable", {"sure": "yes"})
    text = page_of(signed_in, path)
    assert "by a member" in text
    assert "Send a test event" not in text
    assert WebhookMessage.objects.get().state == MessageState.FAILED
    for act in ("test", "resend"):
        assert signed_in.post(f"{path}/{act}", {"since": "24"}).status_code == 409
    resend = f"/app/webhooks/messages/{WebhookMessage.objects.get().uuid}/resend"
    assert signed_in.post(resend).status_code == 409
    WebhookEndpoint.objects.update(disabled_reason="It answered 410 Gone.")
    assert "It answered 410 Gone." in page_of(signed_in, path)
    signed_in.post(f"{path}/enable")
    endpoint.refresh_from_db()
    assert endpoint.is_enabled

    page_of(signed_in, f"{path}/delete")
    assert signed_in.post(f"{path}/delete", {"sure": "yes"}).status_code == 302
    assert signed_in.get(path).status_code == 404
    # The log stays.
    page_of(signed_in, resend.removesuffix("/resend"))
    actions = set(AuditEvent.objects.values_list("action", flat=True))
    assert {"webhook.updated", "webhook.deleted"} <= actions


def test_secrets_are_rolled_and_both_sign(signed_in: Client, studio: Workspace, server: Receiver):
    endpoint, old = make_endpoint(studio, server.url)
    path = f"/app/webhooks/{endpoint.uuid}"
    page_of(signed_in, f"{path}/roll")
    body = {"once": str(uuid4()), "overlap": "24"}
    new_secret = secret_in(signed_in.post(f"{path}/roll", body))
    # A reload must not push the first one out.
    assert signed_in.post(f"{path}/roll", body).status_code == 409
    assert "signs, too, until" in page_of(signed_in, path)
    signed_in.post(f"{path}/test")
    messages_deliver()
    for secret in (old, new_secret):
        assert server.received[0].verify(secret)


def test_the_callback_secret_is_shown_by_post_and_rolled(signed_in: Client, studio: Workspace):
    assert signed_in.get("/app/webhooks/callback-secret").status_code == 405
    shown = secret_in(signed_in.post("/app/webhooks/callback-secret"))
    assert secret_in(signed_in.post("/app/webhooks/callback-secret")) == shown
    page_of(signed_in, "/app/webhooks/callback-secret/roll")
    body = {"once": str(uuid4()), "overlap": "0"}
    rolled = secret_in(signed_in.post("/app/webhooks/callback-secret/roll", body))
    assert rolled != shown
    assert secret_in(signed_in.post("/app/webhooks/callback-secret")) == rolled
    assert AuditEvent.objects.filter(action="callback_secret.rolled").count() == 1


@pytest.mark.parametrize("language", ["python", "javascript"])
def test_the_snippets_check_signatures(
    language: str, signed_in: Client, studio: Workspace, server: Receiver, tmp_path: Any
):
    endpoint, secret = make_endpoint(studio, server.url)
    page = page_of(signed_in, f"/app/webhooks/{endpoint.uuid}")
    found = re.search(rf'data-language="{language}">(.*?)</pre>', page, re.S)
    assert found
    code = html.unescape(found[1])
    signed_in.post(f"/app/webhooks/{endpoint.uuid}/test")
    messages_deliver()
    one = server.received[0]
    if language == "python":
        names: dict[str, Any] = {}
        exec(code, names)
        assert names["verify"](one.content, one.headers, secret) == one.body
        assert names["verify"](one.content + b" ", one.headers, secret) is None
        return
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no Node.js")
    values = json.dumps([one.content.decode(), one.headers, secret])
    script = tmp_path / "check.mjs"
    script.write_text(
        f"{code}\nconst [body, headers, secret] = {values};\n"
        "console.log(JSON.stringify([verify(body, headers, secret),"
        ' verify(body + " ", headers, secret)]));'
    )
    done = subprocess.run([node, script], capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(done.stdout) == [one.body, None]


def test_a_stranger_finds_neither_webhook_nor_delivery(
    signed_in: Client, person: User, server: Receiver
):
    other = make_workspace("Other", credits=0)
    endpoint, _ = make_endpoint(other, server.url)
    message = write(other, server.url, endpoint=endpoint)[0]
    path = f"/app/webhooks/{endpoint.uuid}"
    for page in ("", "/edit", "/roll", "/disable", "/delete", "/resend"):
        assert signed_in.get(path + page).status_code == 404
    for act in ("edit", "roll", "disable", "enable", "delete", "resend", "test"):
        body = {"once": str(uuid4()), "overlap": "0", "url": server.url, "wanted": "all"}
        assert signed_in.post(f"{path}/{act}", {**body, "since": "24"}).status_code == 404
    assert signed_in.get(f"/app/webhooks/messages/{message.uuid}").status_code == 404
    assert signed_in.post(f"/app/webhooks/messages/{message.uuid}/resend").status_code == 404
    assert str(message.uuid) not in page_of(signed_in, "/app/webhooks/messages")
    assert str(endpoint.uuid) not in page_of(signed_in, "/app/webhooks")
    assert WebhookEndpoint.objects.get().is_enabled


def test_who_only_looks_changes_nothing(studio: Workspace, server: Receiver):
    endpoint, _ = make_endpoint(studio, server.url)
    write(studio, server.url, endpoint=endpoint)
    make_member(studio, Role.VIEWER, email="bob@example.org")
    client = Client()
    sign_in(client, "bob@example.org")
    text = page_of(client, f"/app/webhooks/{endpoint.uuid}") + page_of(client, "/app/webhooks")
    text += page_of(client, f"/app/webhooks/messages/{WebhookMessage.objects.get().uuid}")
    assert "/app/webhooks/callback-secret" not in text
    for act in ("edit", "roll", "disable", "delete", "resend", "test"):
        assert f"/{act}" not in text
        assert client.post(f"/app/webhooks/{endpoint.uuid}/{act}").status_code == 403
    assert client.post("/app/webhooks/callback-secret").status_code == 403


@pytest.mark.django_db(transaction=True)
def test_two_who_roll_at_once_with_one_form_get_one_secret(person: User, server: Receiver):
    endpoint, _ = make_endpoint(Workspace.objects.get(), server.url)
    body = {"once": str(uuid4()), "overlap": "24"}

    def roll() -> int:
        client = Client()
        client.force_login(person)
        return int(client.post(f"/app/webhooks/{endpoint.uuid}/roll", body).status_code)

    assert sorted(together(3, roll)) == [200, 409, 409]
    assert AuditEvent.objects.filter(action="webhook.rolled").count() == 1
