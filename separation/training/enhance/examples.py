"""What the networks see of an example: band powers, and how well a gain would do in each band.

With X the spectrum that is heard and S the one that is wanted, the error of a gain g in one band
is g² |X|² - 2 g Re(X* S) + |S|², each summed over its bins: three numbers a band and frame are
enough to train by the error of the samples, without any transform.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import signal

from separation.enhance.bands import Analysis, Layout, layout
from separation.training.enhance import noises, rooms
from separation.training.enhance.dry import Music, Speech

FloatArray = npt.NDArray[np.float32]

SAMPLE_RATE = 48000
_DURATION_S = 4.0
_LEAD_S = 1.0  # that is thrown away: a room is already sounding when the example begins

# Below this a piece is taken for empty.
_LEAST_RMS = 1e-3

# What makes (heard, wanted) of dry samples.
Task = Callable[[np.random.Generator, FloatArray, bool], tuple[FloatArray, FloatArray]]


def reverberant(
    rng: np.random.Generator, dry: FloatArray, is_speech: bool
) -> tuple[FloatArray, FloatArray]:
    """Return (heard, wanted): in a room, and with its early reflections only."""
    heard = wanted = dry
    if rng.random() > 0.12:
        response, early = rooms.drawn(rng, SAMPLE_RATE)
        heard = signal.fftconvolve(dry, response)[: len(dry)]
        wanted = signal.fftconvolve(dry, early)[: len(dry)]
    if rng.random() < 0.3:  # a noise that is neither to go nor to be taken for a room
        noise = noises.drawn(rng, len(dry), SAMPLE_RATE) * _rms(heard)
        noise *= 10 ** (-rng.uniform(20, 50) / 20)
        heard, wanted = heard + noise, wanted + noise
    return heard, wanted


def noisy(
    rng: np.random.Generator, dry: FloatArray, is_speech: bool
) -> tuple[FloatArray, FloatArray]:
    """Return (heard, wanted): with noise 0 to 40 dB below it, and without."""
    wanted = dry
    if rng.random() < 0.4:
        response, _ = rooms.drawn(rng, SAMPLE_RATE)
        wanted = signal.fftconvolve(dry, response)[: len(dry)].astype(np.float32)
    if rng.random() < 0.1:
        return wanted, wanted
    noise = noises.drawn(rng, len(dry), SAMPLE_RATE) * _rms(wanted)
    return wanted + noise * 10 ** (-rng.uniform(0, 40) / 20), wanted


TASKS: dict[str, Task] = {"dereverb": reverberant, "denoise-music": noisy}
# How often an example of each task is speech.
_SPEECH_SHARE = {"dereverb": 0.5, "denoise-music": 0.15}


class Examples:
    """Examples of one task, drawn at random."""

    def __init__(self, task: str, speech: Path, soundfont: Path) -> None:
        self._task, self._share = TASKS[task], _SPEECH_SHARE[task]
        self._speech, self._music = Speech(speech, SAMPLE_RATE), Music(soundfont, SAMPLE_RATE)
        self._layout = layout(SAMPLE_RATE)

    def example(self, rng: np.random.Generator) -> FloatArray:
        """Return (3, frames, N_BANDS): log10 of |X|², and Re(X* S) and |S|² over |X|²."""
        n = round((_DURATION_S + _LEAD_S) * SAMPLE_RATE)
        is_speech = rng.random() < self._share
        dry = (self._speech if is_speech else self._music).example(rng, n)
        while _rms(dry[n // 5 :]) < _LEAST_RMS:
            dry = (self._speech if is_speech else self._music).example(rng, n)
        dry = _filtered(rng, dry) / max(_rms(dry), 1e-4) * 10 ** (rng.uniform(-40, -12) / 20)
        heard, wanted = self._task(rng, dry, is_speech)
        start = round(_LEAD_S * SAMPLE_RATE)
        return statistics(self._layout, heard[start:], wanted[start:])


def statistics(bands: Layout, heard: FloatArray, wanted: FloatArray) -> FloatArray:
    """Return what `Examples.example` does, of (n,) samples heard and wanted."""
    n = len(heard) // bands.hop * bands.hop
    spectra = [
        Analysis(bands.hop, 1).push(x[None, :n].astype(np.float32))[0] for x in (heard, wanted)
    ]
    sums = [
        np.abs(spectra[0]) ** 2,
        (np.conj(spectra[0]) * spectra[1]).real,
        np.abs(spectra[1]) ** 2,
    ]
    power, cross, own = (np.add.reduceat(each, bands.starts, axis=1) for each in sums)
    safe = np.maximum(power, 1e-20)
    means = np.log10(safe / bands.sizes)
    ratios = np.clip(cross / safe, -4, 4), np.clip(own / safe, 0, 16)
    return np.stack([means, *ratios]).astype(np.float32)


def _rms(samples: FloatArray) -> float:
    return float(np.sqrt(np.mean(np.square(samples)) + 1e-12))


def _filtered(rng: np.random.Generator, samples: FloatArray) -> FloatArray:
    """Return samples as through some microphone, and sometimes of a lower rate."""
    for _ in range(rng.integers(0, 3)):
        pole = rng.uniform(-0.5, 0.5)
        samples = signal.lfilter([1 + pole, 0], [1, pole], samples)
    if rng.random() < 0.3:
        edge = np.exp(rng.uniform(np.log(3500), np.log(16000)))
        samples = signal.sosfilt(signal.butter(8, edge, fs=SAMPLE_RATE, output="sos"), samples)
    return np.asarray(samples, np.float32)
