"""The same order sent again is one order: with a key, and for a while without."""

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from django.test import Client

from billing.selectors import wallet_get
from jobs.models import Asset, AssetState, Job
from jobs.services import job_cancel
from tests.api.audiopod.steps import EXTRACT, STEMS, ordered, wav

pytestmark = pytest.mark.django_db

DENOISE = "/api/v1/denoiser/denoise"
HELD_MCR = 5_500


def uploads() -> int:
    return Asset.objects.filter(job=None, state=AssetState.READY).count()


@pytest.mark.parametrize("path", [EXTRACT, f"{STEMS}/api/extract", f"{STEMS}/extract", DENOISE])
def test_an_upload_that_is_sent_again_is_one_job(client: Client, alice: Any, path: str):
    first, again = ordered(client, path), ordered(client, path)
    assert again == first
    assert (Job.objects.count(), uploads()) == (1, 1)
    held = wallet_get(workspace=alice).held_mcr
    assert held == Job.objects.get().price_mcr > 0


@pytest.mark.parametrize(
    "fields", [{"num_speakers": 2}, {"file": wav("other.wav")}, {"file": wav(seconds=0.3)}]
)
def test_what_differs_is_another_order(client: Client, fields: dict[str, Any]):
    for file in fields.values():
        if hasattr(file, "seek"):
            file.seek(0)
    assert ordered(client)["id"] != ordered(client, **fields)["id"]
    assert Job.objects.count() == 2


def test_other_endpoints_are_other_orders(client: Client):
    assert ordered(client)["id"] != ordered(client, "/api/v1/speaker/diarize")["id"]


def test_after_two_minutes_it_is_another_order(client: Client):
    first = ordered(client)
    Job.objects.update(created_at=F("created_at") - timedelta(seconds=121))
    assert ordered(client)["id"] != first["id"]


def test_after_a_failure_it_is_another_order(client: Client, alice: Any):
    first = ordered(client)
    job_cancel(workspace=alice, job_uuid=Job.objects.get().uuid)
    second = ordered(client)
    assert second["id"] != first["id"]
    # Which is made once, too.
    assert ordered(client) == second
    assert Job.objects.count() == 2


def test_an_address_that_is_sent_again_is_one_job(client: Client, media_server: Any):
    body = {"url": f"{media_server.url}/a.wav"}
    first, again = client.post(EXTRACT, body).json(), client.post(EXTRACT, body).json()
    assert again == first
    assert Job.objects.count() == 1


def test_another_workspace_has_its_own_orders(client: Client, stranger: Client):
    assert ordered(client)["id"] != ordered(stranger)["id"]


def test_the_same_key_is_the_same_job_however_late(client: Client, alice: Any):
    headers = {"Idempotency-Key": "order-1"}
    first = client.post(EXTRACT, {"file": wav()}, headers=headers)
    Job.objects.update(created_at=F("created_at") - timedelta(hours=5))
    again = client.post(EXTRACT, {"file": wav()}, headers=headers)
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.json()["id"] == first.json()["id"]
    assert (Job.objects.count(), uploads()) == (1, 1)
    assert wallet_get(workspace=alice).held_mcr == HELD_MCR


@pytest.mark.parametrize("fields", [{"num_speakers": 2}, {"file": wav(seconds=0.3)}])
def test_another_order_under_the_same_key_is_refused(client: Client, fields: dict[str, Any]):
    headers = {"Idempotency-Key": "order-1"}
    assert client.post(EXTRACT, {"file": wav()}, headers=headers).status_code == 200
    for file in fields.values():
        if hasattr(file, "seek"):
            file.seek(0)
    response = client.post(EXTRACT, {"file": wav(), **fields}, headers=headers)
    assert response.status_code == 422
    assert response.json()["details"]["reason"] == "idempotency_conflict"
    assert (Job.objects.count(), uploads()) == (1, 1)


def test_different_keys_are_different_orders(client: Client):
    for number in range(2):
        headers = {"Idempotency-Key": f"order-{number}"}
        assert client.post(EXTRACT, {"file": wav()}, headers=headers).status_code == 200
    assert Job.objects.count() == 2
