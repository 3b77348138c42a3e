"""The host's commands `analyse` and `transcribe`."""

import io
import json
import threading
from dataclasses import asdict, replace

import pytest

from separation import probe
from separation.host import Host, error_of, music_analysis_of, transcription_of
from separation.music import analyse, transcribe
from tests.separation.media import write_media
from tests.separation.music.sounds import RATE, played


@pytest.fixture
def recording(tmp_path):
    samples = played([(60, 0.2, 0.8), (67, 1.0, 1.8)], 2)
    return write_media(tmp_path / "in.wav", samples[None], RATE, codec="pcm_s16le")


def answered(command, stop=None, **arguments):
    """All events of one request that a host in this process answers."""
    request = json.loads(json.dumps({"id": 1, "command": command, "arguments": arguments}))
    events, stop = io.BytesIO(), stop or threading.Event()
    served = Host(events)
    served._stops[1] = stop
    served._run(1, request, stop)
    return [json.loads(line) for line in events.getvalue().splitlines()]


def test_an_analysis_is_that_of_the_library(recording):
    *progress, ending = answered("analyse", input=str(recording), info=asdict(probe(recording)))
    assert [event["step"] for event in progress][0] == "load"
    assert progress[-1]["completed"] == progress[-1]["total"] == 2 * RATE
    found = music_analysis_of(ending)
    direct = analyse(recording)
    assert replace(found, seconds=0) == replace(direct, seconds=0)


def test_a_transcription_is_that_of_the_library(recording, tmp_path):
    out = tmp_path / "host.mid"
    *_, ending = answered("transcribe", input=str(recording), output_path=str(out), max_notes=1)
    found = transcription_of(ending)
    direct = transcribe(recording, tmp_path / "direct.mid", max_notes=1)
    assert replace(found, seconds=0, path=out) == replace(direct, seconds=0, path=out)
    assert found.path == out
    assert out.read_bytes() == direct.path.read_bytes()


def test_what_cannot_be_read_comes_back_as_its_error(tmp_path):
    (*_, ending) = answered("analyse", input=str(tmp_path / "no.wav"))
    error = error_of(ending)
    assert type(error).__name__ == "MissingFile"


def test_a_request_that_was_stopped_writes_nothing(recording, tmp_path):
    stop = threading.Event()
    stop.set()
    out = tmp_path / "out.mid"
    (ending,) = answered("transcribe", stop, input=str(recording), output_path=str(out))
    assert type(error_of(ending)).__name__ == "SeparationCancelled"
    assert not out.exists()
