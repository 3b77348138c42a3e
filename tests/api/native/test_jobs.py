from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from billing.models import Hold
from billing.selectors import wallet_get
from jobs.heartbeat import Heartbeat
from jobs.models import Job
from jobs.services import asset_create
from tests.makers import (
    make_asset,
    make_grant,
    make_job,
    make_key,
    make_wav,
    make_workspace,
    run_jobs,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_beats(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread would not see the rows of a test's open transaction."""
    monkeypatch.setattr(Heartbeat, "_beat", lambda self: None)


@pytest.fixture
def asset(alice: Any, tmp_path: Path) -> Any:
    return make_asset(alice, tmp_path, seconds=2)


def post(client: Client, path: str, **body: Any) -> Any:
    return client.post(path, body, content_type="application/json")


def order(client: Client, **body: Any) -> Any:
    return post(client, "/v1/jobs", **body)


def test_it_works(alice_client: Client, asset: Any, fake_separation: list[Any]):
    response = order(alice_client, asset=str(asset.uuid), stems=["vocals", "instrumental"])
    assert response.status_code == 201
    body = response.json()
    job_path = f"/v1/jobs/{body['id']}"
    assert (body["status"], body["model"], body["format"]) == ("queued", "htdemucs", "wav")
    assert (body["price_mcr"], body["charged_mcr"], body["outputs"]) == (5_000, 0, [])
    wallet = alice_client.get("/v1/credits").json()
    assert wallet == {
        "credits": "95",
        "available_mcr": 95_000,
        "held_mcr": 5_000,
        "balance_mcr": 100_000,
        "debt_mcr": 0,
    }

    run_jobs()
    body = alice_client.get(job_path).json()
    assert (body["status"], body["progress"], body["error"]) == ("succeeded", 1, None)
    assert (body["charged_mcr"], body["credits_charged"]) == (5_000, "5")
    assert [(output["stem"], output["format"]) for output in body["outputs"]] == [
        ("vocals", "wav16"),
        ("instrumental", "wav16"),
    ]
    assert alice_client.get("/v1/credits").json()["balance_mcr"] == 95_000
    (charge, grant) = alice_client.get("/v1/credits/ledger").json()["results"]
    assert (charge["kind"], charge["amount_mcr"], charge["job"]) == ("capture", -5_000, body["id"])
    assert (charge["credits"], charge["balance_mcr"]) == ("-5", 95_000)
    assert (grant["kind"], grant["amount_mcr"], grant["job"]) == ("grant", 100_000, None)


def test_a_repeated_order_under_one_key_is_one_job(alice_client: Client, asset: Any):
    def order_once(key: str, **body: Any) -> Any:
        return alice_client.post(
            "/v1/jobs",
            {"asset": str(asset.uuid), **body},
            content_type="application/json",
            headers={"Idempotency-Key": key},
        )

    first, second = order_once("k", stems=["vocals"]), order_once("k", stems=["vocals"])
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    other = order_once("k", stems=["drums"])
    assert (other.status_code, other.json()["error"]["code"]) == (422, "idempotency_conflict")
    for bad in ("", "x" * 201):
        response = order_once(bad)
        assert (response.status_code, response.json()["error"]["code"]) == (
            400,
            "validation_failed",
        )
    assert alice_client.get("/v1/credits").json()["held_mcr"] == 5_000


def test_the_estimate_is_the_price_and_makes_nothing(alice_client: Client, asset: Any):
    response = post(alice_client, "/v1/jobs/estimate", asset=str(asset.uuid), stems=["drums"])
    assert response.status_code == 200
    assert response.json() == {
        "asset": str(asset.uuid),
        "stems": ["drums"],
        "model": "htdemucs",
        "duration_s": 2.0,
        "credits": "5",
        "credits_mcr": 5_000,
        # Nothing was measured here yet.
        "eta_s": None,
    }
    assert Job.objects.count() == 0
    assert Hold.objects.count() == 0


def test_without_stems_it_makes_all_of_the_model(alice_client: Client, asset: Any):
    body = order(alice_client, asset=str(asset.uuid), model="spleeter-2stems").json()
    assert body["stems"] == ["vocals", "accompaniment"]
    body = order(alice_client, asset=str(asset.uuid)).json()
    assert set(body["stems"]) == {"vocals", "drums", "bass", "other"}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"stems": ["kazoo"]}, 400, "unknown_stem"),
        ({"stems": ["accompaniment"], "model": "htdemucs"}, 400, "incompatible_stems"),
        ({"stems": ["accompaniment", "drums"]}, 400, "incompatible_stems"),
        ({"stems": ["vocals", "vocals"]}, 400, "validation_failed"),
        ({"stems": []}, 400, "validation_failed"),
        ({"stems": "vocals"}, 400, "validation_failed"),
        ({"model": "nothing"}, 400, "unknown_model"),
        ({"format": "au"}, 400, "unsupported_format"),
        ({"service": "laundry"}, 400, "validation_failed"),
        ({"asset": "7"}, 400, "validation_failed"),
        ({"asset": str(uuid4())}, 404, "not_found"),
    ],
)
def test_it_refuses_a_bad_order_and_charges_nothing(
    alice_client: Client, alice: Any, asset: Any, body: dict[str, Any], status: int, code: str
):
    for path in ("/v1/jobs", "/v1/jobs/estimate"):
        response = post(alice_client, path, **{"asset": str(asset.uuid), **body})
        assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    assert Job.objects.count() == 0
    assert wallet_get(workspace=alice).available_mcr == 100_000


def test_it_names_the_stems_there_are(alice_client: Client, asset: Any):
    error = order(alice_client, asset=str(asset.uuid), stems=["kazoo"]).json()["error"]
    assert "kazoo" in error["message"]
    assert "vocals" in error["message"]


def test_it_refuses_a_format_that_cannot_hold_the_recording(
    alice_client: Client, alice: Any, tmp_path: Path
):
    path = tmp_path / "fine.wav"
    path.write_bytes(make_wav(seconds=0.2, sample_rate=96_000))
    asset = asset_create(workspace=alice, filename="fine.wav", path=path)
    response = order(alice_client, asset=str(asset.uuid), format="mp3")
    assert (response.status_code, response.json()["error"]["code"]) == (400, "unsupported_format")


def test_it_refuses_a_model_that_the_policy_forbids(
    alice_client: Client, alice: Any, asset: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("STEMWRIGHT_WEIGHTS_POLICY", "commercial")
    response = order(alice_client, asset=str(asset.uuid), model="htdemucs")
    assert (response.status_code, response.json()["error"]["code"]) == (503, "model_unavailable")
    assert wallet_get(workspace=alice).available_mcr == 100_000


def test_it_refuses_a_model_without_weights(
    alice_client: Client,
    alice: Any,
    asset: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
):
    monkeypatch.setenv("STEMWRIGHT_CACHE_DIR", str(tmp_path / "empty"))
    response = order(alice_client, asset=str(asset.uuid), stems=["vocals"])
    assert (response.status_code, response.json()["error"]["code"]) == (503, "model_unavailable")
    assert wallet_get(workspace=alice).available_mcr == 100_000


def test_too_few_credits_are_said_exactly(tmp_path: Path):
    poor = make_workspace("Poor", credits=0)
    make_grant(poor, 4_999)
    asset = make_asset(poor, tmp_path, seconds=2)
    response = order(Client(headers={"X-API-Key": make_key(poor)}), asset=str(asset.uuid))
    assert response.status_code == 402
    error = response.json()["error"]
    assert error["code"] == "insufficient_credits"
    assert error["message"] == "This costs 5 credits; 4.999 are available."
    assert error["data"] == {"required_mcr": 5_000, "available_mcr": 4_999}
    assert Job.objects.count() == 0
    assert wallet_get(workspace=poor).held_mcr == 0


def test_it_cancels_and_deletes(alice_client: Client, alice: Any, asset: Any):
    path = f"/v1/jobs/{order(alice_client, asset=str(asset.uuid)).json()['id']}"
    assert alice_client.delete(path).status_code == 409
    response = alice_client.post(f"{path}/cancel")
    assert (response.status_code, response.json()["status"]) == (200, "cancelled")
    assert alice_client.delete(path).status_code == 204
    assert alice_client.get(path).status_code == 404
    assert wallet_get(workspace=alice).available_mcr == 100_000


def test_an_ended_job_cannot_be_cancelled(
    alice_client: Client, alice: Any, asset: Any, fake_separation: list[Any]
):
    job = make_job(alice, asset)
    run_jobs()
    response = alice_client.post(f"/v1/jobs/{job.uuid}/cancel")
    assert (response.status_code, response.json()["error"]["code"]) == (409, "wrong_state")


def test_a_stranger_finds_nothing(
    alice: Any, asset: Any, charlie_client: Client, alice_client: Client
):
    job = make_job(alice, asset)
    path = f"/v1/jobs/{job.uuid}"
    for response in (
        charlie_client.get(path),
        charlie_client.delete(path),
        charlie_client.post(f"{path}/cancel"),
        charlie_client.get(f"{path}/events"),
        order(charlie_client, asset=str(asset.uuid)),
        post(charlie_client, "/v1/jobs/estimate", asset=str(asset.uuid)),
    ):
        assert response.status_code == 404
        assert response.json()["error"]["code"] == "not_found"
    assert charlie_client.get("/v1/jobs").json()["results"] == []
    assert alice_client.get(path).json()["status"] == "queued"


def test_a_list_costs_the_same_queries_for_any_number_of_jobs(
    alice_client: Client,
    alice: Any,
    asset: Any,
    fake_separation: list[Any],
    django_assert_num_queries: Callable[[int], Any],
):
    alice_client.get("/v1/jobs")
    for _ in range(3):
        make_job(alice, asset)
    run_jobs()
    # The key; the count of calls; the jobs with their recordings; their stems.
    with django_assert_num_queries(4):
        assert len(alice_client.get("/v1/jobs").json()["results"]) == 3
