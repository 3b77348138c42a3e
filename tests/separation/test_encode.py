import resource
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from separation.audio import formats
from separation.audio.decode import AudioReader
from separation.audio.encode import StemWriter, quantize
from separation.audio.info import AudioInfo
from separation.errors import UnsupportedFormat
from tests.separation.media import noise


def info_of(**values):
    defaults: dict[str, Any] = {
        "n_samples": 100, "sample_rate": 44100, "channels": 2, "layout": "stereo",
        "codec": "pcm_s16le", "container": "wav", "bits_per_sample": 16, "is_float": False,
        "is_lossy": False,
    }  # fmt: skip
    return AudioInfo(**(defaults | values))


def write(path, samples, name, rate=44100):
    form = formats.resolve(name, info_of(sample_rate=rate, channels=samples.shape[0]))
    writer = StemWriter(
        path, form, sample_rate=rate, n_channels=samples.shape[0], layout="channels"
    )
    writer.write(samples)
    writer.commit()
    return samples if form.bits is None else quantize(samples, form.bits)[0] / 2 ** (form.bits - 1)


@pytest.mark.parametrize(
    ("value", "bits", "integer", "n_clipped"),
    [
        (0.0, 16, 0, 0),
        (1 / 32768, 16, 1, 0),
        (0.49 / 32768, 16, 0, 0),
        (0.51 / 32768, 16, 1, 0),
        (-1.0, 16, -32768, 0),
        (1.0, 16, 32767, 1),
        (-1.1, 16, -32768, 1),
        (7.0, 24, 8388607, 1),
        (0.5, 24, 4194304, 0),
    ],
)
def test_quantize(value, bits, integer, n_clipped):
    integers, clipped = quantize(np.full((2, 3), value, np.float32), bits)
    np.testing.assert_array_equal(integers, np.full((2, 3), integer))
    assert clipped == 6 * n_clipped


@pytest.mark.parametrize("name", ["wav16", "wav24", "wav32f", "flac16", "flac24"])
@pytest.mark.parametrize("n_channels", range(1, 9))
def test_a_reader_sees_exactly_what_was_rounded(tmp_path, read, name, n_channels):
    samples = noise(5000, n_channels, level=1.2)
    path = tmp_path / f"a.{name[:4].removesuffix('1').removesuffix('2').removesuffix('3')}"
    as_read = write(path, samples, name)
    np.testing.assert_array_equal(read(path), as_read.astype(np.float32))


@pytest.mark.parametrize(
    ("source", "wav", "flac"),
    [
        ({"bits_per_sample": 16}, "wav16", "flac16"),
        ({"bits_per_sample": 24}, "wav24", "flac24"),
        ({"bits_per_sample": 32}, "wav32f", "flac24"),
        ({"bits_per_sample": None, "is_float": True}, "wav32f", "flac24"),
        ({"bits_per_sample": None, "is_lossy": True}, "wav32f", "flac24"),
    ],
)
def test_the_default_keeps_the_sources_depth(source, wav, flac):
    assert formats.resolve("wav", info_of(**source)).name == wav
    assert formats.resolve("flac", info_of(**source)).name == flac


def test_mp3_at_96_khz_is_refused():
    with pytest.raises(UnsupportedFormat, match="96000 Hz"):
        formats.resolve("mp3", info_of(sample_rate=96000))


def test_wav_becomes_rf64_only_when_it_must(tmp_path):
    # 4 GB are not written here: the muxer reserves room for the 64-bit sizes and stays a WAV.
    write(tmp_path / "a.wav", noise(1000), "wav16")
    head = (tmp_path / "a.wav").read_bytes()[:80]
    assert head[:4] == b"RIFF"
    assert b"JUNK" in head


def test_nothing_has_the_final_name_before_commit(tmp_path):
    form = formats.resolve("wav16", info_of())
    writer = StemWriter(tmp_path / "a.wav", form, sample_rate=44100, n_channels=2, layout="stereo")
    writer.write(noise(1000))
    assert not (tmp_path / "a.wav").exists()
    writer.discard()
    assert list(tmp_path.iterdir()) == []


_FILL_DISK = """
import resource, sys
from pathlib import Path
from separation.audio import formats
from separation.audio.encode import StemWriter
from separation.errors import DiskFull
from tests.separation.media import noise
from tests.separation.test_encode import info_of

resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
folder, name, n_blocks = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
form = formats.resolve(name, info_of())
writer = StemWriter(folder / "a", form, sample_rate=44100, n_channels=2, layout="stereo")
try:
    for _ in range(n_blocks):
        writer.write(noise(10_000))
    writer.commit()
except DiskFull as error:
    writer.discard()
    sys.stdout.write(error.message)
"""


@pytest.mark.parametrize("name", ["wav16", "flac16", "mp3"])
@pytest.mark.parametrize("n_blocks", [100, 12])
def test_a_full_disk_has_its_name_and_leaves_nothing(tmp_path, name, n_blocks):
    # A limit on the size of files fails the same way as a full disk, and needs no disk to fill.
    command = [sys.executable, "-c", _FILL_DISK, str(tmp_path), name, str(n_blocks)]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert outcome.stdout == "There is no space left on the disk that the stems go to."
    assert list(tmp_path.iterdir()) == []


def test_writing_closes_its_file(tmp_path):
    before = len(list(open_files()))
    for index in range(20):
        write(tmp_path / f"{index}.flac", noise(100), "flac16")
        with AudioReader(tmp_path / f"{index}.flac") as reader:
            next(reader.blocks())
    assert len(list(open_files())) == before


def open_files():
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    import os

    return (fd for fd in os.listdir("/proc/self/fd") if int(fd) < soft)
