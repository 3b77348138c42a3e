"""The resident process as workers use it: the real one, with the real library in it."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import separation
from jobs.engine import (
    EngineLost,
    EngineProcess,
    engine_convert,
    engine_prepare,
    engine_separate,
    engine_speakers,
)
from separation import errors
from separation.converting import convert
from separation.preparing import prepare
from separation.speakers import Timeline, Turn
from separation.speakers.extract import extract_speakers
from tests.makers import make_wav

MODEL = "spleeter-2stems"


class Enough(Exception):
    """What a heartbeat raises."""


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[EngineProcess]:
    process = EngineProcess()
    monkeypatch.setattr("jobs.engine._resident", process)
    yield process
    process.close()


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "recording.wav"
    path.write_bytes(make_wav(seconds=3))
    return path


@pytest.fixture
def separate(engine: EngineProcess, recording: Path, tmp_path: Path) -> Callable[..., Any]:
    info = separation.probe(recording)

    def run(**options: Any) -> separation.SeparationResult:
        defaults: dict[str, Any] = {
            "recording": recording,
            "folder": tmp_path / "out",
            "info": info,
            "watch": lambda: None,
            "on_progress": lambda **_: None,
            "stems": ["vocals"],
            "model": MODEL,
        }
        return engine_separate(**(defaults | options))

    return run


def is_gone(pid: int) -> bool:
    return not psutil.pid_exists(pid)


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


def test_it_separates_as_the_library_does_and_keeps_the_model(
    engine: EngineProcess, separate: Callable[..., Any], recording: Path, tmp_path: Path
):
    steps: list[list[str]] = [[], []]
    first = separate(on_progress=lambda step, **_: steps[0].append(step))
    pid = engine.pid
    second = separate(folder=tmp_path / "2", on_progress=lambda step, **_: steps[1].append(step))
    assert pid is not None
    assert engine.pid == pid
    (loaded,) = engine.models
    assert (loaded["model"], loaded["device"]) == (MODEL, "cpu")
    assert loaded["device_name"]
    assert steps[0][0] == "load"
    expected = separation.separate(recording, tmp_path / "3", stems=["vocals"], model=MODEL)
    for result in (first, second):
        assert result.stems["vocals"].read_bytes() == expected.stems["vocals"].read_bytes()
        assert (result.n_samples, result.model) == (3 * 44_100, MODEL)


def test_an_error_of_the_library_is_the_same_here(
    engine: EngineProcess, separate: Callable[..., Any]
):
    pids: set[int | None] = set()
    for options, kind in (
        ({"stems": ["nothing"]}, errors.UnknownStem),
        ({"stems": ["vocals", "vocals"]}, errors.InvalidRequest),
        ({"stems": ["drums"]}, errors.IncompatibleStems),
        ({"model": "nothing"}, errors.UnknownModel),
        ({"output_format": "nothing"}, errors.UnsupportedFormat),
        ({"device": "cuda:99"}, errors.InvalidRequest),
        ({"recording": Path("nothing.wav")}, errors.MissingFile),
    ):
        with pytest.raises(errors.SeparationError) as caught:
            separate(**options)
        assert type(caught.value) is kind
        assert caught.value.message
        pids.add(engine.pid)
    assert len(pids) == 1
    assert None not in pids


def test_it_makes_tracks_of_known_turns_as_the_library_does(
    engine: EngineProcess, recording: Path, tmp_path: Path
):
    info = separation.probe(recording)
    timeline = Timeline((Turn(0.1, 1.5, "SPEAKER_0", 0.9), Turn(1.2, 2.9, "SPEAKER_1", 0.8)), 3.0)
    steps: list[str] = []
    found = engine_speakers(
        recording=recording,
        folder=tmp_path / "out",
        info=info,
        watch=lambda: None,
        on_progress=lambda step, **_: steps.append(step),
        timeline=timeline.to_json(),
        count={"exact": None, "minimum": None, "maximum": None},
        output_format="flac",
        pauses="close",
    )
    expected = extract_speakers(
        recording,
        tmp_path / "there",
        info=info,
        timeline=timeline,
        output_format="flac",
        pauses="close",
    )
    assert found.timeline == timeline
    assert (found.speakers, found.overlaps) == (expected.speakers, expected.overlaps)
    for here, there in ((found.tracks, expected.tracks), (found.clips, expected.clips)):
        assert list(here) == ["SPEAKER_0", "SPEAKER_1"]
        for speaker, path in here.items():
            assert path.parent == tmp_path / "out"
            assert path.read_bytes() == there[speaker].read_bytes()
    assert set(steps) == {"tracks"}


def test_it_prepares_and_converts_as_the_library_does(
    engine: EngineProcess, recording: Path, tmp_path: Path
):
    info = separation.probe(recording)
    steps: list[str] = []
    order: dict[str, Any] = {"start": 1000, "end": 90_000, "steps": ["denoise"]}
    here: dict[str, Any] = {
        "recording": recording,
        "info": info,
        "watch": lambda: None,
        "on_progress": lambda step, **_: steps.append(step),
    }
    ready = engine_prepare(output=tmp_path / "here.wav", **here, **order)
    assert ready == prepare(recording, tmp_path / "there.wav", info=info, **order)
    assert (tmp_path / "here.wav").read_bytes() == (tmp_path / "there.wav").read_bytes()

    order["output_formats"] = ["mp3", "flac"]
    found = engine_convert(folder=tmp_path / "here", **here, **order)
    expected = convert(recording, tmp_path / "there", info=info, **order)
    assert list(found.files) == ["mp3", "flac"]
    for form, path in found.files.items():
        assert path.read_bytes() == expected.files[form].read_bytes()
    assert set(steps) == {"load", "prepare", "enhance"}


def test_a_step_that_nobody_knows_is_named_here_too(
    engine: EngineProcess, recording: Path, tmp_path: Path
):
    with pytest.raises(errors.UnknownStep, match="'sing'"):
        engine_prepare(
            recording=recording,
            output=tmp_path / "out.wav",
            info=separation.probe(recording),
            watch=lambda: None,
            on_progress=lambda **_: None,
            steps=["sing"],
        )
    assert not (tmp_path / "out.wav").exists()


def test_an_error_of_taking_speakers_apart_is_the_same_here(
    engine: EngineProcess, recording: Path, tmp_path: Path
):
    for options, kind in (
        ({"count": {"exact": 21}}, errors.InvalidRequest),
        ({"pauses": "nothing"}, errors.InvalidRequest),
        ({"model": "nothing"}, errors.UnknownModel),
        ({"timeline": {"turns": [], "duration_s": 3.0}}, errors.InvalidRequest),
    ):
        with pytest.raises(errors.SeparationError) as caught:
            engine_speakers(
                recording=recording,
                folder=tmp_path / "out",
                info=separation.probe(recording),
                watch=lambda: None,
                on_progress=lambda **_: None,
                **options,
            )
        assert type(caught.value) is kind
        assert left_in(tmp_path / "out") == []


def test_a_recording_that_cannot_be_decoded_is_told_by_name(
    separate: Callable[..., Any], recording: Path
):
    recording.write_bytes(b"RIFF no wave follows" * 100)
    with pytest.raises(errors.MediaError):
        separate()


def test_what_stops_the_work_leaves_no_work_behind(
    engine: EngineProcess, separate: Callable[..., Any], tmp_path: Path
):
    """The real engine, in the middle of a model's pass: it sees the request soon afterwards."""
    pids: list[int | None] = []
    looks: list[bool] = []

    def on_progress(*, step: str, **_: Any) -> None:
        if step == "separate":
            pids.append(engine.pid)

    def watch() -> None:
        looks.append(bool(pids))
        if pids:
            raise Enough

    with pytest.raises(Enough):
        separate(watch=watch, on_progress=on_progress)
    assert looks.count(True) == 1
    resident = engine._current
    assert resident is not None
    deadline = time.monotonic() + 60
    while resident._left:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert left_in(tmp_path / "out") == []
    # The process, and the model in it, stay.
    with pytest.raises(errors.UnknownStem):
        separate(stems=["nothing"])
    assert engine.pid == pids[0]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_process_that_dies_is_a_loss_and_the_next_job_has_another(
    engine: EngineProcess, separate: Callable[..., Any], number: signal.Signals
):
    pids: list[int] = []

    def on_progress(**_: Any) -> None:
        assert engine.pid is not None
        pids.append(engine.pid)
        os.kill(engine.pid, number)

    with pytest.raises(EngineLost) as caught:
        separate(on_progress=on_progress)
    assert caught.value.status == -number
    assert is_gone(pids[0])
    with pytest.raises(errors.UnknownStem):
        separate(stems=["nothing"])
    assert engine.pid not in (None, pids[0])


def test_a_process_that_somebody_stopped_is_a_loss(
    engine: EngineProcess, separate: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("jobs.resident._CHECK_EVERY_S", 0)

    def on_progress(**_: Any) -> None:
        assert engine.pid is not None
        os.kill(engine.pid, signal.SIGSTOP)

    with pytest.raises(EngineLost):
        separate(on_progress=on_progress)
    assert engine.pid is None


def test_one_that_died_while_idle_costs_no_job(engine: EngineProcess, separate: Callable[..., Any]):
    for _ in range(2):
        with pytest.raises(errors.UnknownStem):
            separate(stems=["nothing"])
        assert engine.pid is not None
        os.kill(engine.pid, signal.SIGKILL)
        psutil.Process(engine.pid).wait(60)


def test_it_hands_down_no_open_files(engine: EngineProcess, separate: Callable[..., Any]):
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    with pytest.raises(errors.UnknownStem):
        separate(stems=["nothing"])
    os.close(writing)
    assert os.read(reading, 1) == b""
    os.close(reading)
