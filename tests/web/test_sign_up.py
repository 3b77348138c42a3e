"""Signing up, in, and resetting a password; no answer tells whether an address is known."""

import re
from typing import Any
from unittest import mock

import pytest
from allauth.account.models import EmailAddress
from django.contrib.auth.hashers import MD5PasswordHasher
from django.core import mail
from django.core.cache import cache
from django.test import Client

from accounts import forms
from accounts.models import AuditEvent, Membership, User, Workspace
from tests.makers import PASSWORD, make_user
from tests.races import together
from tests.web.conftest import sign_in

pytestmark = pytest.mark.django_db

NEW = "new@example.org"


def sign_up(client: Client, email: str = NEW, password: str = PASSWORD) -> Any:
    body = {"email": email, "password1": password, "password2": password}
    return client.post("/account/signup/", body)


def link_of_mail() -> str:
    found = re.search(r"http://127.0.0.1:8000(/\S+)", str(mail.outbox[-1].body))
    assert found
    return found[1]


class Transcript:
    """All that a caller sees, and how often a password was hashed, without the address itself."""

    def __init__(self, email: str) -> None:
        self.client, self.email, self.seen = Client(), email, list[Any]()

    def post(self, path: str, **body: str) -> None:
        body = {name: value.replace("ADDRESS", self.email) for name, value in body.items()}
        with mock.patch.object(
            MD5PasswordHasher, "encode", autospec=True, side_effect=MD5PasswordHasher.encode
        ) as encode:
            self._note(self.client.post(path, body))
        self.seen.append(("hashed", encode.call_count))

    def get(self, path: str) -> None:
        self._note(self.client.get(path))

    def _note(self, response: Any) -> None:
        text = response.content.decode()
        text = re.sub(r'name="csrf(-token" content|middlewaretoken" value)="\w+"', "", text)
        headers = {name: value for name, value in response.headers.items() if name != "Expires"}
        cookies = {
            name: {key: value for key, value in morsel.items() if key != "expires"}
            for name, morsel in response.cookies.items()
        }
        text = text.replace(self.email, "ADDRESS")
        self.seen.append((response.status_code, text, headers, cookies))


@pytest.fixture
def addresses() -> list[str]:
    """Of the same length, since it shows in headers: nobody's, and those of all kinds of people."""
    make_user("known00@example.org")
    make_user("unconf0@example.org", verified=False)
    other = make_user("primary@example.org")
    EmailAddress.objects.create(user=other, email="second0@example.org", verified=True)
    EmailAddress.objects.create(user=other, email="secunco@example.org", verified=False)
    off = make_user("inactiv@example.org")
    User.objects.filter(pk=off.pk).update(is_active=False)
    names = ["nobody0", "known00", "unconf0", "second0", "secunco", "inactiv"]
    return [f"{name}@example.org" for name in names]


def transcripts(addresses: list[str], play: Any) -> list[list[Any]]:
    result = []
    for address in addresses:
        cache.clear()
        transcript = Transcript(address)
        play(transcript)
        result.append(transcript.seen)
    return result


def test_signing_up_tells_nothing(addresses: list[str]):
    n_users = User.objects.count()

    def play(person: Transcript) -> None:
        person.post("/account/signup/", email="ADDRESS", password1=PASSWORD, password2=PASSWORD)
        person.get("/account/confirm-email/")
        person.post("/account/signup/", email="ADDRESS", password1="short", password2="short")

    first, *others = transcripts(addresses, play)
    assert [status for status, *_ in first] == [302, "hashed", 200, 200, "hashed"]
    assert ("hashed", 1) in first
    for other in others:
        assert other == first
    assert User.objects.count() == n_users + 1
    # Each address got exactly one mail, whatever it said.
    assert sorted(address for message in mail.outbox for address in message.to) == sorted(addresses)


def test_a_failed_sign_in_tells_nothing(addresses: list[str]):
    def play(person: Transcript) -> None:
        for _ in range(6):
            person.post("/account/login/", login="ADDRESS", password="wrong")

    first, *others = transcripts(addresses, play)
    assert first[1] == ("hashed", 1)
    assert "not correct" in first[0][1]
    assert "Too many failed" in first[-2][1]
    for other in others:
        assert other == first


def test_failed_sign_ins_are_counted_whatever_the_host_is_called():
    make_user(NEW)
    clients = [Client(headers={"Host": f"localhost:{2000 + number}"}) for number in range(6)]
    texts = [sign_in(client, NEW, "wrong").content.decode() for client in clients]
    assert ["Too many failed" in text for text in texts] == [False] * 5 + [True]


def test_a_password_reset_tells_nothing(addresses: list[str]):
    def play(person: Transcript) -> None:
        person.get("/account/password/reset/")
        person.post("/account/password/reset/", email="ADDRESS")
        person.get("/account/password/reset/done/")

    first, *others = transcripts(addresses, play)
    assert first[2] == ("hashed", 0)
    for other in others:
        assert other == first
    assert sorted(address for message in mail.outbox for address in message.to) == sorted(addresses)


def test_adding_an_address_to_ones_own_tells_nothing(addresses: list[str], signed_in: Client):
    signed_in.post("/account/reauthenticate/", {"password": PASSWORD})
    # Shows the greeting, so that it is on none of the others.
    signed_in.get("/account/")
    answers = set()
    for address in addresses:
        cache.clear()
        body = {"email": address, "action_add": ""}
        response = signed_in.post("/account/email/", body)
        text = signed_in.get("/account/email/").content.decode()
        text = re.sub(r'name="csrf(-token" content|middlewaretoken" value)="\w+"', "", text)
        answers.add((response.status_code, response["Location"], text.replace(address, "A")))
        EmailAddress.objects.get(user__email="alice@example.org", email=address).delete()
    assert len(answers) == 1
    assert [message.to for message in mail.outbox] == [[address] for address in addresses]


def test_links_lead_to_the_site_whatever_the_host_is_called(settings: Any):
    settings.SITE_URL = "https://stemwright.example/"
    client = Client(headers={"Host": "localhost:6666"})
    make_user("known@example.org")
    sign_up(client)
    sign_up(client, "known@example.org")
    for email in (NEW, "known@example.org", "nobody@example.org"):
        client.post("/account/password/reset/", {"email": email})
    assert len(mail.outbox) == 5
    for message in mail.outbox:
        body = str(message.body)
        assert "localhost" not in body
        found = re.findall(r"https?:\S+", body)
        assert found
        assert all(link.startswith("https://stemwright.example/account/") for link in found)


def test_a_person_signs_up_confirms_and_is_in(client: Client):
    response = sign_up(client, "New@Example.org")
    assert (response.status_code, response["Location"]) == (302, "/account/confirm-email/")
    user = User.objects.get()
    assert user.email == NEW
    member = Membership.objects.get()
    assert (member.user, member.role, member.workspace.name) == (user, "owner", "new's workspace")
    assert sorted(AuditEvent.objects.values_list("action", "actor_uuid")) == [
        ("user.signed_up", user.uuid),
        ("workspace.created", user.uuid),
    ]
    # Not before the address is confirmed, and not by opening the link alone.
    assert client.get("/account/").status_code == 302
    assert sign_in(client, NEW)["Location"] == "/account/confirm-email/"
    link = link_of_mail()
    assert client.get(link).status_code == 200
    assert EmailAddress.objects.get().verified is False
    assert client.post(link)["Location"] == "/app/"
    assert client.get("/account/").status_code == 200
    # The link lets nobody in again.
    client.logout()
    assert "This link does not work" in client.get(link).content.decode()
    assert client.post(link).status_code == 404
    assert sign_in(client, NEW)["Location"] == "/app/"


def test_who_confirms_elsewhere_signs_in_first(client: Client):
    sign_up(client)
    elsewhere = Client()
    assert elsewhere.post(link_of_mail())["Location"] == "/account/login/"
    assert elsewhere.get("/account/").status_code == 302
    assert sign_in(elsewhere, NEW)["Location"] == "/app/"


def test_signing_up_leaves_all_or_nothing(client: Client, monkeypatch: Any):
    """Whatever breaks on the way; a killed process is no different, for it is one transaction."""
    monkeypatch.setattr(forms, "workspace_default_for", mock.Mock(side_effect=OSError("broken")))
    with pytest.raises(OSError, match="broken"):
        sign_up(client)
    assert (User.objects.count(), EmailAddress.objects.count()) == (0, 0)
    assert (Workspace.objects.count(), AuditEvent.objects.count()) == (0, 0)
    monkeypatch.undo()
    assert sign_up(client).status_code == 302
    assert (User.objects.count(), Workspace.objects.count()) == (1, 1)


@pytest.mark.django_db(transaction=True)
def test_signing_up_many_times_at_once_makes_one_person():
    found = together(4, lambda: sign_up(Client()))
    answers = [(response.status_code, response["Location"]) for response in found]
    assert answers == [(302, "/account/confirm-email/")] * 4
    assert (User.objects.count(), Workspace.objects.count(), Membership.objects.count()) == (
        1,
        1,
        1,
    )


def test_an_address_that_is_too_long_is_refused(client: Client):
    response = sign_up(
        client, f"{'x' * 60}@{'y' * 60}.{'z' * 60}.{'v' * 60}.{'w' * 40}.example.org"
    )
    assert response.status_code == 200
    assert "errorlist" in response.content.decode()
    assert not User.objects.exists()


@pytest.mark.parametrize("path", ["signup/", "password/reset/"])
def test_an_address_that_no_mail_reaches_is_refused(client: Client, path: str):
    """Those with an İ also become longer in lower case."""
    for name in ("İ" * 120, "ſ" * 200, "ı"):
        body = {"email": f"{name}@example.org", "password1": PASSWORD, "password2": PASSWORD}
        response = client.post(f"/account/{path}", body)
        assert response.status_code == 200
        assert "errorlist" in response.content.decode()
    assert (User.objects.count(), mail.outbox) == (0, [])


def test_an_inactive_person_stays_out(client: Client):
    user = make_user(NEW)
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert sign_in(client, NEW)["Location"] == "/account/inactive/"
    assert client.get("/account/").status_code == 302


def test_a_session_ends_when_the_person_is_made_inactive(signed_in: Client, person: User):
    User.objects.filter(pk=person.pk).update(is_active=False)
    assert signed_in.get("/account/").status_code == 302


def test_a_password_is_reset_by_the_mailed_link_once(client: Client):
    user = make_user(NEW)
    client.post("/account/password/reset/", {"email": NEW})
    link = link_of_mail()
    form = client.get(link)["Location"]
    body = {"password1": "another good one", "password2": "another good one"}
    assert client.post(form, body)["Location"] == "/account/password/reset/key/done/"
    user.refresh_from_db()
    assert user.check_password("another good one")
    assert "Bad Token" in Client().get(link).content.decode()
    assert sign_in(Client(), NEW).status_code == 200
    assert sign_in(Client(), NEW, "another good one").status_code == 302


@pytest.mark.parametrize("path", ["login/code/", "signup/passkey/", "social/login/cancelled/"])
def test_what_is_closed_is_not_there(client: Client, path: str):
    assert client.get(f"/account/{path}").status_code == 404
