"""Every stem that the outside APIs name: ordered through them, of real music, by real networks."""

import io
import itertools
import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from django.core.files.base import ContentFile
from django.test import Client

from jobs.models import Job
from tests.api.musicgpt import steps
from tests.api.musicgpt.test_seed import STEMS
from tests.api.real import music, real_engine
from tests.api.sunoapi.test_seed import GENERATE, RECORD, TWELVE
from tests.makers import make_grant, make_key, run_jobs

pytestmark = pytest.mark.django_db

Samples = npt.NDArray[np.int64]

SECONDS = 3.0
DRUMS = ("kick_drum", "snare_drum", "toms", "hi_hat", "ride", "crash")
# What is softer than this is nobody's stem.
LEAST = 3
# The share of a stem's energy that is not another one's: less is the rounding to 16 bits.
SAME = 1e-6


@pytest.fixture(autouse=True)
def _engine(monkeypatch: pytest.MonkeyPatch, no_beats: None) -> Iterator[None]:
    with real_engine(monkeypatch):
        yield


@pytest.fixture(scope="module")
def recording() -> bytes:
    return music(seconds=SECONDS)


def samples(content: bytes) -> Samples:
    read, rate = soundfile.read(io.BytesIO(content), dtype="int16")
    assert rate == 44100
    return np.asarray(read, np.int64)


def fetched(client: Client, links: Mapping[str, str]) -> dict[str, Samples]:
    found = {}
    for name, link in links.items():
        response = client.get("/" + link.split("/", 3)[3])
        assert response.status_code == 200
        found[name] = samples(b"".join(response.streaming_content))  # type: ignore[attr-defined]
    return found


def check_distinct(stems: Mapping[str, Samples], mixture: Samples) -> None:
    """Each is as long as the recording, is heard, and is no other one, at whatever level."""
    for name, stem in stems.items():
        assert stem.shape == mixture.shape, name
        assert abs(stem).max() >= LEAST, name
    for (one, first), (other, second) in itertools.combinations(stems.items(), 2):
        product = float(np.vdot(first, second))
        alike = product / np.sqrt(float(np.vdot(first, first)) * float(np.vdot(second, second)))
        # Where a woman sings alone, her voice is nearly all of the vocals: 51 dB above the rest.
        assert 1 - alike**2 > SAME, (one, other)


def test_all_of_musicgpt(client: Client, alice: Any, recording: bytes):
    make_grant(alice, 100_000)
    key = make_key(alice)
    response = steps.extract(
        client,
        headers={"Authorization": key},
        audio_file=ContentFile(recording, "song.wav"),
        stems=json.dumps(list(STEMS)),
    )
    job = steps.job_of(response)
    assert run_jobs() == 1
    job = Job.objects.get(pk=job.pk)
    assert (job.state, job.error_message) == ("succeeded", "")
    query = {"conversionType": "EXTRACTION", "task_id": str(job.uuid)}
    answer = client.get(f"{steps.ROOT}/byId", query, headers={"Authorization": key})
    stems = fetched(client, json.loads(answer.json()["conversion"]["audio_url_wav"]))
    assert set(stems) == set(STEMS)
    mixture = samples(recording)
    check_distinct(stems, mixture)

    def adds_up(parent: Samples, *parts: str) -> None:
        # Each file of 16 bits is rounded by itself.
        away = abs(sum(stems[part] for part in parts) - parent)
        assert away.max() <= 1 + len(parts) // 2, parts

    adds_up(mixture, "vocals", "instrumental")
    adds_up(stems["vocals"], "lead_vocal", "back_vocal")
    adds_up(stems["vocals"], "male_vocal", "female_vocal")
    adds_up(stems["guitar"], "acoustic_guitar", "electric_guitar")
    adds_up(stems["guitar"], "rhythm_guitar", "solo_guitar")
    # What is left of the drums is percussion, and of the rest keys other than those: never less
    # than nothing is left in energy.
    kit = sum(stems[name] for name in DRUMS)
    left = stems["drums"] - kit
    assert np.sum(left**2) < np.sum(stems["drums"] ** 2)


def test_all_twelve_of_sunoapi(client: Client, alice: Any, recording: bytes):
    make_grant(alice, 100_000)
    bearer = {"Authorization": f"Bearer {make_key(alice)}"}
    uploaded = client.post(
        "/api/file-stream-upload",
        {"file": ContentFile(recording, "song.wav"), "uploadPath": "music"},
        headers=bearer,
    ).json()["data"]
    order = {name: uploaded[name] for name in ("taskId", "audioId")}
    order |= {"type": "split_stem", "callBackUrl": "https://example.org/callback"}
    made = client.post(GENERATE, order, content_type="application/json", headers=bearer)
    task = made.json()["data"]["taskId"]
    assert run_jobs() == 1
    urls = client.get(RECORD, {"taskId": task}, headers=bearer).json()["data"]["response"]
    stems = fetched(client, {name: urls[name] for name in TWELVE})
    mixture = samples(recording)
    check_distinct(stems, mixture)
    assert abs(sum(stems.values()) - mixture).max() <= 1
