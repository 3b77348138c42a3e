"""The page "Separate Vocals from Music", from top to bottom, with real music and networks.

Each assertion names the passage that it is about. What the page refers to but does not show (the
way in, the details, the callback) is used on the way.
"""

import base64
import io
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from unittest.mock import create_autospec

import httpx
import pytest
import soundfile

from billing.selectors import wallet_get
from config.errors import Unavailable
from jobs.delivering import messages_deliver
from jobs.models import Job
from jobs.storage import download_token_read
from tests.api.real import music, real_engine
from tests.fakes.receiver import DOWN, OK, Receiver
from tests.jobs.webhook_steps import make_due
from tests.makers import make_grant, make_key, run_jobs

SECONDS = 3.0
GENERATE = "/api/v1/vocal-removal/generate"
RECORD = "/api/v1/vocal-removal/record-info"
# "Vocals, Backing Vocals, Drums, Bass, Guitar, Keyboard, Strings, Brass, Woodwinds, Percussion,
# Synth, FX/Other"
TWELVE = [
    "vocalUrl",
    "backingVocalsUrl",
    "drumsUrl",
    "bassUrl",
    "guitarUrl",
    "keyboardUrl",
    "stringsUrl",
    "brassUrl",
    "woodwindsUrl",
    "percussionUrl",
    "synthUrl",
    "fxUrl",
]


@pytest.fixture(autouse=True)
def _engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with real_engine(monkeypatch):
        yield


@pytest.mark.django_db(transaction=True)
def test_the_page_from_top_to_bottom(
    alice: Any,
    live_server: Any,
    callbacks: Receiver,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
):
    settings.SITE_URL = live_server.url
    make_grant(alice, 100_000)
    # "All endpoints require authentication using Bearer Token."
    # `Authorization: Bearer YOUR_API_KEY`
    with httpx.Client(
        base_url=live_server.url,
        headers={"Authorization": f"Bearer {make_key(alice)}"},
        trust_env=False,
    ) as http:
        recording = music(seconds=SECONDS)
        uploaded = http.post(
            "/api/file-stream-upload",
            files={"file": ("song.wav", recording, "audio/wav")},
            data={"uploadPath": "music"},
        ).json()["data"]
        # "taskId | string | ID of the original music-generation task"; example "5c79****be8e".
        assert re.fullmatch(r"[0-9a-f]{32}", uploaded["taskId"])
        # "audioId"; example "e231****-****-****-****-****8cadc7dc".
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", uploaded["audioId"])
        pair = {name: uploaded[name] for name in ("taskId", "audioId")}

        # "separate_vocal (default) | 2 stems", "callBackUrl": "The URL to receive …".
        callbacks.answer = DOWN
        order = {**pair, "callBackUrl": f"{callbacks.url}/callback"}
        response = http.post(GENERATE, json=order)
        two = ok(response)["taskId"]
        assert set(response.json()["data"]) == {"taskId"}
        # "10 Credits"
        assert credits(http) == 190
        assert run_jobs() == 1
        record = ok(http.get(RECORD, params={"taskId": two}))
        assert record["successFlag"] == "SUCCESS"
        assert record["musicId"] == pair["audioId"]
        assert record["callbackUrl"] == order["callBackUrl"]
        assert isinstance(record["completeTime"], int)
        assert record["completeTime"] >= record["createTime"] > 1_700_000_000_000
        assert (record["errorCode"], record["errorMessage"]) == (None, None)
        # "returns 2 stems — vocals + instrumental", which add up to what was sent.
        urls = record["response"]
        made = {name for name in (*TWELVE, "instrumentalUrl") if urls[name]}
        assert made == {"vocalUrl", "instrumentalUrl"}
        vocals, instrumental = read(urls["vocalUrl"]), read(urls["instrumentalUrl"])
        mixture, _ = soundfile.read(io.BytesIO(recording))
        assert vocals.shape == instrumental.shape == mixture.shape
        assert abs(vocals).max() > 0.01
        assert abs(vocals + instrumental - mixture).max() < 2 / 32768
        # "All returned audio-file URLs remain accessible for 14 days."
        for url in (urls["vocalUrl"], urls["instrumentalUrl"], urls["originUrl"]):
            seconds = download_token_read(url.rsplit("/", 1)[1]).seconds
            assert seconds == pytest.approx(timedelta(days=14).total_seconds(), abs=300)

        # "Callbacks": "separate_vocal: Contains vocal and instrumental separation results".
        messages_deliver()
        callbacks.answer = OK
        make_due()
        messages_deliver()
        refused, received = callbacks.received
        assert refused.content == received.content
        body = received.body
        assert (body["code"], body["data"]["task_id"]) == (200, two)
        for name in ("vocal_removal_info", "vocal_separation_info"):
            told = body["data"][name]
            assert (read(told["vocal_url"]) == vocals).all()
            assert (read(told["instrumental_url"]) == instrumental).all()

        # "split_stem | Up to 12 stems"; "type | string | Required. Separation mode".
        split = ok(http.post(GENERATE, json={**order, "type": "split_stem"}))["taskId"]
        # "50 Credits"
        assert credits(http) == 140
        assert run_jobs() == 1
        urls = ok(http.get(RECORD, params={"taskId": split}))["response"]
        assert set(TWELVE) <= set(urls)
        made = {name for name in TWELVE if urls[name]}
        assert {"vocalUrl", "drumsUrl", "bassUrl", "fxUrl"} <= made
        for name in made:
            assert read(urls[name]).shape == mixture.shape
        messages_deliver()
        # "split_stem: Contains various instrument separation results".
        told = callbacks.received[-1].body["data"]["vocal_removal_info"]
        assert {name for name, url in told.items() if url} == {
            "origin_url",
            *(snake(name) for name in made),
        }

        # "Re-submitting the same track triggers a new credit deduction (no server-side caching)."
        again = ok(http.post(GENERATE, json={**order, "type": "separate_vocal"}))["taskId"]
        assert again != two
        assert credits(http) == 130

        # "Status Codes", in this order, each in the body.
        # "400 - Invalid parameters": taskId, audioId and callBackUrl are "Required."
        for name in order:
            body = {key: value for key, value in order.items() if key != name}
            refusal(http.post(GENERATE, json=body), 400)
        # "Available options: separate_vocal, split_stem"
        refusal(http.post(GENERATE, json={**order, "type": "vocals"}), 400)
        # "401 - Unauthorized access"
        bad = {"Authorization": "Bearer ap_not_a_key"}
        refusal(http.post(GENERATE, json=order, headers=bad), 401)
        # "404 - Invalid request method or path"
        refusal(http.get(GENERATE), 404)
        refusal(http.post("/api/v1/vocal-removal/generates", json=order), 404)
        # "405 - Rate limit exceeded"
        settings.RATE_LIMIT_PER_MINUTE = 1
        http.get(RECORD, params={"taskId": two})
        refusal(http.get(RECORD, params={"taskId": two}), 405)
        # "413 - Theme or prompt too long"; here: a file too large.
        settings.RATE_LIMIT_PER_MINUTE = 100
        settings.UPLOAD_MAX_BYTES = 1000
        refusal(http.post("/api/file-stream-upload", files={"file": ("a.wav", recording)}), 413)
        # "429 - Insufficient credits"
        left = 130
        while left >= 50:
            ok(http.post(GENERATE, json={**order, "type": "split_stem"}))
            left -= 50
        refusal(http.post(GENERATE, json={**order, "type": "split_stem"}), 429)
        assert credits(http) == left
        # "430 - Your call frequency is too high. Please try again later."
        # A window may end meanwhile, not two.
        codes = (http.post(GENERATE, json={}).json()["code"] for _ in range(41))
        assert next((code for code in codes if code != 400), None) == 430
        # "455 - System maintenance", "500 - Server error"
        for error, code in ((Unavailable(), 455), (ValueError("a secret"), 500)):
            failing = create_autospec(wallet_get, side_effect=error)
            monkeypatch.setattr("api.sunoapi.credit.wallet_get", failing)
            response = http.get("/api/v1/generate/credit")
            refusal(response, code)
            assert "secret" not in response.text
    assert Job.objects.filter(dialect="sunoapi").count() == 5
    assert wallet_get(workspace=alice).posted_mcr == 200_000 - 10_000 - 50_000


@pytest.mark.django_db(transaction=True)
def test_a_wav_and_the_notes_of_a_stem(
    alice: Any, live_server: Any, callbacks: Receiver, settings: Any
):
    """What the page's family makes of its results: WAV, MIDI."""
    settings.SITE_URL = live_server.url
    with httpx.Client(
        base_url=live_server.url,
        headers={"Authorization": f"Bearer {make_key(alice)}"},
        trust_env=False,
    ) as http:
        recording = music(seconds=SECONDS)
        body = {"base64Data": base64.b64encode(recording).decode(), "fileName": "song.wav"}
        response = http.post("/api/file-base64-upload", json=body).json()
        assert (response["success"], response["msg"]) == (True, "File uploaded successfully")
        told = {"callBackUrl": callbacks.url}
        pair = {name: response["data"][name] for name in ("taskId", "audioId")}
        separation = ok(http.post(GENERATE, json={**pair, **told}))["taskId"]
        assert run_jobs() == 1
        stems = ok(http.get(RECORD, params={"taskId": separation}))["response"]["originData"]
        assert [stem["stem_type_group_name"] for stem in stems] == ["Vocals", "Instrumental"]
        assert {stem["duration"] for stem in stems} == {SECONDS}
        stem = {"taskId": separation, "audioId": stems[1]["id"]}
        wav = ok(http.post("/api/v1/wav/generate", json={**stem, **told}))["taskId"]
        midi = ok(http.post("/api/v1/midi/generate", json={**stem, **told}))["taskId"]
        assert run_jobs() == 2
        record = ok(http.get("/api/v1/wav/record-info", params={"taskId": wav}))
        assert (record["successFlag"], record["musicId"]) == ("SUCCESS", stem["audioId"])
        samples = read(record["response"]["audioWavUrl"])
        assert (samples == read(stems[1]["audio_url"])).all()
        record = ok(http.get("/api/v1/midi/record-info", params={"taskId": midi}))
        assert (record["successFlag"], record["audioId"]) == (1, stem["audioId"])
        data = record["midiData"]
        notes = [note for one in data["instruments"] for note in one["notes"]]
        assert len(notes) > 5
        for note in notes:
            assert isinstance(note["pitch"], int)
            assert 21 <= note["pitch"] <= 108
            assert 0 <= note["start"] < note["end"] <= SECONDS + 0.1
            assert 0 < note["velocity"] <= 1
        assert httpx.get(data["midiUrl"], trust_env=False).content[:4] == b"MThd"
        messages_deliver()
        bodies = {get_task(one.body): one.body for one in callbacks.received}
        assert set(bodies) == {separation, wav, midi}
        assert (read(bodies[wav]["data"]["audioWavUrl"]) == samples).all()
        assert bodies[midi]["data"]["instruments"] == data["instruments"]
        # 10 for the stems, and one for each of the others.
        assert credits(http) == 100 - 10 - 1 - 1


def get_task(body: Any) -> str:
    task: str = body.get("task_id") or body["data"]["task_id"]
    return task


def ok(response: httpx.Response) -> Any:
    """The data of an answer: "200 - Request successful", `"success"`."""
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    body = response.json()
    assert list(body) == ["code", "msg", "data"], body
    assert (body["code"], body["msg"]) == (200, "success")
    return body["data"]


def refusal(response: httpx.Response, code: int) -> None:
    """ "Error message when code != 200"."""
    body = response.json()
    assert body["code"] == code, body
    assert isinstance(body["msg"], str)
    assert body["msg"]
    assert response.status_code == (401 if code == 401 else 200)


def snake(name: str) -> str:
    """backingVocalsUrl is backing_vocals_url in callbacks."""
    return re.sub("[A-Z]", lambda found: f"_{found[0].lower()}", name)


def credits(http: httpx.Client) -> int:
    left: int = ok(http.get("/api/v1/generate/credit"))
    assert ok(http.get("/api/v1/account/subscription/remain")) == left
    return left


def read(url: str) -> Any:
    """The samples of a file, by its link alone."""
    response = httpx.get(url, trust_env=False)
    assert (response.status_code, response.headers["Content-Type"]) == (200, "audio/wav")
    samples, rate = soundfile.read(io.BytesIO(response.content))
    assert rate == 44_100
    return samples
