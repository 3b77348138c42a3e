import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from jobs.models import Asset
from jobs.services import asset_create
from jobs.waveforms import waveform_peaks

pytestmark = pytest.mark.django_db


def stored(workspace: Any, folder: Path, samples: Any, subtype: str = "PCM_16") -> Asset:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, 44_100, format="WAV", subtype=subtype)
    path = folder / "recording.wav"
    path.write_bytes(buffer.getvalue())
    return asset_create(workspace=workspace, filename="a.wav", path=path)


@pytest.mark.parametrize("n_samples", [1, 2047, 2048, 2049, 4096, 50_000, 132_300])
@pytest.mark.parametrize("channels", [1, 2])
def test_they_are_the_extremes_of_each_stretch(
    alice: Any, tmp_path: Path, n_samples: int, channels: int
):
    noise = np.random.default_rng(7).integers(-32768, 32768, (n_samples, channels), dtype=np.int16)
    peaks = waveform_peaks(stored(alice, tmp_path, noise), levels=(11, 12, 20))
    assert list(peaks) == [11, 12, 20]
    for level, found in peaks.items():
        size = 2**level
        stretches = [noise[start : start + size] for start in range(0, n_samples, size)]
        expected = [
            [[one[:, channel].min(), one[:, channel].max()] for one in stretches]
            for channel in range(channels)
        ]
        assert found.dtype == np.int16
        assert found.tolist() == expected


def test_what_is_above_full_scale_is_cut(alice: Any, tmp_path: Path):
    loud = np.array([[2.0], [-2.0], [0.0]], dtype=np.float32)
    peaks = waveform_peaks(stored(alice, tmp_path, loud, "FLOAT"), levels=[11])
    assert peaks[11].tolist() == [[[-32768, 32767]]]
