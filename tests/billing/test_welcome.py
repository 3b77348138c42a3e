"""Credits for somebody new: once, for their first confirmed address."""

from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.test import Client

from accounts.audit import Actor
from accounts.models import AuditEvent, Membership, User, Workspace
from accounts.workspaces import ownership_transfer, workspace_leave
from billing.models import Entry, Transaction
from billing.selectors import available_by_source, ledger_discrepancies, wallet_get
from tests.makers import make_user
from tests.races import together

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _credits(settings: Any) -> None:
    settings.WELCOME_CREDITS = 25


def confirm(user: User, email: str) -> None:
    address, _ = EmailAddress.objects.get_or_create(user=user, email=email)
    address.set_verified(commit=True)


def test_the_first_confirmed_address_brings_credits():
    user = make_user("new@example.org", verified=False)
    assert Transaction.objects.count() == 0
    confirm(user, "new@example.org")
    workspace = Workspace.objects.get()
    assert wallet_get(workspace=workspace).available_mcr == 25_000
    assert available_by_source(workspace=workspace) == {"welcome": 25_000}
    assert Transaction.objects.get().reason == "Welcome"
    assert ledger_discrepancies() == []


def test_no_other_address_brings_more():
    user = make_user("new@example.org")
    confirm(user, "second@example.org")
    confirm(user, "new@example.org")
    EmailAddress.objects.get(email="new@example.org").delete()
    confirm(user, "new@example.org")
    assert Transaction.objects.count() == 1


def test_an_address_that_is_saved_again_brings_no_more():
    user = make_user("new@example.org")
    for _ in range(3):
        EmailAddress.objects.get(user=user).save()
    assert Transaction.objects.count() == 1


def test_who_gave_the_workspace_away_and_saves_the_address_again_gets_no_more():
    user, friend = make_user("new@example.org"), make_user("friend@example.org")
    given = Workspace.objects.get(memberships__user=user)
    Membership.objects.create(workspace=given, user=friend, role="admin")
    ownership_transfer(workspace=given, user_uuid=friend.uuid, actor=Actor.of_user(user))
    workspace_leave(workspace=given, user=user, actor=Actor.of_user(user))
    # As where the only address is made the main one once more.
    EmailAddress.objects.get(user=user).set_as_primary()
    assert Transaction.objects.count() == 2
    assert not Workspace.objects.filter(memberships__user=user).exists()


def test_nothing_is_given_without_the_setting(settings: Any):
    settings.WELCOME_CREDITS = 0
    make_user("new@example.org")
    assert Transaction.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_confirmed_many_times_at_once_it_is_granted_once():
    user = make_user("new@example.org", verified=False)
    second = EmailAddress.objects.create(user=user, email="second@example.org")
    first = EmailAddress.objects.get(email="new@example.org")

    def save(pk: int) -> None:
        address = EmailAddress.objects.get(pk=pk)
        address.verified = True
        address.save(update_fields=["verified"])

    pks = iter([first.pk, second.pk, first.pk, second.pk])
    together(4, lambda: save(next(pks)))
    assert Transaction.objects.count() == 1
    assert Workspace.objects.count() == 1
    assert ledger_discrepancies() == []


def test_who_signs_up_on_the_pages_has_them_at_once(client: Client):
    body = {
        "email": "new@example.org",
        "password1": "a good long one",
        "password2": "a good long one",
    }
    client.post("/account/signup/", body)
    assert Transaction.objects.count() == 0
    link = next(word for word in str(mail.outbox[0].body).split() if "/confirm-email/" in word)
    client.post(link)
    assert Entry.objects.filter(account__kind="wallet").get().amount_mcr == 25_000
    assert not AuditEvent.objects.filter(action="credits.granted").exists()
