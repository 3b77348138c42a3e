"""The pages of credits: what there is, where it went, and buying more."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from accounts.audit import OPERATOR
from accounts.models import Role, User, Workspace
from billing.clawbacks import capture_refund, credits_take
from billing.ledger import credits_grant, hold_capture
from billing.models import AutoTopUp, Lot, Pack, Payment, Subscription
from tests.billing.top_up_steps import enable, make_payment
from tests.fakes.stripe import FakeStripe, Sender
from tests.fakes.stripe.steps import buy_pack, settle, subscribe
from tests.makers import (
    make_asset,
    make_grant,
    make_job,
    make_member,
    make_token,
    make_workspace,
)
from tests.web.conftest import sign_in
from tests.web.html import Page

pytestmark = pytest.mark.django_db

PATH = "/app/credits"


def text_of(client: Client, path: str = PATH, **query: str) -> str:
    response = client.get(path, query)
    assert response.status_code == 200
    page = response.content.decode()
    if "<html" in page:
        assert Page(page).problems() == []
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def signed_in_as(workspace: Workspace, role: str) -> Client:
    make_member(workspace, role, email=f"{role}@example.org")
    client = Client()
    sign_in(client, f"{role}@example.org")
    return client


class TestBuying:
    def test_a_pack_leads_to_stripes_page(
        self, signed_in: Client, workspace: Workspace, fake_stripe: FakeStripe
    ):
        page = signed_in.get(PATH).content.decode()
        assert Page(page).problems() == []
        assert "disabled" not in page
        response = signed_in.post(f"{PATH}/buy", {"pack": "starter"})
        payment = Payment.objects.get()
        assert response.status_code == 302
        assert fake_stripe.session_at(response["Location"]) == payment.checkout_session_id
        assert (payment.workspace, payment.amount_cents) == (workspace, 500)

    def test_pressed_twice_it_is_one_payment(self, signed_in: Client, fake_stripe: FakeStripe):
        body = {"pack": "starter", "once": str(uuid4())}
        first, second = (signed_in.post(f"{PATH}/buy", body) for _ in range(2))
        assert first["Location"] == second["Location"]
        assert Payment.objects.count() == 1
        signed_in.post(f"{PATH}/buy", {**body, "once": "\x00"})
        assert Payment.objects.count() == 2

    def test_a_plan_leads_to_stripes_page_and_is_shown(
        self,
        signed_in: Client,
        workspace: Workspace,
        fake_stripe: FakeStripe,
        stripe_sender: Sender,
    ):
        response = signed_in.post(f"{PATH}/buy", {"plan": "pro"})
        assert response.status_code == 302
        assert Payment.objects.get().kind == "plan"
        subscribe(fake_stripe, workspace, "hobby")
        settle(fake_stripe, stripe_sender)
        text = text_of(signed_in)
        assert "Plan “Hobby” active" in text
        assert "20,000 credits for 9.00 USD a month. Renews on" in text
        assert "A month of the plan “Hobby”" in text
        assert "Subscribe for" not in text
        Subscription.objects.update(cancel_at_period_end=True)
        assert "Ends on" in text_of(signed_in)
        # One at a time.
        assert signed_in.post(f"{PATH}/buy", {"plan": "pro"}).status_code == 409

    @pytest.mark.parametrize("body", [{"pack": "nothing"}, {}, {"pack": "\x00"}, {"plan": "\x00"}])
    def test_what_is_not_sold_is_refused(
        self, signed_in: Client, fake_stripe: FakeStripe, body: dict[str, str]
    ):
        response = signed_in.post(f"{PATH}/buy", body)
        assert response.status_code == 400
        assert Page(response.content.decode()).problems() == []
        Pack.objects.update(is_active=False)
        assert signed_in.post(f"{PATH}/buy", {"pack": "starter"}).status_code == 400
        assert not Payment.objects.exists()

    def test_the_portal_is_stripes(self, signed_in: Client, fake_stripe: FakeStripe):
        response = signed_in.post(f"{PATH}/portal")
        assert response.status_code == 302
        assert fake_stripe.calls("POST billing_portal/sessions") == 1

    @pytest.mark.parametrize("role", [Role.VIEWER, Role.DEVELOPER])
    def test_who_may_not_buy_is_told_whom_to_ask(
        self, workspace: Workspace, fake_stripe: FakeStripe, role: str
    ):
        client = signed_in_as(workspace, role)
        page = client.get(PATH).content.decode()
        assert page.count(" disabled") == 5
        assert "ask the owner" in page
        assert 'id="top-up"' not in page
        for path, body in (("buy", {"pack": "starter"}), ("portal", {}), ("top-up", {})):
            assert client.post(f"{PATH}/{path}", body).status_code == 403
        assert client.get(f"{PATH}/card").status_code == 403
        assert client.get(f"{PATH}/arrival").status_code == 403
        assert not Payment.objects.exists()
        assert fake_stripe.calls("") == 0

    def test_checkouts_are_counted_as_through_the_api(
        self, signed_in: Client, person: User, fake_stripe: FakeStripe, settings: Any
    ):
        settings.RATE_LIMIT_PER_MINUTE = 2
        responses = [signed_in.post(f"{PATH}/buy", {"pack": "starter"}) for _ in range(3)]
        assert [response.status_code for response in responses] == [302, 302, 429]
        assert int(responses[2].headers["Retry-After"]) >= 1
        assert Page(responses[2].content.decode()).problems() == []
        token = make_token(person, person.memberships.get().workspace)
        by_api = Client(headers={"Authorization": f"Bearer {token}"})
        response = by_api.post("/v1/billing/checkout", {"pack": "starter"}, "application/json")
        assert response.status_code == 429
        assert Payment.objects.count() == 2

    def test_without_stripe_it_is_said_and_nothing_is_sold(self, signed_in: Client, settings: Any):
        settings.STRIPE_SECRET_KEY = ""
        text = text_of(signed_in)
        assert "Payments are not set up on this server" in text
        assert "This needs payments" in text
        assert signed_in.get(PATH).content.decode().count(" disabled") == 5
        for path, body in (("buy", {"pack": "starter"}), ("buy", {"plan": "pro"}), ("portal", {})):
            response = signed_in.post(f"{PATH}/{path}", body, follow=True)
            assert "Nothing can be bought here" in response.content.decode()
        assert "Nothing can be bought here" in text_of(signed_in, f"{PATH}/card")
        assert not Payment.objects.exists()
        # People would pay, and nobody would hear of it.
        settings.STRIPE_SECRET_KEY = "sk_test_x"
        assert "Payments are not set up" in text_of(signed_in)
        settings.STRIPE_WEBHOOK_SECRETS = ["whsec_x"]
        assert "Payments are not set up" not in text_of(signed_in)

    def test_stripes_troubles_are_told_in_words(self, signed_in: Client, fake_stripe: FakeStripe):
        fake_stripe.fail("POST checkout/sessions", times=9)
        response = signed_in.post(f"{PATH}/buy", {"pack": "starter"})
        assert response.status_code == 503
        assert "does not answer" in response.content.decode()
        fake_stripe.fail("GET customers", times=9)
        assert "does not answer" in text_of(signed_in, f"{PATH}/card")


class TestComingBack:
    def test_from_stripes_page(self, signed_in: Client, client: Client):
        response = signed_in.get("/account/billing?checkout=done")
        assert (response.status_code, response["Location"]) == (302, f"{PATH}?checkout=done")
        assert signed_in.get("/account/billing?checkout=//x&a=b")["Location"] == PATH
        assert signed_in.post("/account/billing").status_code == 405
        assert "Thank you." in text_of(signed_in, checkout="done")
        assert "nothing was charged" in text_of(signed_in, checkout="cancelled")
        assert client.get(PATH)["Location"].startswith("/account/login/")

    def test_the_page_waits_for_the_credits(
        self,
        signed_in: Client,
        workspace: Workspace,
        fake_stripe: FakeStripe,
        stripe_sender: Sender,
    ):
        buy_pack(fake_stripe, workspace)
        page = signed_in.get(f"{PATH}?checkout=done").content.decode()
        assert 'hx-get="/app/credits/arrival?looks=1"' in page
        response = signed_in.get(f"{PATH}/arrival", {"looks": "1"})
        assert "looks=2" in response.content.decode()
        # Not for ever.
        last = signed_in.get(f"{PATH}/arrival", {"looks": "60"}).content.decode()
        assert "hx-get" not in last
        assert "take days" in last
        settle(fake_stripe, stripe_sender)
        response = signed_in.get(f"{PATH}/arrival", {"looks": "x"})
        assert response["HX-Refresh"] == "true"
        assert "10,000 credits have arrived" in response.content.decode()
        page = signed_in.get(f"{PATH}?checkout=done").content.decode()
        assert "arrival?looks" not in page

    def test_a_payment_that_came_to_nothing_is_told(
        self, signed_in: Client, workspace: Workspace, fake_stripe: FakeStripe
    ):
        buy_pack(fake_stripe, workspace)
        Payment.objects.update(state="failed", failure="The payment failed.")
        text = text_of(signed_in, checkout="done")
        assert "nothing was charged. The payment failed." in text


class TestLedger:
    def test_every_line_is_in_words(self, signed_in: Client, workspace: Workspace, tmp_path: Path):
        credits_grant(
            workspace=workspace,
            amount_mcr=100_000,
            source="operator",
            idempotency_key="a",
            reason="An <apology>",
            actor=OPERATOR,
        )
        job = make_job(workspace, make_asset(workspace, tmp_path, name="<b>.wav"))
        hold_capture(job_uuid=job.uuid, amount_mcr=2_500)
        capture_refund(
            job_uuid=job.uuid,
            amount_mcr=1_000,
            reason="Bleed",
            idempotency_key="b",
            actor=OPERATOR,
        )
        credits_take(
            workspace=workspace,
            amount_mcr=3_000,
            reason="A slip",
            idempotency_key="c",
            actor=OPERATOR,
        )
        page = signed_in.get(PATH).content.decode()
        assert "An &lt;apology&gt;" in page
        assert "&lt;b&gt;.wav" in page
        text = text_of(signed_in)
        lines = [
            "Taken by the operator A slip -3 95.5",
            "The charge of a job, given back Bleed +1 98.5",
            "Separation into stems",
            "-2.5 97.5",
            "Granted by the operator An &lt;apology&gt; +100 100",
        ]
        places = [text.rindex(line) for line in lines]
        assert places == sorted(places)
        assert "Bleed" in text_of(signed_in, kind="jobs")
        assert "A slip" not in text_of(signed_in, kind="jobs")
        assert "A slip" in text_of(signed_in, kind="taken")
        assert "There are no such lines." in text_of(signed_in, kind="expired")
        response = signed_in.get(PATH, {"kind": "\x00"})
        assert response.status_code == 400
        assert Page(response.content.decode()).problems() == []

    def test_payments_and_what_became_of_them(
        self,
        signed_in: Client,
        workspace: Workspace,
        fake_stripe: FakeStripe,
        stripe_sender: Sender,
    ):
        intent, payment = buy_pack(fake_stripe, workspace)
        settle(fake_stripe, stripe_sender)
        fake_stripe.refund(intent, 250)
        settle(fake_stripe, stripe_sender)
        text = text_of(signed_in)
        assert "Taken back: a payment was returned or disputed -5,000 5,000" in text
        assert "Pack “Starter” +10,000 10,000" in text
        # What the service notes for itself is not shown.
        assert f"Payment {payment.uuid}" not in text

    def test_names_of_recordings_are_not_for_accountants(
        self, workspace: Workspace, tmp_path: Path
    ):
        make_grant(workspace, 100_000)
        job = make_job(workspace, make_asset(workspace, tmp_path, name="secret.wav"))
        hold_capture(job_uuid=job.uuid, amount_mcr=2_500)
        text = text_of(signed_in_as(workspace, Role.BILLING))
        assert "Separation into stems" in text
        assert "secret.wav" not in text
        assert "secret.wav" in text_of(signed_in_as(workspace, Role.VIEWER))

    def test_it_is_read_in_pages(self, signed_in: Client, workspace: Workspace):
        for number in range(1, 31):
            make_grant(workspace, number * 1000)
        first = signed_in.get(PATH, {"kind": "bought"}).content.decode()
        assert first.count("<tr id=") == 25
        (older,) = re.findall(r'href="(\?[^"]*after=[^"]*)"', first)
        make_grant(workspace, 99_000)
        second = signed_in.get(PATH + older.replace("&amp;", "&")).content.decode()
        assert second.count("<tr id=") == 5
        assert "kind=bought" in older
        assert signed_in.get(PATH, {"after": "x"}).content.decode().count("<tr id=") == 25

    def test_strangers_see_nothing_of_it(self, workspace: Workspace, signed_in: Client):
        make_grant(workspace, 7_777_000)
        other = make_workspace("Other", credits=0)
        text = text_of(signed_in_as(other, Role.OWNER))
        assert "7,777" not in text
        assert "Nothing has been booked yet." in text
        assert "There are no credits left." in text


class TestBalance:
    def test_reserved_against_settled(
        self, signed_in: Client, workspace: Workspace, tmp_path: Path
    ):
        make_grant(workspace, 100_000)
        make_job(workspace, make_asset(workspace, tmp_path))
        text = text_of(signed_in)
        assert "Available 97.5 Reserved for running jobs 2.5 Settled balance 100" in text

    def test_what_is_left_until_when(self, signed_in: Client, workspace: Workspace):
        soon = datetime.now(UTC) + timedelta(days=3)
        make_grant(workspace, 50_000)
        credits_grant(
            workspace=workspace,
            amount_mcr=20_000,
            source="welcome",
            idempotency_key="w",
            expires_at=soon,
        )
        text = text_of(signed_in)
        assert "Next to expire 20" in text
        assert text.index("Welcome") < text.index("Granted never")
        for _ in range(10):
            make_grant(workspace, 1_000)
        text = text_of(signed_in)
        assert "and 4 more 4" in text
        assert Lot.objects.count() == 12

    def test_a_debt_is_said(
        self,
        signed_in: Client,
        workspace: Workspace,
        fake_stripe: FakeStripe,
        stripe_sender: Sender,
    ):
        intent, _ = buy_pack(fake_stripe, workspace)
        settle(fake_stripe, stripe_sender)
        credits_take(
            workspace=workspace,
            amount_mcr=4_000_000,
            reason="x",
            idempotency_key="x",
            actor=OPERATOR,
        )
        fake_stripe.refund(intent)
        settle(fake_stripe, stripe_sender)
        assert "4,000 credits are owed" in text_of(signed_in)


class TestTopUp:
    WISH = {
        "is_enabled": "on",
        "threshold_mcr": "12.5",
        "pack": "starter",
        "monthly_ceiling_cents": "15.50",
    }

    def test_it_is_saved_and_shown(
        self,
        signed_in: Client,
        workspace: Workspace,
        fake_stripe: FakeStripe,
        stripe_sender: Sender,
    ):
        buy_pack(fake_stripe, workspace)
        settle(fake_stripe, stripe_sender)
        assert "A card is saved" in text_of(signed_in, f"{PATH}/card")
        response = signed_in.post(f"{PATH}/top-up", self.WISH, follow=True)
        assert "The automatic top-up is on." in response.content.decode()
        row = AutoTopUp.objects.get()
        assert (row.is_enabled, row.threshold_mcr, row.pack.code) == (True, 12_500, "starter")
        assert row.monthly_ceiling_cents == 1_550
        page = Page(signed_in.get(PATH).content.decode())
        fields = {one.get("id"): one for one in page.all("input")}
        assert fields["top-up-threshold_mcr"]["value"] == "12.5"
        assert fields["top-up-monthly_ceiling_cents"]["value"] == "15.50"
        assert "checked" in fields["top-up-is_enabled"]
        assert "This month: 0.00 USD of 15.50 USD." in text_of(signed_in)
        off = {name: value for name, value in self.WISH.items() if name != "is_enabled"}
        response = signed_in.post(f"{PATH}/top-up", off, follow=True)
        assert "Saved. The automatic top-up is off." in response.content.decode()
        assert not AutoTopUp.objects.get().is_enabled

    @pytest.mark.parametrize(
        ("change", "problem"),
        [
            ({"threshold_mcr": "a lot"}, "Write credits like"),
            ({"threshold_mcr": "0"}, "more than nothing"),
            ({"threshold_mcr": "-1"}, "Write credits like"),
            ({"monthly_ceiling_cents": "4"}, "less than one pack costs, 5.00 USD"),
            ({"monthly_ceiling_cents": "1e9"}, "Write an amount"),
            ({"monthly_ceiling_cents": "9999999"}, "This must be from 1"),
            ({"pack": "nothing"}, "Select a valid choice"),
            ({"pack": "\x00"}, "Select a valid choice"),
            ({}, "no saved card"),
        ],
    )
    def test_what_cannot_be_is_said_beside_it(
        self,
        signed_in: Client,
        fake_stripe: FakeStripe,
        change: dict[str, str],
        problem: str,
    ):
        response = signed_in.post(f"{PATH}/top-up", {**self.WISH, **change})
        assert response.status_code == 400
        text = response.content.decode()
        assert problem in text
        assert Page(text).problems() == []
        # Nothing that was typed is lost.
        assert 'value="15.50"' in text or "monthly_ceiling_cents" in change
        assert not AutoTopUp.objects.exists()

    def test_what_happened_last_is_told(
        self,
        signed_in: Client,
        workspace: Workspace,
        fake_stripe: FakeStripe,
        stripe_sender: Sender,
    ):
        enable(fake_stripe, stripe_sender, workspace)
        make_payment(workspace)
        text = text_of(signed_in)
        assert "One is being paid at the moment." in text
        assert "This month: 5.00 USD of 15.00 USD." in text
        Payment.objects.filter(kind="top_up").update(
            state="failed", failure="The card was declined."
        )
        AutoTopUp.objects.update(is_enabled=False, disabled_reason="The card was declined.")
        text = text_of(signed_in)
        assert "Last: it failed. The card was declined." in text
        assert "It was switched off: The card was declined." in text
        assert "This month: 0.00 USD" in text

    def test_without_a_card_it_is_said(self, signed_in: Client, fake_stripe: FakeStripe):
        assert "No card is saved yet." in text_of(signed_in, f"{PATH}/card")
