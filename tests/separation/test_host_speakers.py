"""The host's command `speakers`, with turns that are given."""

import io
import json
import subprocess
import sys
import threading
from dataclasses import asdict
from pathlib import Path

import pytest

from separation import probe
from separation.host import Host, error_of, speakers_result_of
from separation.speakers import Timeline, Turn, diarization
from separation.speakers.diarization import SpeakerCount
from separation.speakers.extract import extract_speakers
from tests.separation.media import noise, write_media

ROOT = Path(__file__).resolve().parent.parent.parent
RATE = 8000
TALK = Timeline((Turn(0.5, 2.0, "SPEAKER_0"), Turn(1.5, 3.5, "SPEAKER_1")), 4.0)


@pytest.fixture
def recording(tmp_path):
    return write_media(tmp_path / "in.wav", noise(4 * RATE, 1), RATE, codec="pcm_s16le")


def order(recording, folder, **arguments):
    """A request as it comes out of JSON."""
    arguments = {"input": str(recording), "output_dir": str(folder), **arguments}
    return json.loads(json.dumps({"id": 1, "command": "speakers", "arguments": arguments}))


def answered(request, events=None, stop=None):
    """All events of one request that a host in this process answers."""
    events, stop = events or io.BytesIO(), stop or threading.Event()
    served = Host(events)
    served._stops[1] = stop
    served._run(1, request, stop)
    return [json.loads(line) for line in events.getvalue().splitlines()]


def test_the_result_is_that_of_the_library(recording, tmp_path):
    request = order(
        recording, tmp_path / "host", timeline=TALK.to_json(), info=asdict(probe(recording)),
        count={"exact": None, "minimum": 1, "maximum": 4}, loudness=-20,
    )  # fmt: skip
    *progress, ending = answered(request)
    assert progress[-1] == {
        "id": 1, "event": "progress", "step": "tracks", "completed": 12 * RATE, "total": 12 * RATE,
    }  # fmt: skip
    assert ending["event"] == "result"
    result = speakers_result_of(ending)
    direct = extract_speakers(recording, tmp_path / "direct", timeline=TALK, loudness=-20)
    assert (result.timeline, result.speakers, result.overlaps) == (
        direct.timeline, direct.speakers, direct.overlaps,
    )  # fmt: skip
    assert [path.read_bytes() for path in result.tracks.values()] == [
        path.read_bytes() for path in direct.tracks.values()
    ]
    assert result.files["rttm"] == tmp_path / "host/timeline.rttm"


@pytest.mark.parametrize("count", [None, {"exact": 2, "minimum": None, "maximum": None}])
def test_the_number_of_speakers_reaches_the_search(recording, tmp_path, monkeypatch, count):
    asked = {}

    def diarize(input, **options):
        asked.update(options)
        return TALK

    monkeypatch.setattr(diarization, "diarize", diarize)
    *_, ending = answered(order(recording, tmp_path / "out", count=count))
    assert ending["event"] == "result"
    assert asked["count"] == (SpeakerCount() if count is None else SpeakerCount(exact=2))


def test_what_is_no_timeline_is_told(recording, tmp_path):
    (event,) = answered(order(recording, tmp_path / "out", timeline={"turns": 3}))
    assert (event["event"], event["error"]) == ("error", "InvalidRequest")


@pytest.mark.parametrize("step", ["listen", "tracks"])
def test_a_cancel_stops_it_at_any_step(recording, tmp_path, monkeypatch, step):
    stop = threading.Event()

    class Events(io.BytesIO):
        def write(self, line):
            if f'"step": "{step}"'.encode() in line:
                stop.set()
            return super().write(line)

    def diarize(input, *, on_progress, **options):
        for completed in range(3):
            on_progress(step="listen", completed=completed, total=3)
        return TALK

    monkeypatch.setattr(diarization, "diarize", diarize)
    request = order(recording, tmp_path / "out", model="pyannote-wespeaker")
    *progress, ending = answered(request, Events(), stop)
    assert [event["step"] for event in progress].count(step) == 1
    assert type(error_of(ending)).__name__ == "SeparationCancelled"
    assert not (tmp_path / "out").exists()


def test_the_process_answers_it(recording, tmp_path):
    with subprocess.Popen(
        [sys.executable, "-m", "separation", "host"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        request = order(recording, tmp_path / "out", timeline=TALK.to_json())
        process.stdin.write(json.dumps(request).encode() + b"\n")
        process.stdin.flush()
        events = map(json.loads, process.stdout)
        ending = next(event for event in events if event["event"] != "progress")
        process.stdin.close()
    assert list(speakers_result_of(ending).tracks) == ["SPEAKER_0", "SPEAKER_1"]
