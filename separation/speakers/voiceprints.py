"""How each speaker sounds alone: a book of typical spectra, learned from the recording itself.

References
----------
Roweis, Factorial Models and Refiltering for Speech Separation and Denoising, Eurospeech 2003,
1009-1012: two books of spectra, of which the louder one is heard in each bin.
https://www.isca-speech.org/archive_v0/eurospeech_2003/e03_1009.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from separation.speakers.cutting import FloatArray
from separation.speakers.spans import Span
from separation.speakers.statistics import overlaps, solo_ms
from separation.speakers.timeline import Timeline

ComplexArray = npt.NDArray[np.complex64]

_WINDOW_S = 0.064
_HOPS = 4

# Seconds of a speaker that are learned from, the longest stretches first, and without their ends.
_TAUGHT_S = 25.0
_LEAST_S = 4.0
_EDGE_MS = 100

_N_SOUNDS = 96
_ROUNDS = 8
# Spectra are compared as logarithms; what is softer than this part of the mean counts as silence.
_FLOOR = 0.01
_QUIET = 0.1


class Spectra:
    """Short-time spectra of 64 ms, four to a window, at a sample rate (Hz)."""

    def __init__(self, sample_rate: int) -> None:
        self.hop = round(sample_rate * _WINDOW_S / _HOPS)
        self.window = _HOPS * self.hop
        phase = np.pi * np.arange(self.window) / self.window
        self._weights = np.sin(phase).astype(np.float32)

    def of(self, samples: FloatArray) -> ComplexArray:
        """Return (…, frames, bins) of (…, n) samples, n at least a window."""
        frames = np.lib.stride_tricks.sliding_window_view(samples, self.window, axis=-1)
        kept = frames[..., :: self.hop, :] * self._weights
        return np.fft.rfft(kept).astype(np.complex64, copy=False)

    def samples(self, spectra: ComplexArray) -> FloatArray:
        """Return (…, n) samples; those that all windows reach are the ones that `of` was given."""
        frames = np.fft.irfft(spectra, self.window) * self._weights
        n_frames = frames.shape[-2]
        result = np.zeros((*frames.shape[:-2], (n_frames - 1) * self.hop + self.window), np.float32)
        for number in range(n_frames):
            start = number * self.hop
            result[..., start : start + self.window] += frames[..., number, :]
        result /= _HOPS / 2
        return result


@dataclass(frozen=True, slots=True)
class Voiceprint:
    """One speaker's typical spectra: `sounds` (sounds, bins) and their `mean` (bins,)."""

    sounds: FloatArray
    mean: FloatArray


def learn(
    blocks: Iterator[FloatArray],
    timeline: Timeline,
    sample_rate: int,
    *,
    on_samples: Callable[[int], None],
) -> dict[str, Voiceprint]:
    """Learn those who speak at the same time as others, from where they speak alone.

    Parameters
    ----------
    blocks : iterator of array
        The recording, (channels, n).
    timeline : Timeline
    sample_rate : int, Hz
    on_samples : callable
        Told how many samples have been seen, after each block.

    Returns
    -------
    dict of str to Voiceprint
        Without those of whom there is too little.
    """
    spectra = Spectra(sample_rate)
    heard: dict[str, list[_Halved]] = {}
    for name, samples in _stretches(blocks, _wanted(timeline, sample_rate), on_samples):
        if len(samples) >= spectra.window:
            heard.setdefault(name, []).append(_Halved.of(np.abs(spectra.of(samples))))
    # One for all: between two speakers neither may be louder for being learned from louder speech.
    floor = _FLOOR * _mean(heard)
    least = _LEAST_S * sample_rate / spectra.hop
    prints = {}
    for name, parts in heard.items():
        frames = _sounding(parts)
        if len(frames) >= least:
            prints[name] = _print(frames, floor)
    return prints


def _wanted(timeline: Timeline, sample_rate: int) -> list[tuple[int, int, str]]:
    """Return stretches in samples, in order, in which one speaker of interest speaks alone."""
    names = {name for overlap in overlaps(timeline) for name in overlap.speakers}
    wanted = []
    for name, spans in solo_ms(timeline).items():
        for start, end in _longest(spans) if name in names else ():
            wanted.append((start * sample_rate // 1000, end * sample_rate // 1000, name))
    return sorted(wanted)


def _longest(spans: list[Span]) -> list[Span]:
    left = round(1000 * _TAUGHT_S)
    result = []
    for start, end in sorted(spans, key=lambda span: span[0] - span[1]):
        start, end = start + _EDGE_MS, min(end - _EDGE_MS, start + _EDGE_MS + left)
        if start < end:
            result.append((start, end))
            left -= end - start
    return result


def _stretches(
    blocks: Iterator[FloatArray],
    wanted: list[tuple[int, int, str]],
    on_samples: Callable[[int], None],
) -> Iterator[tuple[str, FloatArray]]:
    """Yield the name and the (n,) samples of all channels together for each stretch."""
    at, number = 0, 0
    parts: list[FloatArray] = []
    for block in blocks:
        end = at + block.shape[1]
        while number < len(wanted) and wanted[number][0] < end:
            first, last, name = wanted[number]
            parts.append(block[:, max(first - at, 0) : last - at].mean(axis=0))
            if last > end:
                break
            yield name, np.concatenate(parts)
            parts, number = [], number + 1
        at = end
        on_samples(at)


@dataclass(frozen=True, slots=True)
class _Halved:
    """Magnitudes in half precision, since twenty speakers of a wide recording are kept at once.

    They are `scale` times `values`: samples that are no fractions of one, as those of some files,
    have spectra beyond 65,504.
    """

    values: npt.NDArray[np.float16]
    scale: float

    @classmethod
    def of(cls, magnitudes: FloatArray) -> _Halved:
        scale = max(1.0, float(magnitudes.max()) / float(np.finfo(np.float16).max))
        return cls((magnitudes / np.float32(scale)).astype(np.float16), scale)

    def whole(self) -> FloatArray:
        return self.values.astype(np.float32) * np.float32(self.scale)


def _sounding(parts: list[_Halved]) -> FloatArray:
    """Return the frames that are not pauses, (frames, bins) magnitudes."""
    frames = np.concatenate([part.whole() for part in parts])
    sums = frames.sum(axis=1)
    kept: FloatArray = frames[sums > _QUIET * np.percentile(sums, 95)]
    return kept


def _mean(heard: Mapping[str, list[_Halved]]) -> float:
    parts = [part for parts in heard.values() for part in parts]
    total = sum(part.scale * float(part.values.sum(dtype=np.float64)) for part in parts)
    return total / max(1, sum(part.values.size for part in parts))


def _print(frames: FloatArray, floor: float) -> Voiceprint:
    floor = max(floor, float(np.finfo(np.float32).tiny))
    logarithms = np.log(frames + np.float32(floor))
    sounds = np.exp(_clusters(logarithms, np.random.default_rng(0))) - np.float32(floor)
    return Voiceprint(np.maximum(sounds, 0), np.sqrt(np.mean(frames**2, axis=0)))


def _clusters(points: FloatArray, random: np.random.Generator) -> FloatArray:
    """Return the centres that k-means finds."""
    n_centres = min(_N_SOUNDS, len(points))
    centres = points[random.choice(len(points), n_centres, replace=False)]
    for _ in range(_ROUNDS):
        nearest = (np.sum(centres**2, axis=1) - 2 * points @ centres.T).argmin(axis=1)
        for number in range(n_centres):
            mine = points[nearest == number]
            if len(mine):
                centres[number] = mine.mean(axis=0)
    return centres
