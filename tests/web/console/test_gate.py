"""Who comes into the console."""

import ipaddress
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.core.management.base import CommandError
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEvent, User, Workspace
from accounts.operators import operator_set
from tests.api.routes import routes
from tests.makers import make_user, run_command
from tests.web.console.conftest import enter, factor_give
from tests.web.html import Page

pytestmark = pytest.mark.django_db

UUID = "6f9f0f3e-2f0e-4c69-a3f0-2f7a30000000"
IDS = {"uuid": UUID, "slug": "flag"}
ROUTES = sorted(route.name for route in routes() if route.name.startswith("console"))


def path_of(name: str) -> str:
    route = next(route for route in routes() if route.name == name)
    ids = {key: UUID if key != "name" else "flag" for key in route.parameters}
    return reverse(name, kwargs=ids)


@pytest.mark.parametrize("name", ROUTES)
def test_it_is_not_there_for_others(name: str, alice: User, operator: User):
    """No address of the console answers anybody else, whatever the method."""
    path = path_of(name)
    person = enter(alice)
    half = Client()
    half.force_login(operator)
    for method in ("get", "post"):
        assert getattr(person, method)(path).status_code in (404, 405)
        response = getattr(Client(), method)(path)
        if response.status_code != 405:
            assert response["Location"].startswith("/account/login/?next=/console/")
        response = getattr(half, method)(path)
        if response.status_code != 405:
            assert response["Location"].startswith("/account/2fa/reauthenticate/?next=%2Fconsole")


def test_an_operator_without_a_second_factor_is_led_to_one(db: None):
    user = make_user("new@example.org")
    operator_set(email=user.email, is_operator=True)
    client = Client()
    client.force_login(user)
    response = client.get("/console/", follow=True)
    assert response.redirect_chain == [("/account/2fa/", 302)]
    assert "Operators need a second factor" in response.content.decode()
    # One that was set up during this session was not given in it.
    TOTP.activate(user, generate_totp_secret())
    assert client.get("/console/")["Location"].startswith("/account/2fa/reauthenticate/")
    factor_give(client)
    assert client.get("/console/").status_code == 200


def test_the_second_factor_is_of_the_same_day(operator: User):
    assert enter(operator, age_s=11 * 3600).get("/console/").status_code == 200
    response = enter(operator, age_s=13 * 3600).get("/console/jobs?state=failed")
    back = "%2Fconsole%2Fjobs%3Fstate%3Dfailed"
    assert response["Location"] == f"/account/2fa/reauthenticate/?next={back}"


def test_a_form_that_is_sent_too_late_leads_back_to_it(operator: User):
    client = enter(operator, age_s=3600)
    for referer, back in (
        ("http://testserver/console/approvals", "%2Fconsole%2Fapprovals"),
        ("http://testserver/app/", "%2Fconsole%2F"),
        ("https://evil.example//evil.example/", "%2Fconsole%2F"),
    ):
        response = client.post(f"/console/approvals/{UUID}", headers={"Referer": referer})
        assert response["Location"] == f"/account/2fa/reauthenticate/?next={back}"


def test_a_passkey_is_asked_for_where_there_is_only_that(operator: User):
    Authenticator.objects.update(type=Authenticator.Type.WEBAUTHN)
    client = Client()
    client.force_login(operator)
    assert client.get("/console/")["Location"].startswith("/account/2fa/webauthn/reauthenticate/")


def test_it_is_reached_from_some_networks_only(console: Client, settings: Any):
    settings.CONSOLE_NETWORKS = [ipaddress.ip_network("10.0.0.0/8")]
    assert console.get("/console/").status_code == 404
    assert Client().get("/console/").status_code == 404
    settings.CONSOLE_NETWORKS.append(ipaddress.ip_network("127.0.0.0/8"))
    assert console.get("/console/").status_code == 200


def test_who_is_no_operator_any_more_is_out(console: Client, operator: User):
    assert console.get("/console/").status_code == 200
    operator_set(email=operator.email, is_operator=False)
    assert console.get("/console/").status_code == 404


def test_the_command_makes_and_ends_operators(db: None):
    make_user("new@example.org")
    assert "is an operator" in run_command("operator", "New@example.org")[0]
    assert run_command("operator") == ["new@example.org"]
    run_command("operator", "new@example.org", "--remove")
    assert run_command("operator") == []
    events = AuditEvent.objects.filter(action__startswith="operator.").order_by("pk")
    assert [event.action for event in events] == ["operator.added", "operator.removed"]
    with pytest.raises(CommandError, match="Nobody has signed up"):
        run_command("operator", "nobody@example.org")


def test_the_first_page_shows_how_the_service_is(console: Client, studio: Workspace):
    response = console.get("/console/")
    text = response.content.decode()
    assert "The books have never been checked." in text
    assert Page(text).problems() == []


def test_anything_is_found(console: Client, alice: User, studio: Workspace):
    key = studio.api_keys.create(name="Robot", key_id="abcd1234", secret_hash=b"x")
    for text, found in {
        "alice@exa": "alice@example.org",
        "studi": "Studio",
        str(studio.uuid): "Studio",
        str(alice.uuid): "alice@example.org",
        "ap_abcd1234…": "Robot",
        "ap_abcd": "Robot",
        str(key.uuid): "Robot",
    }.items():
        answer = console.get("/console/", {"q": text}).content.decode()
        assert found in answer, text
        assert Page(answer).problems() == []
    for text in ("nothing like it", "\x00", "ap_zzzz", UUID):
        assert "Nothing was found" in console.get("/console/", {"q": text}).content.decode()
