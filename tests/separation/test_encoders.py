"""Stems that other processes encode: the same files, the same endings."""

import os
import signal
import subprocess
import sys

import pytest

from separation import encoders, separate
from separation.audio import formats
from separation.encoders import EncoderPool, default_encoders
from separation.errors import EncoderLost, InvalidRequest, SeparationCancelled
from tests.separation.conftest import GAINS, SEGMENT
from tests.separation.media import noise, write_media
from tests.separation.test_encode import info_of

WRITER = {"sample_rate": 44100, "n_channels": 2, "layout": "stereo"}


@pytest.fixture(autouse=True)
def _pool():
    yield
    encoders.close_encoders()


@pytest.fixture
def pool():
    pool = EncoderPool(1)
    yield pool
    pool.close()


def wav(path, n_segments=4, codec="pcm_s16le"):
    return write_media(path, noise(n_segments * SEGMENT, level=0.9), codec=codec)


def below(folder):
    return sorted(path.name for path in folder.rglob("*"))


@pytest.mark.parametrize(
    "options",
    [
        {"output_format": "wav16"},
        {"output_format": "wav24"},
        {"output_format": "wav32f", "residual": "keep"},
        {"output_format": "flac"},
        {"output_format": "mp3"},
        {"output_format": "flac24", "parts_dir": "parts", "part_seconds": 0.3},
    ],
)
def test_other_processes_make_the_same_files(gain_engine, tmp_path, monkeypatch, options):
    monkeypatch.setitem(GAINS, "vocals", 1.5)  # some samples are clipped
    path = wav(tmp_path / "in.wav")
    options = {**options, "stems": ["vocals", "instrumental", "bass"]}
    if "parts_dir" in options:
        options["parts_dir"] = tmp_path / "parts-here"
    expected = separate(path, tmp_path / "here", encoders=0, **options)
    if "parts_dir" in options:
        options["parts_dir"] = tmp_path / "parts-there"
    result = separate(path, tmp_path / "there", encoders=2, **options)
    assert result.clipped_samples == expected.clipped_samples
    for name, file in result.stems.items():
        assert file.read_bytes() == expected.stems[name].read_bytes()
    assert below(tmp_path / "there") == below(tmp_path / "here")


def test_processes_stay_for_the_next_separation(gain_engine, tmp_path):
    path = wav(tmp_path / "in.wav")
    separate(path, tmp_path / "1", encoders=2)
    pids = encoders.encoder_pool(1).pids
    separate(path, tmp_path / "2", encoders=1)
    assert encoders.encoder_pool(1).pids == pids
    assert len(pids) == 2


def test_cancelling_leaves_no_file(gain_engine, tmp_path):
    def on_progress(*, step, completed, total):
        if step == "separate" and completed > SEGMENT:
            raise SeparationCancelled("Cancelled by the test.")

    with pytest.raises(SeparationCancelled):
        separate(
            wav(tmp_path / "in.wav", 20), tmp_path / "out", encoders=1, on_progress=on_progress
        )
    assert below(tmp_path) == ["in.wav"]


def test_a_process_that_dies_ends_the_separation_and_is_replaced(gain_engine, tmp_path):
    path = wav(tmp_path / "in.wav", 20)
    killed: list[int] = []

    def on_progress(*, step, completed, total):
        if step == "separate" and completed > SEGMENT and not killed:
            killed.extend(encoders.encoder_pool(1).pids)
            os.kill(killed[0], signal.SIGKILL)

    with pytest.raises(EncoderLost) as caught:
        separate(path, tmp_path / "out", encoders=2, on_progress=on_progress)
    assert (caught.value.code, caught.value.retryable) == ("encoder_lost", True)
    assert below(tmp_path) == ["in.wav"]
    result = separate(path, tmp_path / "out", encoders=2)
    assert len(result.stems) == 4
    pids = encoders.encoder_pool(1).pids
    assert killed[0] not in pids
    assert killed[1] in pids


def test_what_fails_there_is_said_here(pool, tmp_path):
    form = formats.resolve("wav16", info_of())
    writer = pool.writer(tmp_path / "nowhere" / "a.wav", form, **WRITER)
    writer.write(noise(100))
    with pytest.raises(OSError, match="No such file"):
        writer.commit()
    writer.discard()
    writer = pool.writer(tmp_path / "a.mp3", formats.resolve("mp3", info_of()), **WRITER)
    writer.write(noise(100, 3))  # of another width
    with pytest.raises(RuntimeError, match="Traceback"):
        writer.commit()
    writer.discard()
    assert below(tmp_path) == []
    other = pool.writer(tmp_path / "b.wav", form, **WRITER)
    other.write(noise(100))
    other.commit()
    assert below(tmp_path) == ["b.wav"]
    other.discard()  # as when another stem's file cannot be finished
    assert below(tmp_path) == []


@pytest.mark.parametrize("ending", [KeyboardInterrupt, EncoderLost])
def test_a_commit_whose_answer_is_not_heard_leaves_no_file(pool, tmp_path, monkeypatch, ending):
    writer = pool.writer(tmp_path / "a.wav", formats.resolve("wav16", info_of()), **WRITER)
    writer.write(noise(100))
    ask = encoders._Process.ask

    def interrupted(process, method, *arguments):
        answer = ask(process, method, *arguments)
        if method == "commit":
            raise ending
        return answer

    monkeypatch.setattr(encoders._Process, "ask", interrupted)
    with pytest.raises(ending):
        writer.commit()
    writer.discard()
    assert below(tmp_path) == []


def test_a_commit_that_fails_leaves_what_was_there(pool, tmp_path):
    path = tmp_path / "a.mp3"
    path.write_bytes(b"of an earlier call")
    for ending in ("discarded", "killed"):
        writer = pool.writer(path, formats.resolve("mp3", info_of()), **WRITER)
        if ending == "killed":
            os.kill(pool.pids[0], signal.SIGKILL)
            pool._processes[0]._thread.join()
        else:
            writer.write(noise(100, 3))  # of another width
        with pytest.raises((RuntimeError, EncoderLost)):
            writer.commit()
        writer.discard()
        assert path.read_bytes() == b"of an earlier call"


def test_a_listener_that_meets_nonsense_leaves_nobody_waiting(pool, tmp_path, monkeypatch):
    def nonsense(self, kind, number, value):
        raise MemoryError

    monkeypatch.setattr(encoders._Process, "_hear", nonsense)
    monkeypatch.setattr("threading.excepthook", lambda arguments: None)
    with pytest.raises(EncoderLost):
        pool.writer(tmp_path / "a.wav", formats.resolve("wav16", info_of()), **WRITER)


def test_more_than_fits_at_once_goes_through(pool, tmp_path, read):
    samples = noise(1_000_000)
    form = formats.resolve("wav32f", info_of())
    writer = pool.writer(tmp_path / "a.wav", form, **WRITER)
    writer.write(samples)
    writer.commit()
    assert (read(tmp_path / "a.wav") == samples).all()


_FILL_DISK = """
import resource, sys
from pathlib import Path
from separation.audio import formats
from separation.encoders import EncoderPool
from separation.errors import DiskFull
from tests.separation.media import noise
from tests.separation.test_encoders import WRITER
from tests.separation.test_encode import info_of

resource.setrlimit(resource.RLIMIT_FSIZE, (9_000_000, 9_000_000))
pool = EncoderPool(1)
writer = pool.writer(Path(sys.argv[1]) / "a.wav", formats.resolve("wav16", info_of()), **WRITER)
try:
    for _ in range(30):
        writer.write(noise(100_000))
    writer.commit()
except DiskFull as error:
    writer.discard()
    sys.stdout.write(error.message)
pool.close()
"""


def test_a_full_disk_has_its_name_and_leaves_nothing(tmp_path):
    command = [sys.executable, "-c", _FILL_DISK, str(tmp_path)]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert outcome.stdout == "There is no space left on the disk that the stems go to."
    assert below(tmp_path) == []


_DIE = """
import os, signal, sys
from pathlib import Path
from separation.audio import formats
from separation.encoders import EncoderPool
from tests.separation.media import noise
from tests.separation.test_encoders import WRITER
from tests.separation.test_encode import info_of

pool = EncoderPool(1)
writer = pool.writer(Path(sys.argv[1]) / "a.wav", formats.resolve("wav16", info_of()), **WRITER)
writer.write(noise(100_000))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_processes_end_with_their_parent_and_tidy_up(tmp_path):
    command = [sys.executable, "-c", _DIE, str(tmp_path)]
    # Returns when nobody holds its standard error any more, and the encoder has it too.
    outcome = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (outcome.returncode, outcome.stderr) == (-signal.SIGKILL, "")
    assert below(tmp_path) == []


def test_a_signal_to_the_whole_group_is_the_parents_to_answer(pool, tmp_path):
    writer = pool.writer(tmp_path / "a.wav", formats.resolve("wav16", info_of()), **WRITER)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(pool.pids[0], number)
    writer.write(noise(100))
    writer.commit()
    assert below(tmp_path) == ["a.wav"]


def test_a_cpu_encodes_beside_its_model(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    assert (default_encoders("cpu"), default_encoders("cuda")) == (0, 4)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    assert default_encoders("cuda:1") == 2


@pytest.mark.parametrize("n_encoders", [-1, 65])
def test_it_refuses_a_pool_of_strange_size(gain_engine, tmp_path, n_encoders):
    with pytest.raises(InvalidRequest):
        separate(wav(tmp_path / "in.wav"), tmp_path / "out", encoders=n_encoders)
    assert below(tmp_path) == ["in.wav"]
