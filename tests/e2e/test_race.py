"""Many orders at the same moment, through two web processes: none is given away."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import httpx
import pytest

from billing.models import Hold, HoldState, KeySpend, Transaction
from billing.selectors import ledger_discrepancies, wallet_get
from jobs.models import Job, JobEvent, JobState
from tests.e2e.processes import service_environment
from tests.e2e.test_rate_limits import web
from tests.makers import make_asset, make_grant, make_key, make_workspace

pytestmark = pytest.mark.django_db(transaction=True)

N_ORDERS = 64


def order_at_once(address: str, key: str, asset_id: str) -> list[httpx.Response]:
    barrier = Barrier(N_ORDERS)

    def order(_: int) -> httpx.Response:
        with httpx.Client(base_url=address, trust_env=False, timeout=60) as client:
            barrier.wait(30)
            body = {"asset": asset_id, "stems": ["vocals"], "model": "htdemucs"}
            return client.post("/v1/jobs", json=body, headers={"X-API-Key": key})

    with ThreadPoolExecutor(N_ORDERS) as pool:
        return list(pool.map(order, range(N_ORDERS)))


@pytest.mark.parametrize(
    ("credits_mcr", "cap_mcr", "refusal"),
    [(25_999, None, "insufficient_credits"), (1_000_000, 25_000, "key_cap_reached")],
)
def test_of_64_orders_at_once_ten_are_taken(
    tmp_path: Path, media_dir: Path, credits_mcr: int, cap_mcr: int | None, refusal: str
):
    """A second costs 2,500 milli-credits."""
    workspace, other = make_workspace(credits=0), make_workspace("Bob's", credits=7)
    make_grant(workspace, credits_mcr)
    key = make_key(workspace, monthly_cap_mcr=cap_mcr)
    asset = make_asset(workspace, tmp_path, seconds=1)
    with web(service_environment(media_dir), tmp_path / "web.log") as address:
        answers = order_at_once(address, key, str(asset.uuid))
    assert Counter(answer.status_code for answer in answers) == {201: 10, 402: 54}
    refusals = [answer.json()["error"]["code"] for answer in answers if answer.is_client_error]
    assert Counter(refusals) == {refusal: 54}

    wallet = wallet_get(workspace=workspace)
    assert (wallet.posted_mcr, wallet.held_mcr) == (credits_mcr, 25_000)
    jobs = Job.objects.filter(workspace=workspace, state=JobState.QUEUED)
    assert Job.objects.count() == jobs.count() == 10
    assert {str(job.uuid) for job in jobs} == {a.json()["id"] for a in answers if a.is_success}
    assert JobEvent.objects.count() == 10
    assert Hold.objects.filter(state=HoldState.PENDING, amount_mcr=2_500).count() == 10
    assert KeySpend.objects.get().spent_mcr == 25_000
    assert Transaction.objects.count() == 2
    assert wallet_get(workspace=other).available_mcr == 7_000
    assert ledger_discrepancies() == []
