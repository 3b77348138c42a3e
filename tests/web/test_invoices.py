"""The page of payments and invoices."""

import re
from typing import Any

import pytest
from django.test import Client

from accounts.models import Role, Workspace
from billing.models import Payment
from tests.billing.top_up_steps import make_payment
from tests.fakes.stripe import FakeStripe, Sender
from tests.fakes.stripe.steps import buy_pack, settle
from tests.makers import make_workspace
from tests.web.html import Page
from tests.web.test_credits import signed_in_as, text_of

pytestmark = pytest.mark.django_db

PATH = "/app/invoices"
PART = {"HX-Request": "true"}


def test_payments_with_what_was_returned(
    signed_in: Client, workspace: Workspace, fake_stripe: FakeStripe, stripe_sender: Sender
):
    for code, returned_cents in (("starter", None), ("studio", 500), ("label", 8_000)):
        intent, _ = buy_pack(fake_stripe, workspace, code)
        settle(fake_stripe, stripe_sender)
        if returned_cents:
            fake_stripe.refund(intent, returned_cents)
            settle(fake_stripe, stripe_sender)
    text = text_of(signed_in, PATH)
    assert "Pack “Label” returned 250,000 80.00 USD 80.00 USD returned" in text
    assert "Pack “Studio” returned in part 50,000 20.00 USD 5.00 USD returned" in text
    assert "Pack “Starter” paid 10,000 5.00 USD" in text
    # Lines of the ledger lead here.
    page = signed_in.get("/app/credits", {"kind": "bought"}).content.decode()
    for payment in Payment.objects.all():
        assert f"{PATH}#payment-{payment.uuid}" in page
        assert f'id="payment-{payment.uuid}"' in signed_in.get(PATH).content.decode()


def test_invoices_are_stripes(
    signed_in: Client, workspace: Workspace, fake_stripe: FakeStripe, stripe_sender: Sender
):
    buy_pack(fake_stripe, workspace)
    settle(fake_stripe, stripe_sender)
    calls = fake_stripe.calls("GET invoices")
    page = signed_in.get(PATH).content.decode()
    # They come after the page, or by a link.
    assert fake_stripe.calls("GET invoices") == calls
    assert 'hx-get="/app/invoices/stripe"' in page
    (invoice,) = fake_stripe.rows["invoices"].values()
    part = signed_in.get(f"{PATH}/stripe", headers=PART).content.decode()
    assert "<html" not in part
    whole = signed_in.get(f"{PATH}/stripe").content.decode()
    assert Page(whole).problems() == []
    for text in (part, whole):
        assert f'href="{invoice["invoice_pdf"]}"' in text
        assert f'href="{invoice["hosted_invoice_url"]}"' in text
        assert invoice["number"] in text
        assert "5.00 USD" in text
        assert re.search(r'class="badge ok">\s*paid', text)


def test_before_the_first_payment(signed_in: Client, fake_stripe: FakeStripe):
    assert "No payments yet." in text_of(signed_in, PATH)
    response = signed_in.get(f"{PATH}/stripe", headers=PART)
    assert b"There are no invoices yet." in response.content


def test_payments_that_came_to_nothing_say_why(signed_in: Client, workspace: Workspace):
    make_payment(workspace, state="failed", failure="The card was declined.")
    make_payment(workspace)
    text = text_of(signed_in, PATH)
    assert "Automatic top-up: “Starter” The card was declined. not paid 10,000" in text
    assert "Automatic top-up: “Starter” waiting" in text


def test_stripes_troubles_leave_the_payments(
    signed_in: Client, workspace: Workspace, fake_stripe: FakeStripe, stripe_sender: Sender
):
    buy_pack(fake_stripe, workspace)
    settle(fake_stripe, stripe_sender)
    fake_stripe.fail("GET invoices", times=9)
    text = text_of(signed_in, f"{PATH}/stripe")
    assert "does not answer" in text
    assert "Pack “Starter” paid" in text


def test_without_stripe_it_is_said(signed_in: Client, settings: Any):
    settings.STRIPE_SECRET_KEY = ""
    for path in (PATH, f"{PATH}/stripe"):
        assert "there are no invoices" in text_of(signed_in, path)
    assert (
        "Nothing can be bought here"
        in signed_in.get(f"{PATH}/stripe", headers=PART).content.decode()
    )


def test_many_payments_are_read_in_pages(signed_in: Client, workspace: Workspace):
    for _ in range(30):
        make_payment(workspace, kind="pack")
    first = signed_in.get(PATH).content.decode()
    assert first.count('<tr id="payment-') == 25
    (older,) = re.findall(r'href="(\?[^"]*after=[^"]*)"', first)
    assert signed_in.get(PATH + older).content.decode().count('<tr id="payment-') == 5


@pytest.mark.parametrize("role", [Role.VIEWER, Role.DEVELOPER])
def test_it_is_not_for_everybody(workspace: Workspace, fake_stripe: FakeStripe, role: str):
    client = signed_in_as(workspace, role)
    for path in (PATH, f"{PATH}/stripe"):
        response = client.get(path)
        assert response.status_code == 403
        assert Page(response.content.decode()).problems() == []
    assert fake_stripe.calls("") == 0


def test_strangers_see_their_own(
    workspace: Workspace, fake_stripe: FakeStripe, stripe_sender: Sender, client: Client
):
    buy_pack(fake_stripe, workspace)
    settle(fake_stripe, stripe_sender)
    assert client.get(PATH).status_code == 302
    stranger = signed_in_as(make_workspace("Third", credits=0), Role.BILLING)
    assert "No payments yet." in text_of(stranger, PATH)
    assert "There are no invoices yet." in text_of(stranger, f"{PATH}/stripe")
