"""The mail about low credits, as people set it."""

import pytest
from django.test import Client

from accounts.models import Role, User
from billing.ledger import credits_hold
from billing.models import CreditAlert
from tests.makers import make_grant, make_member
from tests.web.conftest import sign_in
from tests.web.html import Page

pytestmark = pytest.mark.django_db


def text_of(client: Client, path: str) -> str:
    text = client.get(path).content.decode()
    assert Page(text).problems() == []
    return text


def test_it_is_set_and_then_seen(signed_in: Client, person: User):
    workspace = person.memberships.get().workspace
    make_grant(workspace, 100_000)
    assert "Mail about low credits" in text_of(signed_in, "/app/credits")
    for amount, problem in (("a lot", "Write credits like"), ("0", "more than nothing")):
        values = {"is_enabled": "on", "threshold_mcr": amount}
        response = signed_in.post("/app/credits/alert", values)
        assert response.status_code == 400
        assert problem in response.content.decode()
    assert not CreditAlert.objects.exists()
    response = signed_in.post("/app/credits/alert", {"is_enabled": "on", "threshold_mcr": "50,5"})
    assert response["Location"] == "/app/credits#alert"
    alert = CreditAlert.objects.get()
    assert (alert.is_enabled, alert.threshold_mcr, alert.is_armed) == (True, 50_500, True)
    assert "credits are left" not in text_of(signed_in, "/app/")
    credits_hold(workspace=workspace, job_uuid=workspace.uuid, amount_mcr=49_501)
    assert "Only 50.499 credits are left." in text_of(signed_in, "/app/")
    assert "fewer than the 50.5 of your alert" in text_of(signed_in, "/app/credits")
    signed_in.post("/app/credits/alert", {"threshold_mcr": "50.5"})
    assert not CreditAlert.objects.get().is_enabled
    assert "credits are left" not in text_of(signed_in, "/app/")


def test_it_is_set_by_who_pays_alone(person: User):
    workspace = person.memberships.get().workspace
    for role, status in ((Role.BILLING, 302), (Role.DEVELOPER, 403), (Role.VIEWER, 403)):
        make_member(workspace, role, email=f"{role}@example.org")
        client = Client()
        sign_in(client, f"{role}@example.org")
        response = client.post("/app/credits/alert", {"is_enabled": "on", "threshold_mcr": "5"})
        assert response.status_code == status, role
