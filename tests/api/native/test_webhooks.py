"""Webhooks over HTTP."""

import base64
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.db.models.functions import Now
from django.test import Client

from accounts.audit import OPERATOR
from accounts.models import AuditEvent, Workspace
from billing.selectors import wallet_get
from jobs.delivering import messages_deliver
from jobs.models import CallbackSecret, Job, WebhookEndpoint, WebhookMessage
from jobs.outbox import job_ended
from jobs.services import job_cancel
from jobs.webhooks import ENDPOINTS_MAX, endpoint_create
from tests.api.routes import native_routes
from tests.fakes.http import says
from tests.fakes.receiver import OK, Receiver, receiver
from tests.makers import make_asset, make_member, make_token, make_workspace
from tests.races import together

pytestmark = pytest.mark.django_db

URL = "https://hooks.example.org/in"
NOBODYS = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def server(settings: Any) -> Any:
    with receiver(settings) as server:
        yield server


def post(client: Client, path: str, **body: Any) -> Any:
    return client.post(f"/v1/{path}", body, content_type="application/json")


def patch(client: Client, webhook: Any, **body: Any) -> Any:
    return client.patch(f"/v1/webhooks/{webhook}", body, content_type="application/json")


def make(client: Client, **body: Any) -> Any:
    response = post(client, "webhooks", **{"url": URL, **body})
    assert response.status_code == 201
    return response.json()


def refusal(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


def test_a_webhook_and_its_secret_which_is_shown_once(alice_client: Client, alice: Workspace):
    response = post(alice_client, "webhooks", url=URL, events=["job.failed"], description="d")
    body = response.json()
    assert response.headers["Cache-Control"] == "no-store"
    secret = body.pop("secret")
    assert secret.startswith("whsec_")
    assert len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) == 32
    row = WebhookEndpoint.objects.get()
    assert body == {
        "id": str(row.uuid),
        "url": URL,
        "description": "d",
        "events": ["job.failed"],
        "is_enabled": True,
        "disabled_reason": "",
        "disabled_at": None,
        "failing_since": None,
        "old_secret_until": None,
        "created_at": body["created_at"],
    }
    assert alice_client.get(f"/v1/webhooks/{row.uuid}").json() == body
    assert alice_client.get("/v1/webhooks").json()["results"] == [body]
    assert secret not in str(list(WebhookEndpoint.objects.values()))
    assert secret not in str(list(AuditEvent.objects.values()))
    event = AuditEvent.objects.get(action="webhook.created")
    assert (event.target_uuid, event.actor_kind) == (row.uuid, "key")
    # The path of an address is often a secret.
    assert event.data == {"host": "hooks.example.org", "events": ["job.failed"]}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("url", ""),
        ("url", None),
        ("url", "x" * 2001),
        ("events", ["job.started"]),
        ("events", ["webhook.test"]),
        ("events", "job.failed"),
        ("description", "x" * 201),
        ("secret", "whsec_mine"),
    ],
)
def test_it_refuses_what_is_not_right(alice_client: Client, field: str, value: Any):
    response = post(alice_client, "webhooks", **{"url": URL, field: value})
    assert refusal(response) == (400, "validation_failed")
    assert list(response.json()["error"]["fields"]) == [field]
    assert not WebhookEndpoint.objects.exists()


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "https://[::1]/",
        "https://10.0.0.1/",
        "https://2130706433/",
        "https://me:secret@example.org/",
        "ftp://example.org/",
        "https://example.org:22/",
        "javascript:alert(1)",
        "example.org",
    ],
)
def test_it_refuses_addresses_that_it_must_not_reach(
    alice_client: Client, alice: Workspace, tmp_path: Path, url: str
):
    assert refusal(post(alice_client, "webhooks", url=url)) == (422, "address_not_allowed")
    webhook = make(alice_client)
    assert refusal(patch(alice_client, webhook["id"], url=url)) == (422, "address_not_allowed")
    assert WebhookEndpoint.objects.get().url == URL
    order = {"asset": str(make_asset(alice, tmp_path).uuid), "callback_url": url}
    assert refusal(post(alice_client, "jobs", **order)) == (422, "address_not_allowed")
    assert (Job.objects.count(), wallet_get(workspace=alice).held_mcr) == (0, 0)


def test_production_sends_to_https_only(alice_client: Client, settings: Any):
    plain = "http://hooks.example.org"
    webhook = make(alice_client, url=plain)
    settings.PRODUCTION = True
    assert refusal(post(alice_client, "webhooks", url=plain)) == (422, "address_not_allowed")
    assert refusal(patch(alice_client, webhook["id"], url=plain)) == (422, "address_not_allowed")
    make(alice_client, url="HTTPS://hooks.example.org")


def test_a_workspace_has_twenty_at_most(alice_client: Client, alice: Workspace):
    for _ in range(ENDPOINTS_MAX - 1):
        endpoint_create(workspace=alice, actor=OPERATOR, url=URL)
    webhook = make(alice_client)
    assert refusal(post(alice_client, "webhooks", url=URL)) == (409, "limit_reached")
    assert alice_client.delete(f"/v1/webhooks/{webhook['id']}").status_code == 204
    make(alice_client)


@pytest.mark.django_db(transaction=True)
def test_twenty_holds_also_for_calls_at_once():
    workspace = make_workspace(credits=0)
    for _ in range(ENDPOINTS_MAX - 2):
        endpoint_create(workspace=workspace, actor=OPERATOR, url=URL)
    together(8, lambda: endpoint_create(workspace=workspace, actor=OPERATOR, url=URL))
    assert WebhookEndpoint.objects.count() == ENDPOINTS_MAX


def test_changes_are_audited_and_rolls_keep_the_old_secret_for_a_while(alice_client: Client):
    webhook = make(alice_client)
    path = f"webhooks/{webhook['id']}"
    changed = patch(alice_client, webhook["id"], events=["job.failed"], is_enabled=False).json()
    assert (changed["events"], changed["is_enabled"]) == (["job.failed"], False)
    assert (changed["disabled_at"] is None, changed["disabled_reason"]) == (False, "")
    patch(alice_client, webhook["id"])  # nothing new, nothing recorded
    enabled = patch(alice_client, webhook["id"], is_enabled=True).json()
    assert (enabled["is_enabled"], enabled["disabled_at"]) == (True, None)
    rolled = post(alice_client, f"{path}/roll")
    assert (rolled.status_code, rolled.headers["Cache-Control"]) == (201, "no-store")
    assert rolled.json()["secret"] not in {webhook["secret"], None}
    row = WebhookEndpoint.objects.annotate(now=Now()).get()
    assert row.old_secret_until is not None
    overlap = row.old_secret_until - row.now
    assert timedelta(hours=23, minutes=59) < overlap <= timedelta(hours=24)
    assert alice_client.get(f"/v1/{path}").json()["old_secret_until"] is not None
    post(alice_client, f"{path}/roll", overlap_hours=0)
    assert alice_client.get(f"/v1/{path}").json()["old_secret_until"] is None
    for hours in (-1, 169, "soon"):
        response = post(alice_client, f"{path}/roll", overlap_hours=hours)
        assert refusal(response) == (400, "validation_failed")
    assert alice_client.delete(f"/v1/{path}").status_code == 204
    row.refresh_from_db()
    assert (row.secret, row.old_secret, row.is_enabled) == ("", "", False)
    assert alice_client.get("/v1/webhooks").json()["results"] == []
    assert refusal(alice_client.get(f"/v1/{path}")) == (404, "not_found")
    actions = AuditEvent.objects.filter(target_uuid=webhook["id"]).order_by("pk")
    assert [event.action for event in actions] == [
        "webhook.created",
        "webhook.updated",
        "webhook.updated",
        "webhook.rolled",
        "webhook.rolled",
        "webhook.deleted",
    ]
    assert actions[1].data == {
        "before": {"events": [], "is_enabled": True},
        "after": {"events": ["job.failed"], "is_enabled": False},
    }


def test_deliveries_from_the_test_to_the_resending(alice_client: Client, server: Receiver):
    server.answer = says("500 Oops", body=b"<b>broken</b>")
    webhook = make(alice_client, url=server.url)
    response = post(alice_client, f"webhooks/{webhook['id']}/test")
    assert response.status_code == 202
    delivery = response.json()["id"]
    # On its way, by a worker that has not written down yet how it went.
    WebhookMessage.objects.update(lease_until=Now() + timedelta(seconds=60))
    assert refusal(post(alice_client, f"deliveries/{delivery}/resend")) == (409, "wrong_state")
    WebhookMessage.objects.update(lease_until=None)
    messages_deliver()
    shown = alice_client.get(f"/v1/deliveries/{delivery}").json()
    assert shown["next_attempt_at"] is not None
    log = shown.pop("log")
    message = WebhookMessage.objects.get()
    assert shown == {
        "id": str(message.uuid),
        "webhook": webhook["id"],
        "job": None,
        "url": server.url,
        "event": "webhook.test",
        "state": "pending",
        "attempts": 1,
        "next_attempt_at": shown["next_attempt_at"],
        "created_at": shown["created_at"],
        "finished_at": None,
        "body": message.body,
    }
    (attempt,) = log
    assert (attempt["number"], attempt["status_code"]) == (1, 500)
    assert (attempt["error_code"], attempt["response"]) == ("refused", "<b>broken</b>")

    server.answer = OK
    # The next try would come in some seconds, later ones in a day.
    assert post(alice_client, f"deliveries/{delivery}/resend").status_code == 202
    messages_deliver()
    again = post(alice_client, f"deliveries/{delivery}/resend")
    assert (again.status_code, again.json()["state"]) == (202, "pending")
    messages_deliver()
    assert {received.id for received in server.received} == {delivery}
    shown = alice_client.get(f"/v1/deliveries/{delivery}").json()
    assert (shown["state"], shown["attempts"], shown["next_attempt_at"]) == ("delivered", 3, None)
    assert [attempt["status_code"] for attempt in shown["log"]] == [500, 200, 200]
    assert server.received[2].verify(webhook["secret"]) == shown["body"]

    # A disabled or deleted webhook receives nothing.
    patch(alice_client, webhook["id"], is_enabled=False)
    for action in (f"deliveries/{delivery}/resend", f"webhooks/{webhook['id']}/test"):
        assert refusal(post(alice_client, action)) == (409, "wrong_state")
    alice_client.delete(f"/v1/webhooks/{webhook['id']}")
    assert refusal(post(alice_client, f"deliveries/{delivery}/resend")) == (409, "wrong_state")
    assert alice_client.get(f"/v1/deliveries/{delivery}").json()["webhook"] == webhook["id"]
    assert WebhookMessage.objects.get().state == "delivered"


def test_disabling_ends_what_waits(alice_client: Client):
    webhook, other = make(alice_client), make(alice_client)
    for one in (webhook, webhook, other):
        post(alice_client, f"webhooks/{one['id']}/test")
    patch(alice_client, webhook["id"], is_enabled=False)

    def states(path: str) -> list[str]:
        return [row["state"] for row in alice_client.get(f"/v1/{path}").json()["results"]]

    assert states("deliveries") == ["pending", "failed", "failed"]
    assert states(f"webhooks/{webhook['id']}/deliveries") == ["failed", "failed"]
    assert states(f"webhooks/{webhook['id']}/deliveries?state=pending") == []
    assert states("deliveries?state=pending&limit=1") == ["pending"]
    response = alice_client.get("/v1/deliveries?state=lost")
    assert refusal(response) == (400, "validation_failed")


def test_a_job_with_an_address_of_its_own(
    alice_client: Client, alice: Workspace, tmp_path: Path, server: Receiver
):
    asset = make_asset(alice, tmp_path)
    order = {"asset": str(asset.uuid), "stems": ["vocals"], "callback_url": f"{server.url}/done"}
    headers = {"Idempotency-Key": "k"}
    job = alice_client.post(
        "/v1/jobs", order, content_type="application/json", headers=headers
    ).json()
    # The address is part of the order.
    for other in ({**order, "callback_url": URL}, {"asset": order["asset"], "stems": ["vocals"]}):
        repeated = alice_client.post(
            "/v1/jobs", other, content_type="application/json", headers=headers
        )
        assert refusal(repeated) == (422, "idempotency_conflict")
    job_cancel(workspace=alice, job_uuid=job["id"])
    (row,) = alice_client.get(f"/v1/deliveries?job={job['id']}").json()["results"]
    assert (row["webhook"], row["job"], row["event"]) == (None, job["id"], "job.cancelled")
    assert alice_client.get(f"/v1/deliveries?job={NOBODYS}").json()["results"] == []
    messages_deliver()
    shown = alice_client.get("/v1/webhooks/callback-secret")
    assert shown.headers["Cache-Control"] == "no-store"
    (received,) = server.received
    assert received.line == "POST /done HTTP/1.1"
    body = received.verify(shown.json()["secret"])
    assert (body["type"], body["data"]["id"]) == ("job.cancelled", job["id"])
    assert shown.json()["secret"] not in str(list(CallbackSecret.objects.values()))

    rolled = post(alice_client, "webhooks/callback-secret/roll", overlap_hours=1)
    assert rolled.status_code == 201
    assert rolled.json() == alice_client.get("/v1/webhooks/callback-secret").json()
    job_ended(Job.objects.get())
    messages_deliver()
    for secret in (shown.json()["secret"], rolled.json()["secret"]):
        assert server.received[1].verify(secret) == body
    assert AuditEvent.objects.get(action="callback_secret.rolled").data == {"overlap_s": 3600}


def test_a_secret_that_cannot_be_read_any_more_can_be_rolled(alice_client: Client, settings: Any):
    alice_client.get("/v1/webhooks/callback-secret")
    settings.MFA_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    response = alice_client.get("/v1/webhooks/callback-secret")
    assert refusal(response) == (409, "wrong_state")
    new = post(alice_client, "webhooks/callback-secret/roll").json()
    assert alice_client.get("/v1/webhooks/callback-secret").json() == new


def test_the_types_of_events_are_listed(alice_client: Client):
    events = alice_client.get("/v1/webhooks/events").json()["events"]
    assert [event["type"] for event in events] == [
        "job.succeeded",
        "job.failed",
        "job.cancelled",
        "upload.ready",
        "upload.failed",
        "import.ready",
        "import.failed",
        "credits.low",
    ]
    assert all(event["description"].endswith(".") for event in events)


@pytest.mark.parametrize(
    ("route", "method"),
    [
        (route, method)
        for route in native_routes()
        if route.ids & {"webhook_uuid", "delivery_uuid"}
        for method in route.methods
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_a_stranger_finds_nothing(
    alice_client: Client, charlie_client: Client, route: Any, method: str
):
    webhook = make(alice_client)
    delivery = post(alice_client, f"webhooks/{webhook['id']}/test").json()
    before = list(WebhookEndpoint.objects.values()), list(WebhookMessage.objects.values())
    path = route.path({"webhook_uuid": webhook["id"], "delivery_uuid": delivery["id"]})
    response = charlie_client.generic(method.upper(), path, "{}", content_type="application/json")
    assert response.status_code == 404
    if method != "head":
        assert response.json()["error"]["code"] == "not_found"
    after = list(WebhookEndpoint.objects.values()), list(WebhookMessage.objects.values())
    assert after == before
    for listing in ("webhooks", "deliveries", f"deliveries?job={NOBODYS}"):
        assert charlie_client.get(f"/v1/{listing}").json()["results"] == []
    secrets = {
        client.get("/v1/webhooks/callback-secret").json()["secret"]
        for client in (alice_client, charlie_client)
    }
    assert len(secrets) == 2


def test_rights_count_from_the_moment_they_change(alice: Workspace):
    member = make_member(alice, "developer")
    client = Client(headers={"Authorization": f"Bearer {make_token(member, alice)}"})
    webhook = make(client)
    alice.memberships.update(role="viewer")
    assert client.get(f"/v1/webhooks/{webhook['id']}").status_code == 200
    for response in (
        post(client, "webhooks", url=URL),
        patch(client, webhook["id"], is_enabled=False),
        post(client, f"webhooks/{webhook['id']}/roll"),
        client.get("/v1/webhooks/callback-secret"),
    ):
        assert refusal(response) == (403, "not_allowed")
    assert WebhookEndpoint.objects.get().is_enabled
