"""What stems owe to their recording, a line each, on every kind of file that is read."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from separation import SeparationResult, probe, separate
from tests.separation.conftest import GAINS
from tests.separation.crooked import make_crooked
from tests.separation.media import noise, write_media
from tests.separation.test_exactness import AUDIBLE, read
from tests.separation.test_formats_in import CHANNELS, GAPLESS, LOSSLESS, PADDED

N = 12_345
STEMS = [*GAINS, "instrumental"]
RECORDINGS: dict[str, tuple[int, int, Any]] = {
    **{name: (rate, 2, how) for name, rate, how, _ in LOSSLESS},
    **{name: (rate, 2, how) for name, rate, how in GAPLESS + PADDED},
    **{name: (rate, n_channels, how) for name, rate, n_channels, how, _ in CHANNELS},
    "a.amr": (8000, 1, {"codec": "libopencore_amrnb"}),
    "a.3gp": (8000, 1, {"codec": "libopencore_amrnb"}),
    "a.ogg": (44100, 2, {"codec": "vorbis", "container": "ogg"}),
    "vorbis.webm": (44100, 2, {"codec": "vorbis"}),
}


@dataclass
class Made:
    """One recording, and what separating it returned."""

    recording: Any
    result: SeparationResult
    stems: dict[str, Any]


_made: dict[str, Made] = {}


@pytest.fixture(params=RECORDINGS)
def made(request, gain_engine, monkeypatch, tmp_path):
    """Each recording is separated once, for all lines."""
    name = request.param
    if name not in _made:
        make_crooked(gain_engine, monkeypatch)
        rate, n_channels, how = RECORDINGS[name]
        path = write_media(tmp_path / name, noise(N, n_channels, level=0.99), rate, **how)
        result = separate(path, tmp_path / "out", stems=STEMS)
        assert (result.sample_rate, result.channels) == (rate, n_channels)
        info = probe(path)
        for file in result.stems.values():
            stem = probe(file)
            assert (stem.sample_rate, stem.channels, stem.layout) == (
                rate, n_channels, info.layout
            )  # fmt: skip
        stems = {stem: read(file) for stem, file in result.stems.items()}
        _made[name] = Made(read(path), result, stems)
    return _made[name]


def test_stems_have_the_recordings_length(made):
    assert made.result.n_samples == made.recording.shape[1]
    assert {stem.shape for stem in made.stems.values()} == {made.recording.shape}


def test_stems_add_up(made):
    total = sum(made.stems[name] for name in GAINS)
    assert np.abs(total - made.recording).max() < min(AUDIBLE, 2.0**-23)


def test_a_stem_and_what_is_without_it_add_up(made):
    total = made.stems["vocals"] + made.stems["instrumental"]
    assert np.abs(total - made.recording).max() < min(AUDIBLE, 2.0**-23)


def test_nothing_is_clipped(made):
    assert set(made.result.clipped_samples.values()) == {0}


def test_stems_are_stems(made):
    # Lest silence and a copy pass for a separation.
    for stem in made.stems.values():
        assert 0.02 < np.std(stem) / np.std(made.recording) < 1.5
