"""Packs and plans that operators change: for what is bought from then on."""

import re
from typing import Any

import pytest
from django.test import Client

from accounts.audit import OPERATOR
from accounts.models import AuditEvent, Role, Workspace
from billing.models import AutoTopUp, Notice, Pack, Payment, Plan, Subscription
from billing.offers import pack_set, pack_terms
from config.errors import WrongState
from tests.makers import make_member, make_shop, make_workspace
from tests.races import together
from tests.web.console.conftest import enter
from tests.web.html import Page

pytestmark = pytest.mark.django_db

PACK = {
    "name": "Starter",
    "credits_mcr": "10000",
    "price_cents": "6.00",
    "expires_after_days": "",
    "position": "0",
    "is_active": "on",
    "reason": "Dearer power",
}
PLAN = {
    "name": "Pro",
    "monthly_mcr": "150000",
    "price_cents": "49",
    "parallel_jobs": "8",
    "results_days": "30",
    "uploads_days": "7",
    "position": "0",
    "is_active": "on",
    "reason": "Fewer machines",
}


@pytest.fixture(autouse=True)
def _shop(db: None) -> None:
    make_shop()
    for model in (Pack, Plan):
        model.objects.update(position=0)


def preview(client: Client, path: str, values: dict[str, str]) -> str:
    assert Page(client.get(path).content.decode()).problems() == []
    response = client.post(path, values)
    text = response.content.decode()
    assert response.status_code == 200, text
    assert Page(text).problems() == []
    return text


def signed_of(text: str) -> dict[str, str]:
    found = re.search(r'name="signed" value="([^"]+)"', text)
    assert found
    return {"signed": found[1]}


def top_up(workspace: Workspace) -> AutoTopUp:
    return AutoTopUp.objects.create(
        workspace=workspace,
        is_enabled=True,
        threshold_mcr=1,
        pack=Pack.objects.get(code="starter"),
        monthly_ceiling_cents=5000,
    )


def test_a_pack_is_changed_once_and_what_was_sold_is_not(console: Client, studio: Workspace):
    pack = Pack.objects.get(code="starter")
    sold = Payment.objects.create(
        workspace=studio,
        kind="pack",
        pack=pack,
        credits_mcr=pack.credits_mcr,
        amount_cents=pack.price_cents,
        currency="usd",
    )
    path = "/console/prices/packs/starter"
    text = preview(console, path, PACK)
    assert "5.00 USD" in text
    assert "6.00 USD" in text
    assert "Look twice" not in text
    pack.refresh_from_db()
    assert pack.price_cents == 500
    for _ in range(2):
        assert console.post(path, signed_of(text))["Location"] == "/console/prices"
    pack.refresh_from_db()
    sold.refresh_from_db()
    assert (pack.price_cents, pack.credits_mcr, sold.amount_cents) == (600, 10_000_000, 500)
    event = AuditEvent.objects.get(action="pack.set")
    assert event.actor_label == "olga@example.org"
    assert event.data == {
        "code": "starter",
        "before": {"price_cents": 500},
        "after": {"price_cents": 600},
        "reason": "Dearer power",
    }
    # The history stands beside the form.
    page = console.get(path).content.decode()
    assert "before.price_cents: 500" in page
    assert Page(page).problems() == []


def test_nobody_pays_more_without_a_look(console: Client, studio: Workspace):
    make_member(studio, Role.OWNER, email="alice@example.org")
    row = top_up(studio)
    path = "/console/prices/packs/starter"
    # Cheaper: nothing is asked of anybody.
    text = preview(console, path, {**PACK, "price_cents": "4.50"})
    assert "automatic top-up" not in text
    console.post(path, signed_of(text))
    row.refresh_from_db()
    assert row.is_enabled
    text = preview(console, path, PACK)
    assert "1 automatic top-up buys this pack." in text
    console.post(path, signed_of(text))
    row.refresh_from_db()
    assert (row.is_enabled, row.disabled_reason[:19]) == (False, "Its pack costs more")
    assert Notice.objects.get().kind == "top_up_off"


@pytest.mark.parametrize(
    "values",
    [{"credits_mcr": "9999"}, {"expires_after_days": "365"}, {"is_active": ""}],
)
def test_less_for_the_money_is_dearer_too(
    console: Client, studio: Workspace, values: dict[str, str]
):
    row = top_up(studio)
    path = "/console/prices/packs/starter"
    console.post(path, signed_of(preview(console, path, {**PACK, "price_cents": "5", **values})))
    row.refresh_from_db()
    assert not row.is_enabled


def test_a_plan_is_changed_and_who_has_it_is_counted(console: Client, studio: Workspace):
    plan = Plan.objects.get(code="pro")
    Subscription.objects.create(workspace=studio, plan=plan, stripe_id="sub_1", status="active")
    path = "/console/prices/plans/pro"
    text = preview(console, path, PLAN)
    assert "1 workspace has this plan." in text
    console.post(path, signed_of(text))
    plan.refresh_from_db()
    assert (plan.parallel_jobs, plan.price_cents) == (8, 4900)
    assert AuditEvent.objects.get(action="plan.set").data["after"] == {"parallel_jobs": 8}
    assert ">1</td>" in console.get("/console/prices").content.decode()


def test_new_ones_are_made(console: Client):
    values = {**PACK, "code": "huge", "currency": "EUR", "expires_after_days": "365"}
    path = "/console/prices/packs/new"
    text = preview(console, path, values)
    for _ in range(2):
        assert console.post(path, signed_of(text)).status_code == 302
    pack = Pack.objects.get(code="huge")
    assert (pack.price_cents, pack.currency, pack.expires_after_days) == (600, "eur", 365)
    path = "/console/prices/plans/new"
    values = {**PLAN, "code": "team", "currency": "jpy", "price_cents": "490", "parallel_jobs": ""}
    console.post(path, signed_of(preview(console, path, values)))
    plan = Plan.objects.get(code="team")
    # Yen have no cents.
    assert (plan.price_cents, plan.parallel_jobs, plan.monthly_mcr) == (490, None, 150_000_000)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({}, "Nothing is changed."),
        ({"price_cents": "1.005"}, "Write an amount like"),
        ({"price_cents": "-5"}, "Write an amount like"),
        ({"credits_mcr": "many"}, "Write credits like"),
        ({"name": ""}, "This field is required."),
        ({"reason": " "}, "This field is required."),
        ({"expires_after_days": "0"}, "greater than or equal to 1"),
    ],
)
def test_what_makes_no_sense_is_said(console: Client, values: dict[str, str], problem: str):
    values = {**PACK, "price_cents": "5", **values}
    response = console.post("/console/prices/packs/starter", values)
    assert response.status_code == 422
    assert problem in response.content.decode()
    assert Page(response.content.decode()).problems() == []


@pytest.mark.parametrize("values", [{"price_cents": "0.49"}, {"credits_mcr": "0"}])
def test_what_stripe_would_refuse_is_refused(console: Client, values: dict[str, str]):
    path = "/console/prices/packs/starter"
    response = console.post(path, {**PACK, **values})
    assert response.status_code == 422
    assert Pack.objects.get(code="starter").price_cents == 500


def test_a_slip_of_the_hand_is_pointed_out(console: Client):
    path = "/console/prices/packs/starter"
    for price, words in (("50", "900 % more"), ("0.50", "90 % less")):
        assert words in preview(console, path, {**PACK, "price_cents": price})


def test_what_was_shown_holds_only_there_and_only_then(
    console: Client, second: Client, operator: Any
):
    path = "/console/prices/packs/starter"
    signed = signed_of(preview(console, path, PACK))
    assert second.post(path, signed).status_code == 409
    assert console.post("/console/prices/packs/studio", signed).status_code == 409
    assert console.post("/console/prices/plans/pro", signed).status_code == 409
    # Another operator was faster.
    faster = signed_of(preview(second, path, {**PACK, "price_cents": "7"}))
    assert second.post(path, faster).status_code == 302
    assert console.post(path, signed).status_code == 409
    assert Pack.objects.get(code="starter").price_cents == 700
    assert console.get("/console/prices/packs/nothing").status_code == 404
    stale = enter(operator, age_s=3600)
    assert stale.get(path)["Location"].startswith("/account/2fa/reauthenticate/")


@pytest.mark.django_db(transaction=True)
def test_two_changes_side_by_side_are_one_and_a_refusal():
    make_workspace()
    make_shop()
    seen = pack_terms(Pack.objects.get(code="starter"))

    def change(cents: int) -> None:
        terms = type(seen)(**{**vars(seen), "price_cents": cents})
        pack_set(code="starter", terms=terms, seen=seen, reason="x", actor=OPERATOR)

    answers = together(2, lambda: change(600), lambda: change(700))
    assert [type(answer) for answer in answers if answer] == [WrongState]
    assert AuditEvent.objects.filter(action="pack.set").count() == 1
