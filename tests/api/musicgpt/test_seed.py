"""The page "Extraction", from top to bottom, with real music and networks.

Each assertion names the passage that it is about.
"""

import io
import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import httpx
import pytest
import soundfile

from billing.selectors import wallet_get
from jobs.catalog import stem_offers
from jobs.delivering import messages_deliver
from jobs.services import job_cancel
from tests.api.musicgpt.steps import URL
from tests.api.real import music, real_engine
from tests.fakes.http import says
from tests.fakes.receiver import OK, Receiver, receiver
from tests.jobs.webhook_steps import make_due
from tests.makers import make_key, run_jobs

SECONDS = 3.0
# "Available Stems", group by group, and what each is called in our catalogue.
VOCALS = {
    "vocals": "vocals",
    "male_vocal": "male_vocals",
    "female_vocal": "female_vocals",
    "lead_vocal": "lead_vocals",
    "back_vocal": "backing_vocals",
}
GUITAR = {
    "guitar": "guitar",
    "acoustic_guitar": "acoustic_guitar",
    "electric_guitar": "electric_guitar",
    "rhythm_guitar": "rhythm_guitar",
    "solo_guitar": "lead_guitar",
}
DRUMS = {
    "drums": "drums",
    "kick_drum": "kick",
    "snare_drum": "snare",
    "toms": "toms",
    "hi_hat": "hihat",
    "ride": "ride",
    "crash": "crash",
}
KEYS = {"piano": "piano", "keys": "keys"}
STRINGS_AND_WINDS = {"strings": "strings", "winds": "winds"}
OTHERS = {"bass": "bass", "instrumental": "instrumental"}
STEMS = {**VOCALS, **GUITAR, **DRUMS, **KEYS, **STRINGS_AND_WINDS, **OTHERS}


@pytest.fixture(autouse=True)
def _engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with real_engine(monkeypatch):
        yield


@pytest.fixture
def server(settings: Any, live_server: Any) -> Iterator[Receiver]:
    settings.SITE_URL = live_server.url
    settings.IMPORTS_OPEN = 100
    with receiver(settings, says("503 Service Unavailable")) as server:
        yield server


@pytest.fixture
def http(alice: Any, live_server: Any) -> Iterator[httpx.Client]:
    # `headers = {"Authorization": "<API_KEY>"}`: the key is sent bare.
    with httpx.Client(
        base_url=f"{live_server.url}/api/public/v1",
        headers={"Authorization": make_key(alice)},
        trust_env=False,
        timeout=60,
    ) as client:
        yield client


def is_available(stem: str) -> bool:
    return next(offer for offer in stem_offers() if offer.name == stem).available


def sound(content: bytes) -> tuple[Any, int]:
    samples, rate = soundfile.read(io.BytesIO(content))
    return samples, rate


def reply_of(response: httpx.Response) -> dict[str, Any]:
    """What "Success (200 OK)" shows of the reply: every field, in type."""
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"] == "application/json"
    body: dict[str, Any] = response.json()
    names = "success task_id conversion_id eta credit_estimate message status"
    assert list(body) == names.split()
    assert body["success"] is True
    UUID(body["task_id"])
    UUID(body["conversion_id"])
    assert body["task_id"] != body["conversion_id"]
    assert type(body["eta"]) is int
    assert isinstance(body["credit_estimate"], int | float)
    assert body["message"] == "Message published to queue"
    assert body["status"] == "IN_QUEUE"
    return body


@pytest.mark.django_db(transaction=True)
def test_the_page_from_top_to_bottom(alice: Any, http: httpx.Client, server: Receiver):
    recording = music(seconds=SECONDS)
    # The first sample request: a file, an empty address, JSON texts, and a receiver.
    response = http.post(
        "/Extraction",
        files={"audio_file": ("path_to_audio.wav", recording)},
        data={
            "audio_url": "",
            "stems": json.dumps(["vocals", "drums"]),
            "preprocessing_options": json.dumps(["Denoise"]),
            "webhook_url": f"{server.url}/",
        },
    )
    reply = reply_of(response)
    # 2 stems at 0.01352 credits a second; the page has 2.5 and 5.55.
    price = reply["credit_estimate"]
    assert price == pytest.approx(2 * SECONDS * 0.01352, abs=0.001)
    assert wallet_get(workspace=alice).held_mcr == round(price * 1000)

    # "Request Parameters": "Either audio_url or audio_file must be provided."
    by_url = http.post("/Extraction", data={"audio_url": URL, "stems": '["vocals"]'})
    reply_of(by_url)
    # Each of the optional ones may be left out; what is known of no recording is -1.
    assert (by_url.json()["eta"], by_url.json()["credit_estimate"]) == (-1, -1)

    # "Available Stems": each is ordered, or refused by its name where it cannot be had here.
    assert len(STEMS) == 23
    for name, ours in STEMS.items():
        response = http.post("/Extraction", data={"audio_url": URL, "stems": json.dumps([name])})
        if is_available(ours):
            reply_of(response)
        else:
            assert response.status_code == 422
            assert name in response.json()["message"]

    # "if the stems parameter is omitted or an empty list is supplied, this full band composite
    # (["drums", "bass", "piano", "guitar"]) is used as the default".
    band = ("drums", "bass", "piano", "guitar")
    missing = [name for name in band if not is_available(STEMS[name])]
    for fields in ({}, {"stems": "[]"}):
        response = http.post("/Extraction", data={"audio_url": URL, **fields})
        if missing:
            assert response.status_code == 422
            assert ", ".join(missing) in response.json()["message"]
        else:
            reply_of(response)

    # "Preprocessing Options": Denoise, Deecho, Dereverb.
    for option in ("Denoise", "Deecho", "Dereverb"):
        options = {"stems": '["vocals"]', "preprocessing_options": json.dumps([option])}
        response = http.post("/Extraction", data={"audio_url": URL, **options})
        if response.status_code == 422:
            assert response.json()["message"] == (
                f"preprocessing_options: {option} is not available on this installation."
            )
        else:
            reply_of(response)

    # "Sample Request", cURL: the same as multipart text, with `accept: application/json`.
    parts: dict[str, Any] = {
        "stems": (None, '["vocals","drums"]'),
        "preprocessing_options": (None, '["Denoise"]'),
        "webhook_url": (None, "http://webhook.musicgpt.com"),
        "audio_file": ("path_to_audio.wav", recording),
    }
    response = http.post("/Extraction", files=parts, headers={"accept": "application/json"})
    twin = reply_of(response)
    assert twin["credit_estimate"] == price
    # Once is enough for this test.
    job_cancel(workspace=alice, job_uuid=UUID(twin["task_id"]))

    # "Webhook Response", once it has been worked on; the receiver fails first.
    assert run_jobs() == 1
    messages_deliver()
    server.answer = OK
    make_due()
    messages_deliver()
    first, second = server.received
    assert first.content == second.content
    body = second.body
    assert body["success"] is True
    assert body["conversion_type"] == "Extraction"
    assert (body["task_id"], body["conversion_id"]) == (reply["task_id"], reply["conversion_id"])
    # `"audio_url": "{\"vocals\": …`: texts that hold JSON, of MP3 …
    mixture, rate = sound(recording)
    heard = json.loads(body["audio_url"])
    assert isinstance(body["audio_url"], str)
    assert list(heard) == ["vocals", "drums"]
    for link in heard.values():
        # "Download or stream individual stems from their respective URLs": without a key.
        file = httpx.get(link, trust_env=False)
        assert (file.status_code, file.headers["Content-Type"]) == (200, "audio/mpeg")
        assert len(file.content) > 10_000
    # … and of WAV, as long as the recording.
    waves = json.loads(body["audio_url_wav"])
    assert isinstance(body["audio_url_wav"], str)
    assert list(waves) == ["vocals", "drums"]
    for link in waves.values():
        file = httpx.get(link, trust_env=False)
        assert (file.status_code, file.headers["Content-Type"]) == (200, "audio/wav")
        samples, stem_rate = sound(file.content)
        assert (samples.shape, stem_rate) == (mixture.shape, rate)
        assert abs(samples).max() > 0.001
    # `"conversion_cost": "5.55"`, a text; `"conversion_duration": 136.83045351473922`, a number.
    assert body["conversion_cost"] == str(price)
    assert body["conversion_duration"] == SECONDS

    # The same by asking.
    ids = {"conversionType": "EXTRACTION", "task_id": reply["task_id"]}
    conversion = http.get("/byId", params=ids).json()["conversion"]
    assert (conversion["status"], conversion["conversion_cost"]) == ("COMPLETED", price)
    assert list(json.loads(conversion["audio_url"])) == ["vocals", "drums"]

    # "Common Errors", 422: "When neither audio_url nor audio_file is provided."
    response = http.post("/Extraction", data={"stems": '["vocals"]'})
    assert response.status_code == 422
    assert response.json()["message"] == "Both audio_url and audio_file cannot be None."

    # "Authorizations: Authorization, string, header, required".
    assert httpx.post(f"{http.base_url}Extraction", trust_env=False).status_code == 401

    # Only what was made was paid.
    assert wallet_get(workspace=alice).posted_mcr == 100_000 - round(price * 1000)
