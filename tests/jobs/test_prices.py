"""What an order costs, and that it stays so."""

from pathlib import Path
from typing import Any

import pytest
from django.db.models.functions import Now
from django.test import Client

from accounts.models import ApiKey
from billing.key_spending import key_spent_get
from billing.models import Hold, Price
from billing.selectors import ledger_discrepancies, wallet_get
from jobs.leases import job_succeed
from jobs.models import Job
from jobs.scheduling import job_claim
from tests.makers import make_asset, make_job, make_key

pytestmark = pytest.mark.django_db


def test_each_stem_counts_when_the_price_says_so(alice: Any, tmp_path: Path):
    Price.objects.create(
        service="separation",
        unit="per_second_and_stem",
        amount_mcr=1_352,
        quantity=100,
        workspace=alice,
    )
    asset = make_asset(alice, tmp_path, seconds=10)
    assert make_job(alice, asset).price_mcr == 136
    assert make_job(alice, asset, stems=("vocals", "drums", "bass")).price_mcr == 406
    assert wallet_get(workspace=alice).held_mcr == 542


@pytest.mark.parametrize("new_mcr", [1, 99_999_999])
def test_a_price_that_changes_in_mid_job_does_not_matter(alice: Any, tmp_path: Path, new_mcr: int):
    make_job(alice, make_asset(alice, tmp_path, seconds=2))
    claimed = job_claim()
    assert claimed is not None
    Price.objects.filter(service="separation").update(effective_until=Now())
    Price.objects.create(service="separation", unit="per_call", amount_mcr=new_mcr)
    job_succeed(claimed, outputs=[])
    job = Job.objects.get()
    assert (job.price_mcr, job.charged_mcr) == (5_000, 5_000)
    wallet = wallet_get(workspace=alice)
    assert (wallet.posted_mcr, wallet.held_mcr) == (95_000, 0)
    assert ledger_discrepancies() == []


def test_an_order_beyond_the_key_s_cap_is_refused_and_leaves_nothing(alice: Any, tmp_path: Path):
    client = Client(headers={"X-API-Key": make_key(alice, monthly_cap_mcr=7_000)})
    key = ApiKey.objects.get()
    asset = make_asset(alice, tmp_path, seconds=2)
    order = {"asset": str(asset.uuid), "stems": ["vocals"], "model": "htdemucs"}
    assert client.post("/v1/jobs", order, "application/json").status_code == 201
    refused = client.post("/v1/jobs", order, "application/json")
    assert refused.status_code == 402
    error = refused.json()["error"]
    assert error["code"] == "key_cap_reached"
    assert error["message"] == (
        "This costs 5 credits; of the 7 that this key may spend in a month, 2 are left."
    )
    assert (Job.objects.count(), Hold.objects.count()) == (1, 1)
    assert key_spent_get(api_key=key) == 5_000
    assert wallet_get(workspace=alice).held_mcr == 5_000


def test_what_a_failed_job_held_may_be_spent_again(alice: Any, tmp_path: Path):
    client = Client(headers={"X-API-Key": make_key(alice, monthly_cap_mcr=5_000)})
    asset = make_asset(alice, tmp_path, seconds=2)
    order = {"asset": str(asset.uuid), "stems": ["vocals"], "model": "htdemucs"}
    first = client.post("/v1/jobs", order, "application/json").json()
    assert client.post(f"/v1/jobs/{first['id']}/cancel").status_code == 200
    assert key_spent_get(api_key=ApiKey.objects.get()) == 0
    assert client.post("/v1/jobs", order, "application/json").status_code == 201
