"""What operators paste is found, however much of it there is."""

from pathlib import Path

import pytest
from django.test import Client

from accounts.audit import OPERATOR
from accounts.models import Workspace
from billing.models import Payment, StripeCustomer
from jobs.models import Job
from jobs.shares import share_create
from tests.makers import make_asset, make_done_job, make_job
from tests.web.html import Page

pytestmark = pytest.mark.django_db


def found(client: Client, text: str) -> str:
    page = client.get("/console/", {"q": text}).content.decode()
    assert Page(page).problems() == []
    return page


def test_a_job_is_found_by_the_beginning_of_its_id_and_by_its_address(
    console: Client, studio: Workspace, tmp_path: Path
):
    job = make_job(studio, make_asset(studio, tmp_path))
    link = f"/console/jobs/{job.uuid}"
    uuid = str(job.uuid)
    for text in (uuid[:6], uuid[:8], uuid[:8].upper(), uuid[:20], f" {uuid[:13]} "):
        assert link in found(console, text), text
    for address in (f"https://a.example/app/jobs/{uuid}?x=1", f"/v1/jobs/{uuid}/events"):
        assert link in found(console, address), address
    other = "0" if uuid[0] != "0" else "1"
    assert link not in found(console, other + uuid[1:8])
    # Shorter, it is a word.
    assert link not in found(console, uuid[:5])


def test_payments_and_customers_are_found_by_what_stripe_calls_them(
    console: Client, studio: Workspace
):
    StripeCustomer.objects.create(workspace=studio, stripe_id="cus_123")
    payment = Payment.objects.create(
        workspace=studio,
        kind="pack",
        credits_mcr=1,
        amount_cents=500,
        currency="usd",
        payment_intent_id="pi_123",
        checkout_session_id="cs_test_123",
        invoice_id="in_123",
    )
    for text in ("pi_123", "cs_test_123", "in_123", str(payment.uuid)[:8]):
        assert str(payment.uuid) in found(console, text), text
    assert str(studio.uuid) in found(console, "cus_123")
    assert str(studio.uuid) in found(console, str(studio.uuid)[:8])


@pytest.mark.usefixtures("no_beats", "fake_separation")
def test_a_shared_link_leads_to_its_job(console: Client, studio: Workspace, tmp_path: Path):
    job = make_done_job(studio, tmp_path, seconds=1, stems=("vocals",))
    _, token = share_create(workspace=studio, job_uuid=job.uuid, actor=OPERATOR)
    assert f"/console/jobs/{job.uuid}" in found(console, f"https://a.example/s/{token}")
    assert "Nothing was found" in found(console, "https://a.example/s/nothing")
    assert Job.objects.get().shares.get().uses == 0
