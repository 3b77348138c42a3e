from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.db.models.functions import Now
from django.test import Client

from accounts.models import ApiKey
from billing.models import Hold
from billing.selectors import wallet_get
from jobs.models import Asset, AssetState, Job
from jobs.services import job_cancel
from tests.makers import make_asset, make_job, make_key, make_workspace, run_jobs

pytestmark = pytest.mark.django_db

ALL = [
    "Queued",
    "Job Started",
    "Loading Model",
    "Model Loading Complete",
    "Splitting Audio",
    "Split Complete",
    "Job Ended",
    "Completed",
]


@pytest.fixture
def asset(alice: Any, tmp_path: Path) -> Asset:
    return make_asset(alice, tmp_path, seconds=2)


def extract(client: Client, body: Any, **headers: str) -> Any:
    path = "/api/voice-extractor/v1/extract"
    return client.post(path, body, content_type="application/json", headers=headers)


def task(client: Client, task_id: object) -> Any:
    return client.get("/api/voice-extractor/v1/task", {"taskId": str(task_id)})


def ordered(client: Client, asset: Asset) -> Job:
    response = extract(client, {"fileId": str(asset.uuid)})
    assert response.status_code == 200
    return Job.objects.get(uuid=response.json()["data"]["taskId"])


def words(client: Client, job: Job, **state: Any) -> list[str]:
    """What is told of a job in this state."""
    Job.objects.filter(pk=job.pk).update(**state)
    data = task(client, job.uuid).json()["data"]
    assert data["jobStatus"] == data["jobProgress"][-1]
    progress: list[str] = data["jobProgress"]
    return progress


def test_it_makes_both_files_and_charges_a_call(
    client: Client, asset: Asset, alice: Any, fake_separation: list[dict[str, Any]]
):
    job = ordered(client, asset)
    assert (job.dialect, job.tariff, job.price_mcr) == (
        "neuralspace",
        "two_stem_separation",
        10_000,
    )
    assert run_jobs() == 1
    assert sorted(fake_separation[0]["stems"]) == ["instrumental", "vocals"]
    data = task(client, job.uuid).json()["data"]
    made = {made.stem: str(made.uuid) for made in Asset.objects.filter(job=job)}
    assert data["results"]["output"] == {
        "instrument_path": f"uploads/{made['instrumental']}",
        "instrument_file_id": made["instrumental"],
        "vocal_path": f"uploads/{made['vocals']}",
        "vocal_file_id": made["vocals"],
    }
    key = ApiKey.objects.get(workspace=alice)
    assert data["apikey"] == f"ap_{key.key_id}********"
    assert wallet_get(workspace=alice).posted_mcr == 90_000
    # A file that is gone leaves its name behind, without a value.
    Asset.objects.filter(stem="vocals").update(state=AssetState.DELETED)
    output = task(client, job.uuid).json()["data"]["results"]["output"]
    assert (output["vocal_file_id"], output["vocal_path"]) == (None, None)
    assert output["instrument_file_id"] == made["instrumental"]


def test_the_words_tell_how_far_it_has_come(client: Client, asset: Asset):
    job = ordered(client, asset)
    assert words(client, job) == ALL[:1]
    running = {"state": "running", "lease_until": Now(), "started_at": Now()}
    assert words(client, job, **running) == ALL[:2]
    assert words(client, job, step="load") == ALL[:3]
    assert words(client, job, step="separate") == ALL[:5]
    assert words(client, job, progress=0.5) == ALL[:5]
    assert words(client, job, progress=1) == ALL[:6]
    # Given back by a worker that had to stop.
    back = {"state": "queued", "lease_until": None, "progress": 0, "step": ""}
    assert words(client, job, **back) == ALL[:1]


@pytest.mark.parametrize(("progress", "n_before"), [(0, 2), (0.3, 5), (1, 6)])
def test_failed_stands_in_the_place_of_completed(
    client: Client, asset: Asset, progress: float, n_before: int
):
    job = ordered(client, asset)
    told = words(
        client,
        job,
        state="failed",
        started_at=Now(),
        finished_at=Now(),
        progress=progress,
        error_code="worker_lost",
        error_message="The machine that worked on this was lost.",
    )
    assert told == [*ALL[:n_before], "Job Ended", "Failed"]
    data = task(client, job.uuid).json()["data"]
    assert (data["results"], data["message"]) == ({}, "The machine that worked on this was lost.")


def test_a_task_that_was_cancelled_failed(client: Client, asset: Asset, alice: Any):
    job = ordered(client, asset)
    job_cancel(workspace=alice, job_uuid=job.uuid)
    data = task(client, job.uuid).json()["data"]
    assert data["jobProgress"] == ["Queued", "Failed"]
    assert data["message"] == "job was cancelled"
    assert wallet_get(workspace=alice).held_mcr == 0


def test_a_repeated_order_under_one_key_is_one_task(client: Client, asset: Asset, tmp_path: Path):
    body = {"fileId": str(asset.uuid)}
    first, second = (extract(client, body, **{"Idempotency-Key": "k"}) for _ in range(2))
    assert first.json() == second.json()
    other = make_asset(asset.workspace, tmp_path)
    response = extract(client, {"fileId": str(other.uuid)}, **{"Idempotency-Key": "k"})
    assert (response.status_code, response.json()["success"]) == (400, False)
    assert extract(client, body, **{"Idempotency-Key": ""}).status_code == 400
    assert (Job.objects.count(), Hold.objects.count()) == (1, 1)


def test_unknown_fields_do_no_harm(client: Client, asset: Asset):
    """Nobody knows all that customers of the other service send."""
    assert extract(client, {"fileId": str(asset.uuid), "language": "en"}).status_code == 200


def test_tasks_of_others_look_unknown(client: Client, stranger: Client, asset: Asset, alice: Any):
    job = ordered(client, asset)
    native = make_job(alice, asset)
    answers = [
        task(stranger, job.uuid),
        task(client, native.uuid),
        task(client, uuid4()),
        task(client, "nothing"),
    ]
    for response in answers:
        assert (response.status_code, response.json()["data"]) == (404, None)
    assert extract(stranger, {"fileId": str(asset.uuid)}).status_code == 404
    assert Job.objects.filter(workspace=alice).count() == 2
    assert task(client, "").status_code == 400


@pytest.mark.parametrize(
    "body", [{}, [], "x", 1, {"fileId": None}, {"fileId": ""}, {"fileId": []}, {"fileId": "\0"}]
)
def test_a_wrong_body_is_refused(client: Client, body: Any):
    response = extract(client, body)
    assert (response.status_code, response.json()["success"]) == (400, False)


def test_every_error_is_in_its_own_envelope(client: Client, asset: Asset, settings: Any):
    path = "/api/voice-extractor/v1/extract"
    unauthorized = {"success": False, "message": "Unauthorized", "data": None}
    for nobody in (Client(), Client(headers={"Authorization": "ap_wrong"})):
        response = extract(nobody, {"fileId": str(asset.uuid)})
        assert (response.status_code, response.json()) == (401, unauthorized)

    poor = make_workspace(credits=9)
    own = make_asset(poor, settings.MEDIA_ROOT)
    response = extract(Client(headers={"Authorization": make_key(poor)}), {"fileId": own.uuid})
    assert response.status_code == 402
    message = "This costs 10 credits; 9 are available."
    assert response.json() == {"success": False, "message": message, "data": None}
    assert Job.objects.count() == 0

    def refusal(response: Any) -> int:
        body = response.json()
        assert (body["success"], body["data"]) == (False, None)
        assert body["message"]
        status: int = response.status_code
        return status

    assert refusal(client.get(path)) == 405
    assert refusal(client.get("/api/file/nothing")) == 404
    assert refusal(client.get("/api/voice-extractor/v2/extract")) == 404
    assert refusal(client.post(path, "fileId=x", content_type="text/plain")) == 415
    assert refusal(client.post(path, "{", content_type="application/json")) == 400
    settings.RATE_LIMIT_PER_MINUTE = 1
    task(client, uuid4())
    response = task(client, uuid4())
    assert refusal(response) == 429
    assert int(response.headers["Retry-After"]) > 0


def test_a_fault_of_ours_tells_nothing_of_itself(
    client: Client, asset: Asset, monkeypatch: pytest.MonkeyPatch
):
    def break_down(**_: Any) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr("api.neuralspace.tasks.job_create", break_down)
    response = extract(client, {"fileId": str(asset.uuid)})
    assert response.status_code == 500
    assert response.json() == {
        "success": False,
        "message": "Something went wrong on our side.",
        "data": None,
    }
