"""Orders of WAVs and of notes, and their records. What makes them has tests of its own."""

from pathlib import Path
from typing import Any

import pytest
from django.db.models.functions import Now
from django.test import Client

from billing.ledger import hold_release
from billing.selectors import wallet_get
from jobs.delivering import messages_deliver
from jobs.models import Asset, AssetState, Job, JobState, OutputKind, Service
from jobs.outbox import job_ended
from tests.api.sunoapi.steps import NOWHERE, info, ordered, pair_of, post, refused, separated
from tests.fakes.receiver import Receiver
from tests.makers import make_asset, make_key, run_jobs
from tests.races import together

pytestmark = pytest.mark.django_db
WAV, MIDI = "/api/v1/wav/generate", "/api/v1/midi/generate"


@pytest.fixture
def pair(alice: Any, tmp_path: Path) -> dict[str, str]:
    return pair_of(alice, tmp_path)


def finish(task: str, folder: Path, *, kind: OutputKind, result: Any = None) -> Job:
    """End a task well, with one file."""
    job = Job.objects.get(uuid=task)
    hold_release(job_uuid=job.uuid)
    ended = {"state": JobState.SUCCEEDED, "started_at": Now(), "finished_at": Now()}
    Job.objects.filter(pk=job.pk).update(**ended, result=result or {})
    file = make_asset(job.workspace, folder)
    Asset.objects.filter(pk=file.pk).update(job=job, kind=kind, form="wav16")
    job.refresh_from_db()
    job_ended(job)
    return job


def test_a_wav(
    client: Client, alice: Any, pair: dict[str, str], tmp_path: Path, callbacks: Receiver
):
    task = ordered(client, WAV, {**pair, "callBackUrl": callbacks.url})
    job = Job.objects.get()
    assert (job.service, job.tariff, job.output_format) == (
        Service.CONVERSION,
        "wav_of_clip",
        "wav",
    )
    assert wallet_get(workspace=alice).held_mcr == 1_000
    record = info(client, "wav", task)
    assert record == {
        "taskId": task,
        "musicId": pair["audioId"],
        "audioId": pair["audioId"],
        "musicIndex": 0,
        "callbackUrl": callbacks.url,
        "completeTime": None,
        "response": None,
        "successFlag": "PENDING",
        "createTime": round(job.created_at.timestamp() * 1000),
        "errorCode": None,
        "errorMessage": None,
    }
    finish(task, tmp_path, kind=OutputKind.RECORDING)
    record = info(client, "wav", task)
    assert (record["successFlag"], list(record["response"])) == ("SUCCESS", ["audioWavUrl"])
    assert Client().head(record["response"]["audioWavUrl"]).status_code == 200
    messages_deliver()
    (received,) = callbacks.received
    data = received.body["data"]
    assert (received.body["code"], received.body["msg"]) == (200, "success")
    assert data["task_id"] == task
    assert data["audioWavUrl"] == data["audio_wav_url"]
    assert data["audioWavUrl"].startswith("http")


def test_there_is_one_record_of_a_wav(
    client: Client, alice: Any, pair: dict[str, str], tmp_path: Path
):
    body = {**pair, "callBackUrl": NOWHERE}
    task = ordered(client, WAV, body, **{"Idempotency-Key": "one"})
    text = "The WAV record of this audio already exists."
    assert refused(post(client, WAV, body)) == (409, text)
    # The same order again is that order.
    assert ordered(client, WAV, body, **{"Idempotency-Key": "one"}) == task
    finish(task, tmp_path, kind=OutputKind.RECORDING)
    assert refused(post(client, WAV, body)) == (409, text)
    assert refused(post(client, WAV, body, **{"Idempotency-Key": "two"}))[0] == 409
    assert Job.objects.count() == 1
    # Another may be made when the file is gone, or when there never was one.
    Asset.objects.filter(job__uuid=task).update(state=AssetState.DELETED)
    task = ordered(client, WAV, body)
    Job.objects.filter(uuid=task).update(state=JobState.FAILED, finished_at=Now())
    ordered(client, WAV, body)


@pytest.mark.django_db(transaction=True)
def test_calls_at_once_are_one_wav(alice: Any, pair: dict[str, str]):
    headers = {"X-API-Key": make_key(alice)}

    def order() -> Any:
        return post(Client(headers=headers), WAV, {**pair, "callBackUrl": NOWHERE})

    codes = {response.json()["code"] for response in together(4, order)}
    # Who comes a moment later finds the record.
    assert 200 in codes <= {200, 409}
    assert Job.objects.count() == 1


def test_a_wav_of_another_audio_is_another_record(
    client: Client, alice: Any, pair: dict[str, str], tmp_path: Path
):
    ordered(client, WAV, pair)
    ordered(client, WAV, pair_of(alice, tmp_path))


def test_a_wav_that_failed(client: Client, pair: dict[str, str]):
    task = ordered(client, WAV, pair)
    failed = {"state": JobState.FAILED, "finished_at": Now(), "started_at": Now()}
    Job.objects.update(**failed, error_code="internal", error_message="Ours.")
    record = info(client, "wav", task)
    assert (record["successFlag"], record["errorCode"]) == ("GENERATE_WAV_FAILED", 500)


@pytest.mark.parametrize("path", [WAV, MIDI])
def test_orders_that_are_refused(client: Client, pair: dict[str, str], path: str):
    for body in (
        {},
        {"taskId": pair["taskId"], "audioId": pair["audioId"]},
        {"taskId": "x", "callBackUrl": NOWHERE},
        {**pair, "audioId": "x", "callBackUrl": NOWHERE},
        {**pair, "callBackUrl": "no address"},
    ):
        assert refused(post(client, path, body))[0] == 400
    assert Job.objects.count() == 0


NOTES = {
    "notes": 2,
    "instruments": [
        {
            "name": "Piano",
            "notes": [
                {"pitch": 69, "start": 0.5, "end": 1.25, "velocity": 127},
                {"pitch": 44, "start": 7.6875, "end": 7.9, "velocity": 64},
            ],
        }
    ],
}


def test_notes_of_a_stem(
    client: Client,
    alice: Any,
    pair: dict[str, str],
    tmp_path: Path,
    callbacks: Receiver,
    fake_separation: list[Any],
):
    separation = separated(client, pair)
    run_jobs()
    stem = info(client, "vocal-removal", separation)["response"]["originData"][0]["id"]
    task = ordered(
        client, MIDI, {"taskId": separation, "audioId": stem, "callBackUrl": callbacks.url}
    )
    job = Job.objects.get(uuid=task)
    assert (job.service, job.tariff) == (Service.TRANSCRIPTION, "notes_of_clip")
    assert (str(job.recording.uuid), job.price_mcr) == (stem, 1_000)
    assert info(client, "midi", task) == {
        "taskId": task,
        "recordTaskId": -1,
        "audioId": stem,
        "callbackUrl": callbacks.url,
        "completeTime": None,
        "midiData": None,
        "successFlag": 0,
        "createTime": round(job.created_at.timestamp() * 1000),
        "errorCode": None,
        "errorMessage": None,
    }
    finish(task, tmp_path, kind=OutputKind.NOTES, result=NOTES)
    record = info(client, "midi", task)
    assert record["successFlag"] == 1
    data = record["midiData"]
    assert Client().head(data.pop("midiUrl")).status_code == 200
    assert data == {
        "state": "complete",
        "instruments": [
            {
                "name": "Piano",
                "notes": [
                    {"pitch": 69, "start": 0.5, "end": 1.25, "velocity": 1.0},
                    {"pitch": 44, "start": 7.6875, "end": 7.9, "velocity": 0.5039},
                ],
            }
        ],
    }
    messages_deliver()
    (received,) = callbacks.received
    body = received.body
    assert (body["task_id"], body["code"], body["msg"]) == (task, 200, "success")
    assert body["data"]["instruments"] == data["instruments"]
    assert body["data"]["state"] == "complete"


def test_notes_of_the_whole_recording(
    client: Client, pair: dict[str, str], fake_separation: list[Any]
):
    separation = separated(client, pair)
    task = ordered(client, MIDI, {"taskId": separation})
    assert info(client, "midi", task)["audioId"] == pair["audioId"]
    # Of an upload as well.
    ordered(client, MIDI, {"taskId": pair["taskId"]})


@pytest.mark.parametrize(("started_at", "flag"), [(None, 2), (Now(), 3)])
def test_notes_that_failed(client: Client, pair: dict[str, str], started_at: Any, flag: int):
    task = ordered(client, MIDI, pair)
    Job.objects.update(
        state=JobState.FAILED,
        finished_at=Now(),
        started_at=started_at,
        error_code="broken_media",
        error_message="It is broken.",
    )
    record = info(client, "midi", task)
    assert (record["successFlag"], record["errorCode"]) == (flag, 400)
    assert (record["errorMessage"], record["midiData"]) == ("It is broken.", None)
