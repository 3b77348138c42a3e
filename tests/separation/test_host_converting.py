"""The host's commands `prepare` and `convert`."""

import io
import json
import threading
from dataclasses import asdict

import pytest

from separation import probe
from separation.host import Host, conversion_result_of, error_of, prepared_info_of
from tests.separation.media import noise, write_media

N = 40_000


@pytest.fixture
def recording(tmp_path):
    return write_media(tmp_path / "in.wav", noise(N), codec="pcm_s16le")


def answered(command, arguments, events=None, stop=None):
    """All events of one request that a host in this process answers."""
    events, stop = events or io.BytesIO(), stop or threading.Event()
    served = Host(events)
    served._stops[1] = stop
    request = {"id": 1, "command": command, "arguments": arguments}
    served._run(1, json.loads(json.dumps(request)), stop)
    return [json.loads(line) for line in events.getvalue().splitlines()]


def test_it_prepares_a_recording(recording, tmp_path):
    output = tmp_path / "prepared.wav"
    arguments = {
        "input": str(recording), "output": str(output), "info": asdict(probe(recording)),
        "start": 10, "end": 30_000, "steps": ["denoise"], "device": "cpu",
    }  # fmt: skip
    *progress, ending = answered("prepare", arguments)
    assert prepared_info_of(ending) == probe(output)
    assert probe(output).n_samples == 29_990
    assert list(dict.fromkeys(event["step"] for event in progress)) == ["load", "prepare"]


def test_it_converts_a_recording(recording, tmp_path):
    arguments = {
        "input": str(recording), "output_dir": str(tmp_path / "out"), "info": None, "steps": [],
        "output_formats": ["mp3", "flac"], "start": None, "end": 3000,
    }  # fmt: skip
    *progress, ending = answered("convert", arguments)
    result = conversion_result_of(ending)
    assert list(result.files) == ["mp3", "flac"]
    assert [probe(path).n_samples for path in result.files.values()] == [3000, 3000]
    assert progress[-1]["step"] == "convert"


@pytest.mark.parametrize("command", ["prepare", "convert"])
def test_errors_have_their_class(recording, tmp_path, command):
    place = {"output": "out"} if command == "prepare" else {"output_dir": "out"}
    place = {name: str(tmp_path / folder) for name, folder in place.items()}
    formats = {} if command == "prepare" else {"output_formats": ["wav"]}
    arguments = {"input": str(recording), "steps": ["sing"], **place, **formats}
    (ending,) = answered(command, arguments)
    assert type(error_of(ending)).__name__ == "UnknownStep"
    assert "'sing'" in ending["message"]


@pytest.mark.parametrize("command", ["prepare", "convert"])
def test_a_cancel_stops_it(recording, tmp_path, command):
    stop = threading.Event()

    class Events(io.BytesIO):
        def write(self, line):
            if f'"step": "{command}"'.encode() in line:
                stop.set()
            return super().write(line)

    place: dict[str, object] = {"output": str(tmp_path / "out.wav")}
    if command == "convert":
        place = {"output_dir": str(tmp_path / "out"), "output_formats": ["wav"]}
    *_, ending = answered(command, {"input": str(recording), **place}, Events(), stop)
    assert type(error_of(ending)).__name__ == "SeparationCancelled"
    assert [path.name for path in tmp_path.iterdir()] == ["in.wav"]
