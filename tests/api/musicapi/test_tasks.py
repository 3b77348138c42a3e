from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from billing.selectors import wallet_get
from jobs.models import Asset, AssetState, Job
from jobs.services import job_cancel
from separation import catalog
from tests.api.answers import content
from tests.api.musicapi.calls import SONIC, call, post, refusal
from tests.makers import make_job, run_jobs

pytestmark = pytest.mark.django_db


def task(client: Client, task_id: object) -> Any:
    return client.get(f"{SONIC}task/{task_id}")


def ordered(client: Client, clip: Asset, name: str = "stems/basic", **body: Any) -> Job:
    response = call(client, name, clip, **body)
    task_id = response.json()["task_id"]
    assert response.json() == {"code": 200, "task_id": task_id, "message": "success"}
    return Job.objects.get(uuid=task_id)


def states(client: Client, job: Job, **values: Any) -> set[str]:
    Job.objects.filter(pk=job.pk).update(**values)
    return {entry["state"] for entry in task(client, job.uuid).json()["data"]}


def test_two_stems(client: Client, clip: Asset, alice: Any, fake_separation: list[Any]):
    job = ordered(client, clip)
    assert (job.stems, job.tariff, job.price_mcr) == (
        ["vocals", "instrumental"],
        "two_stem_set",
        15_000,
    )
    body = task(client, job.uuid).json()
    assert (body["code"], body["message"]) == (200, "success")
    assert [(one["clip_id"], one["state"], one["audio_url"]) for one in body["data"]] == [
        (None, "pending", None)
    ] * 2
    assert run_jobs() == 1
    made = {made.stem: made for made in Asset.objects.filter(job=job)}
    voice, rest = task(client, job.uuid).json()["data"]
    job.refresh_from_db()
    url = voice.pop("audio_url")
    assert content(Client().get(url))[:4] == b"RIFF"
    assert voice == {
        "clip_id": str(made["vocals"].uuid),
        "state": "succeeded",
        "title": "My song (Vocals)",
        "stem": "vocals",
        "tags": "",
        "lyrics": "",
        "image_url": None,
        "video_url": None,
        "created_at": job.created_at.isoformat(),
        "mv": "htdemucs",
        "gpt_description_prompt": None,
        "duration": 2.0,
    }
    assert (rest["title"], rest["clip_id"]) == (
        "My song (Instrumental)",
        str(made["instrumental"].uuid),
    )
    assert wallet_get(workspace=alice).posted_mcr == 85_000
    # A stem is a clip like any other.
    assert ordered(client, made["vocals"]).recording == made["vocals"]
    Asset.objects.filter(pk=made["vocals"].pk).update(state=AssetState.DELETED)
    voice = task(client, job.uuid).json()["data"][0]
    assert (voice["clip_id"], voice["audio_url"], voice["state"]) == (None, None, "succeeded")


@pytest.mark.parametrize("models", ["roots_only", "whole_tree"])
def test_all_stems_that_there_are_models_for(
    client: Client, clip: Asset, models: str, request: pytest.FixtureRequest
):
    request.getfixturevalue(models)
    job = ordered(client, clip, "stems/full")
    assert (job.tariff, job.price_mcr) == ("all_stem_set", 50_000)
    titles = [one["title"] for one in task(client, job.uuid).json()["data"]]
    assert titles[0] == "My song (Vocals)"
    assert titles[-1] == "My song (FX/Other)"
    # Together they are the whole song.
    assert len(set(titles)) == len(job.stems) == (4 if models == "roots_only" else 12)


def test_stems_that_nothing_here_makes_are_refused_before_any_charge(
    client: Client, clip: Asset, alice: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("separation.weights.is_installed", lambda model: False)
    status, message = refusal(call(client, "stems/full", clip))
    assert status == 400
    assert "lead_vocals, backing_vocals, drum_kit" in message
    assert (Job.objects.count(), wallet_get(workspace=alice).held_mcr) == (0, 0)


def test_where_no_model_makes_all_the_largest_set_is_made(monkeypatch: pytest.MonkeyPatch):
    from api.stem_sets import stems_available

    # Each by a root model of its own.
    assert stems_available(["accompaniment", "drums", "bass"]) == ("drums", "bass")
    spleeter = catalog.model("spleeter-2stems")
    monkeypatch.setattr(catalog, "models", lambda: (spleeter,))
    assert stems_available(["accompaniment", "drums"]) == ("accompaniment",)


def test_the_state_is_that_of_the_job(client: Client, clip: Asset, alice: Any):
    job = ordered(client, clip)
    assert states(client, job) == {"pending"}
    assert states(client, job, state="running", lease_until="2100-01-01T00:00:00Z") == {"running"}
    failed = {"state": "failed", "lease_until": None, "error_message": "It broke."}
    assert states(client, job, **failed) == {"failed"}
    body = task(client, job.uuid).json()
    assert body["message"] == "Task failed. It broke. Credits were previously refunded."
    other = ordered(client, clip)
    job_cancel(workspace=alice, job_uuid=other.uuid)
    assert states(client, other) == {"failed"}
    body = task(client, other.uuid).json()
    assert body["message"] == "Task was cancelled. Credits were previously refunded."


def test_unknown_tasks_and_those_of_others(
    client: Client, stranger: Client, clip: Asset, alice: Any
):
    job = ordered(client, clip)
    native = make_job(alice, clip)
    for response in (
        task(stranger, job.uuid),
        task(client, native.uuid),
        task(client, uuid4()),
        task(client, "nothing"),
        task(client, "%00"),
    ):
        assert refusal(response) == (400, "task not found.")
    assert refusal(client.get(f"{SONIC}task/")) == (400, "missing task id.")


@pytest.mark.parametrize("name", ["vox", "stems/basic", "stems/full", "wav", "bpm", "midi"])
def test_unknown_clips_and_those_of_others(
    client: Client, stranger: Client, clip: Asset, name: str
):
    assert refusal(call(stranger, name, clip)) == (404, "clip not found.")
    for clip_id in (str(uuid4()), "nothing", "26c9c592"):
        assert refusal(post(client, name, {"clip_id": clip_id})) == (404, "clip not found.")
    assert Job.objects.count() == 0


def test_a_repeated_order_under_one_key_is_one_task(client: Client, clip: Asset, alice: Any):
    body = {"clip_id": str(clip.uuid)}
    first, second = (
        post(client, "stems/basic", body, **{"Idempotency-Key": "k"}) for _ in range(2)
    )
    assert first.json() == second.json()
    response = post(client, "stems/full", body, **{"Idempotency-Key": "k"})
    assert refusal(response)[0] == 400
    assert (Job.objects.count(), wallet_get(workspace=alice).held_mcr) == (1, 15_000)
