"""Threads of a separation: what is shared, what runs ahead, and how it all ends."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from separation import batching, presets, separate
from separation.errors import InvalidRequest, SeparationCancelled
from tests.separation.conftest import GAINS, SEGMENT
from tests.separation.media import noise, write_media

LIMIT_S = 60  # for what must happen; reached only where a test fails


def wav(path, n_segments, seed=0):
    samples = noise(n_segments * SEGMENT, seed=seed)
    return write_media(path, samples, codec="pcm_f32le")


def below(folder):
    return sorted(path.name for path in folder.rglob("*"))


class Gate:
    """Holds an engine until the test lets it go on."""

    def __init__(self, engine, monkeypatch):
        self._separate = engine.separate
        self._open = threading.Event()
        self.entered = threading.Event()
        monkeypatch.setattr(engine, "separate", self._wait)

    def _wait(self, mixtures):
        self.entered.set()
        assert self._open.wait(LIMIT_S)
        return self._separate(mixtures)

    def open(self):
        self._open.set()


@pytest.fixture(params=[(1,), (1, 2)], ids=["one-by-one", "batches"])
def gate(gain_engine, monkeypatch, request):
    monkeypatch.setattr(gain_engine, "batch_sizes", request.param)
    gate = Gate(gain_engine, monkeypatch)
    yield gate
    gate.open()


# --- seams


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    n_segments=st.integers(0, 4),
    off=st.integers(-3, 3),
    preset=st.sampled_from(sorted(presets.PRESETS)),
    n_channels=st.integers(1, 3),
)
def test_a_model_that_changes_nothing_leaves_the_recording_to_the_last_bit(
    gain_engine, tmp_path, read, n_segments, off, preset, n_channels
):
    stride = presets.grid(gain_engine.info, preset).stride
    n_samples = max(1, n_segments * stride + (SEGMENT - stride) * (n_segments > 0) + off)
    samples = noise(n_samples, n_channels)
    path = write_media(tmp_path / "in.wav", samples, codec="pcm_f32le")
    # Gains are powers of two: scaled back, the stem must be the recording itself.
    options = {"stems": ["bass"], "residual": "keep", "preset": preset}
    result = separate(path, tmp_path / "out", **options)
    np.testing.assert_array_equal(read(result.stems["bass"]) / GAINS["bass"], samples)


@pytest.mark.parametrize("preset", sorted(presets.PRESETS))
def test_presets_say_how_many_passes_there_are(gain_engine, tmp_path, preset):
    separate(wav(tmp_path / "in.wav", 10), tmp_path / "out", preset=preset)
    grid = presets.grid(gain_engine.info, preset)
    starts = {0, 9 * SEGMENT}
    number = 1
    while grid.start(number) + SEGMENT < 10 * SEGMENT:
        starts.add(grid.start(number))
        number += 1
    assert gain_engine.n_passes == len(starts)


@pytest.mark.parametrize("options", [{"preset": "slow"}, {"shifts": 0}, {"shifts": 99}])
def test_a_preset_that_is_not_there_is_refused_at_once(gain_engine, tmp_path, options):
    path = wav(tmp_path / "in.wav", 1)
    with pytest.raises(InvalidRequest):
        separate(path, tmp_path / "out", **options)
    assert below(tmp_path) == ["in.wav"]


# --- side by side


def test_progress_is_told_in_the_callers_thread_and_while_nothing_comes(gate, tmp_path):
    threads = set()
    n_calls = 0

    def on_progress(*, step, completed, total):
        nonlocal n_calls
        threads.add(threading.current_thread())
        if step == "separate" and gate.entered.is_set():
            n_calls += 1
            if n_calls == 5:  # all of them while the engine was held
                assert completed == 0
                gate.open()

    separate(wav(tmp_path / "in.wav", 5), tmp_path / "out", on_progress=on_progress)
    assert threads == {threading.current_thread()}
    assert n_calls > 5


def test_writing_starts_while_the_recording_is_still_being_read(gain_engine, tmp_path, monkeypatch):
    from separation import reading
    from separation.audio import buffer

    gathered = buffer.gathered
    has_written = threading.Event()

    def held(blocks, n_least):
        for index, block in enumerate(gathered(blocks, n_least)):
            if index == 10 * SEGMENT // 4096:
                assert has_written.wait(LIMIT_S)
            yield block

    def on_progress(*, step, completed, total):
        if step == "separate" and completed:
            has_written.set()

    monkeypatch.setattr(reading, "gathered", held)
    result = separate(wav(tmp_path / "in.wav", 20), tmp_path / "out", on_progress=on_progress)
    assert result.n_samples == 20 * SEGMENT


def test_several_calls_share_one_engine_and_give_what_they_give_alone(
    gain_engine, tmp_path, monkeypatch
):
    paths = [wav(tmp_path / f"{n}.wav", 3 + n, seed=n) for n in range(4)]
    expected = [separate(path, tmp_path / "alone" / path.stem) for path in paths]
    batching.close_queue(gain_engine)
    before = set(threading.enumerate())
    monkeypatch.setattr(gain_engine, "batch_sizes", (1, 2, 4))
    n_passes = gain_engine.n_passes

    def run(path):
        return separate(path, tmp_path / "together" / path.stem, turn=path.stem)

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(run, paths))
    for result, alone in zip(results, expected, strict=True):
        for name, file in result.stems.items():
            assert file.read_bytes() == alone.stems[name].read_bytes()
    assert gain_engine.n_passes >= n_passes  # padding counts as passes
    names = [thread.name for thread in set(threading.enumerate()) - before]
    assert [name for name in names if "-lane-" in name] == ["htdemucs-lane-0"]


# --- endings


def test_cancelling_does_not_wait_for_the_engine(gate, gain_engine, tmp_path):
    def on_progress(*, step, completed, total):
        if gate.entered.is_set():
            raise SeparationCancelled("Cancelled by the test.")

    path = wav(tmp_path / "in.wav", 10)
    with pytest.raises(SeparationCancelled):
        separate(path, tmp_path / "out", on_progress=on_progress)
    assert below(tmp_path) == ["in.wav"]
    assert gain_engine.n_passes == 0
    assert not {thread.name for thread in threading.enumerate()} & {"reader", "finisher_0"}
    gate.open()
    result = separate(path, tmp_path / "out")  # what was cancelled does not get in the way
    assert len(result.stems) == 4


def test_an_error_of_the_reader_ends_the_work_at_once(gate, tmp_path, monkeypatch):
    from separation import reading
    from separation.audio import buffer

    gathered = buffer.gathered

    def broken(blocks, n_least):
        for index, block in enumerate(gathered(blocks, n_least)):
            if index == 3:  # the engine has the first segment and does not give it back
                assert gate.entered.wait(LIMIT_S)
                raise OSError(5, "Input/output error")
            yield block

    monkeypatch.setattr(reading, "gathered", broken)
    with pytest.raises(OSError, match="Input/output error"):
        separate(wav(tmp_path / "in.wav", 10), tmp_path / "out")
    assert below(tmp_path) == ["in.wav"]
    assert not {thread.name for thread in threading.enumerate()} & {"reader", "finisher_0"}


def test_an_error_of_the_engine_ends_only_what_it_was_working_on(
    gain_engine, tmp_path, monkeypatch
):
    gain = gain_engine.separate

    def fails_once(mixtures):
        monkeypatch.setattr(gain_engine, "separate", gain)
        raise ValueError("a defect")

    monkeypatch.setattr(gain_engine, "separate", fails_once)
    path = wav(tmp_path / "in.wav", 10)
    with pytest.raises(ValueError, match="a defect"):
        separate(path, tmp_path / "out")
    assert below(tmp_path) == ["in.wav"]
    assert len(separate(path, tmp_path / "out").stems) == 4


def test_an_error_of_the_writer_ends_the_reader_too(gain_engine, tmp_path, monkeypatch):
    from separation.stem_files import StemFiles

    def full(self, stems):
        raise OSError(28, "No space left on device", str(Path("x")))

    monkeypatch.setattr(StemFiles, "write", full)
    with pytest.raises(Exception, match="no space left"):
        separate(wav(tmp_path / "in.wav", 10), tmp_path / "out")
    assert below(tmp_path) == ["in.wav"]
    assert not {thread.name for thread in threading.enumerate()} & {"reader", "finisher_0"}


def test_a_slow_engine_keeps_the_reader_from_running_ahead(gate, tmp_path, monkeypatch):
    from separation import reading
    from separation.audio import buffer

    gathered = buffer.gathered
    n_read = 0

    def counted(blocks, n_least):
        nonlocal n_read
        for block in gathered(blocks, n_least):
            n_read += block.shape[1]
            yield block

    seen = []

    def on_progress(*, step, completed, total):
        if gate.entered.is_set() and step == "separate":
            seen.append(n_read)
            if len(seen) >= 3 and seen[-1] == seen[-3]:
                gate.open()

    monkeypatch.setattr(reading, "gathered", counted)
    started = time.monotonic()
    separate(wav(tmp_path / "in.wav", 40), tmp_path / "out", on_progress=on_progress)
    assert time.monotonic() - started < LIMIT_S
    held_at = next(n for i, n in enumerate(seen) if i >= 2 and n == seen[i - 2])
    assert held_at < 5 * SEGMENT
