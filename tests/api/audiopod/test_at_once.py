"""The same order from several sides at the same time, as from a client that did not wait."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from billing.selectors import ledger_discrepancies, wallet_get
from jobs.models import Asset, AssetState, Job
from tests.api.audiopod.steps import EXTRACT
from tests.makers import make_key, make_wav

N_CALLS = 4
RECORDING = make_wav(seconds=0.2)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "order-1"}])
def test_it_is_one_job_and_one_hold(alice: Any, live_server: Any, headers: dict[str, str]):
    sent = {"X-API-Key": make_key(alice), **headers}

    def order(_: int) -> httpx.Response:
        files = {"file": ("song.wav", RECORDING)}
        url = live_server.url + EXTRACT
        return httpx.post(url, files=files, headers=sent, trust_env=False, timeout=60)

    with ThreadPoolExecutor(N_CALLS) as pool:
        answers = list(pool.map(order, range(N_CALLS)))
    assert [answer.status_code for answer in answers] == [200] * N_CALLS
    assert len({answer.json()["id"] for answer in answers}) == 1
    job = Job.objects.get()
    assert wallet_get(workspace=alice).held_mcr == job.price_mcr == 5_500
    # Each call brought the recording; one is kept.
    assert Asset.objects.get(state=AssetState.READY) == job.asset
    assert ledger_discrepancies() == []
