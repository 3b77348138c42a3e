from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pytest
from django.test import Client

from billing.selectors import wallet_get
from jobs.models import Asset, AssetState, Ingest, Job, OutputKind
from jobs.separating import asset_info
from jobs.storage import storage_save
from jobs.work import Made
from tests.api.answers import content
from tests.api.musicapi.calls import SONIC, call, post, refusal
from tests.fakes.http import Server, says
from tests.makers import run_jobs

pytestmark = pytest.mark.django_db

INSTRUMENTS = [
    {"name": "piano", "notes": [{"pitch": 60, "start": 0.1, "end": 0.5, "velocity": 90}]}
]
# What the call answers beside links, by its name; and what its job makes.
TOOLS: dict[str, tuple[str, str, OutputKind | None, dict[str, Any], set[str]]] = {
    "wav": ("conversion", "wav_of_clip", OutputKind.RECORDING, {}, {"wav_url"}),
    "bpm": (
        "analysis",
        "tempo_of_clip",
        None,
        {"tempo": {"bpm": 120.5, "min_bpm": 119.0, "max_bpm": 121.0}, "key": {}},
        {"avg_bpm", "max_bpm", "min_bpm"},
    ),
    "midi": (
        "transcription",
        "notes_of_clip",
        OutputKind.NOTES,
        {"notes": 1, "instruments": INSTRUMENTS},
        {"midi_url", "instruments"},
    ),
}


def made(job: Job, kind: OutputKind | None, result: dict[str, Any], folder: Any) -> Made:
    """What a worker would hand on."""
    if kind is None:
        return Made([], result=result)
    path = folder / "made"
    path.write_bytes(b"made")
    key = f"jobs/{job.uuid}/{job.attempt}/made"
    storage_save(key=key, path=path)
    asset = Asset(
        workspace=job.workspace,
        state=AssetState.READY,
        job=job,
        kind=kind,
        filename="made",
        storage_key=key,
        size_bytes=4,
        sha256="",
        **asdict(asset_info(job.recording)),
    )
    return Made([asset], result=result)


@pytest.fixture
def working(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Callable[[str], None]:
    """Makes what the tool of this name makes, at once."""

    def work(name: str) -> None:
        _, _, kind, result, _ = TOOLS[name]
        make = lambda job, heartbeat: made(job, kind, result, tmp_path)  # noqa: E731
        monkeypatch.setattr("jobs.runner.job_work", make)
        monkeypatch.setattr("api.musicapi.waiting.pause", run_jobs)

    return work


@pytest.mark.parametrize("name", TOOLS)
def test_it_answers_with_what_was_made(
    client: Client, clip: Asset, alice: Any, working: Callable[[str], None], name: str
):
    working(name)
    service, tariff, _, _, fields = TOOLS[name]
    response = call(client, name, clip)
    assert response.status_code == 200
    body = response.json()
    assert (body["code"], body["message"]) == (200, "success")
    data = body["data"]
    assert set(data) == fields
    if name == "bpm":
        assert data == {"avg_bpm": 120.5, "max_bpm": 121.0, "min_bpm": 119.0}
    else:
        assert content(Client().get(data[f"{name}_url"])) == b"made"
    assert data.get("instruments", INSTRUMENTS) == INSTRUMENTS
    job = Job.objects.get()
    assert (job.service, job.tariff, job.price_mcr) == (service, tariff, 1_000)
    assert wallet_get(workspace=alice).posted_mcr == 99_000
    # Asked for later, it is the same.
    (later,) = client.get(f"{SONIC}task/{job.uuid}").json()["data"]
    assert (later["clip_id"], later["state"]) == (str(clip.uuid), "succeeded")
    assert {key: later[key] for key in fields if "url" not in key} == {
        key: data[key] for key in fields if "url" not in key
    }


@pytest.mark.parametrize("name", TOOLS)
def test_with_an_address_to_tell_it_does_not_wait(client: Client, clip: Asset, name: str):
    response = call(client, name, clip, webhook_url="https://hooks.example.org/x")
    job = Job.objects.get()
    assert response.json() == {"code": 200, "task_id": str(job.uuid), "message": "success"}
    (entry,) = client.get(f"{SONIC}task/{job.uuid}").json()["data"]
    assert entry == {"clip_id": str(clip.uuid), "state": "pending"}


def test_a_file_that_is_gone_has_no_address(
    client: Client, clip: Asset, working: Callable[[str], None]
):
    working("wav")
    body = {"clip_id": str(clip.uuid)}
    assert post(client, "wav", body, **{"Idempotency-Key": "k"}).json()["data"]["wav_url"]
    Asset.objects.filter(job__isnull=False).update(state=AssetState.DELETED)
    response = post(client, "wav", body, **{"Idempotency-Key": "k"})
    assert response.json()["data"] == {"wav_url": None}


def test_a_recording_is_fetched_while_the_caller_waits(
    client: Client, alice: Any, media_server: Server, worker: None
):
    response = post(client, "upload", {"url": f"{media_server.url}/song.wav"})
    asset = Asset.objects.get()
    assert response.status_code == 200
    assert response.json() == {"code": 200, "clip_id": str(asset.uuid), "message": "success"}
    assert (asset.workspace, asset.filename) == (alice, "song.wav")
    assert wallet_get(workspace=alice).posted_mcr == 100_000


def test_a_recording_that_does_not_come(
    client: Client, media_server: Server, worker: None, settings: Any
):
    media_server.answer = says("404 Not Found")
    url = f"{media_server.url}/song.wav"
    assert refusal(post(client, "upload", {"url": url})) == (
        400,
        "The server of this address answered 404 instead of a file.",
    )
    media_server.answer = says("200 OK", body=b"<html>")
    assert refusal(post(client, "upload", {"url": url}))[0] == 400
    assert Asset.objects.filter(state=AssetState.READY).count() == 0


def test_a_recording_that_does_not_come_in_time(
    client: Client, media_server: Server, settings: Any, pauses: list[Any]
):
    settings.SYNC_WAIT_SECONDS = 0
    response = post(client, "upload", {"url": media_server.url})
    assert refusal(response) == (504, "Task failed due to timeout.")
    assert Ingest.objects.get().state == "cancelled"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"url": ""},
        {"url": "http://a b/"},
        {"url": "x" * 10_000},
        {"url": "https://media.example.org/a.wav", "callback_url": "https://hooks.example.org"},
        {"url": "https://media.example.org/a.wav", "webhook_url": "https://hooks.example.org"},
        [],
    ],
)
def test_a_wrong_upload_is_refused(client: Client, body: Any):
    assert refusal(post(client, "upload", body))[0] == 400
    assert Ingest.objects.count() == 0


def test_a_forbidden_address_is_refused(client: Client):
    assert refusal(post(client, "upload", {"url": "http://127.0.0.1/"}))[0] == 400
    response = post(
        client,
        "stems/basic",
        {"clip_id": "x", "webhook_url": "https://a.example.org/" + "x" * 1024},
    )
    assert refusal(response)[0] == 400
