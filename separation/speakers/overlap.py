"""Who says what where two speak at once, told by how each of them sounds alone.

In each frame the pairs of sounds, one from each speaker's book, that explain the recording best say
which share of each bin is whose; their mean, and how the two differ on the whole, become a mask.
docs/adr/0022-overlaps.md says what it gains and what else was tried.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from separation.audio.buffer import SampleBuffer
from separation.speakers.cutting import FloatArray
from separation.speakers.statistics import overlaps
from separation.speakers.timeline import Timeline
from separation.speakers.tracks import Voices
from separation.speakers.voiceprints import Spectra, Voiceprint

# Bins that pairs are compared in: every third up to 6.2 kHz, from the first that carries a voice.
_COMPARED = slice(2, 400, 3)
_FLOOR = 0.01
_BEST_PAIRS = 40
# By how much (a squared distance of logarithms) a pair may be worse and still count.
_DOUBT = 10.0
# How much of the way from an even share to the mask is gone: less for voices that are alike, by the
# mean difference of their average spectra's shapes (natural logarithm).
_TRUST = (0.4, 0.8)
_LIKENESS = (0.35, 0.6)

# At least so much is made at once, so that memory does not know how long an overlap is.
_LONGEST_S = 20.0
_FADE_S = 0.02
_FRAMES_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class _Stretch:
    start: int
    end: int
    pair: tuple[str, str]


class SeparatedVoices:
    """An `OverlapSource`: each of two speakers' tracks has less of the other.

    Where three or more speak, or there is too little of one alone, both have the recording.

    Parameters
    ----------
    timeline : Timeline
    prints : mapping of str to Voiceprint
        See `voiceprints.learn`.
    sample_rate : int, Hz
    n_samples : int
        Length of the recording.
    """

    def __init__(
        self,
        timeline: Timeline,
        prints: Mapping[str, Voiceprint],
        sample_rate: int,
        n_samples: int,
    ) -> None:
        self._prints = prints
        self._spectra = Spectra(sample_rate)
        self._fade = round(_FADE_S * sample_rate)
        self._n_samples = n_samples
        self._stretches = list(self._found(timeline, sample_rate))

    def _found(self, timeline: Timeline, sample_rate: int) -> Iterator[_Stretch]:
        longest = round(_LONGEST_S * sample_rate)
        for overlap in overlaps(timeline):
            if len(overlap.speakers) != 2 or not self._prints.keys() >= set(overlap.speakers):
                continue
            start = round(overlap.start_s * sample_rate)
            end = min(round(overlap.end_s * sample_rate), self._n_samples)
            first, second = overlap.speakers
            for cut in range(start, end, longest):
                yield _Stretch(cut, min(cut + longest, end), (first, second))

    def voices(self, blocks: Iterator[FloatArray]) -> Iterator[Voices]:
        """See `OverlapSource`."""
        held = _Held(blocks, self._spectra.window, self._n_samples)
        for stretch in self._stretches:
            yield from ((block, {}) for block in held.until(stretch.start))
            around = held.around(stretch.start, stretch.end)
            mixture = held.take(stretch.end)
            yield mixture, self._apart(mixture, around, stretch.pair)
        yield from ((block, {}) for block in held.until(self._n_samples))

    def _apart(
        self, mixture: FloatArray, around: FloatArray, pair: tuple[str, str]
    ) -> dict[str, FloatArray]:
        """Return what each of the pair has of a mixture, (channels, n), a window around it."""
        window = self._spectra.window
        spectra = self._spectra.of(around)  # (channels, frames, bins)
        prints = [self._prints[name] for name in pair]
        mask, trust = _mask(np.abs(spectra.mean(axis=0)), *prints), _trust(*prints)
        voices = {}
        for name, share in zip(pair, (mask, 1 - mask), strict=True):
            # The greatest share leaves a sound as loud as it is.
            gains = (0.5 + trust * (share - 0.5)) / (0.5 + trust / 2)
            samples = self._spectra.samples(spectra * gains)
            voice = samples[:, window : window + mixture.shape[1]]
            voices[name] = self._faded(voice, mixture)
        return voices

    def _faded(self, voice: FloatArray, mixture: FloatArray) -> FloatArray:
        """Return the voice, never beyond the mixture's peak, and the mixture at both ends."""
        peak = np.abs(mixture).max(initial=0)
        n_samples = mixture.shape[1]
        ramp = (np.arange(n_samples, dtype=np.float32) + 0.5) / max(self._fade, 1)
        weights = np.minimum(np.minimum(ramp, ramp[::-1]), 1)
        faded: FloatArray = mixture + weights * (np.clip(voice, -peak, peak) - mixture)
        return faded


def _trust(first: Voiceprint, second: Voiceprint) -> float:
    """Return how far a mask can be relied on for two voices."""
    floor = np.finfo(np.float32).tiny
    shapes = [np.log(voice.mean[_COMPARED] + floor) for voice in (first, second)]
    difference = shapes[0] - shapes[1]
    distance = float(np.mean(np.abs(difference - difference.mean())))
    return float(np.interp(distance, _LIKENESS, _TRUST))


def _mask(magnitudes: FloatArray, first: Voiceprint, second: Voiceprint) -> FloatArray:
    """Return the first one's share of each bin, 0..1, of (frames, bins) magnitudes."""
    floor = _FLOOR * magnitudes.mean() + np.finfo(np.float32).tiny
    books = [np.log(voice.sounds + floor) for voice in (first, second)]
    louder = np.maximum(books[0][:, None, _COMPARED], books[1][None, :, _COMPARED])
    pairs = louder.reshape(-1, louder.shape[-1])  # (pairs, compared)
    norms = np.sum(pairs**2, axis=1)
    heard = np.log(magnitudes + floor)
    shares = np.empty_like(magnitudes)
    for start in range(0, len(heard), _FRAMES_AT_ONCE):
        frames = slice(start, start + _FRAMES_AT_ONCE)
        distances = norms - 2 * heard[frames, _COMPARED] @ pairs.T  # (frames, pairs)
        best = np.argpartition(distances, _BEST_PAIRS, axis=1)[:, :_BEST_PAIRS]
        near = np.take_along_axis(distances, best, axis=1)
        weights = np.exp((near.min(axis=1, keepdims=True) - near) / _DOUBT)
        weights /= weights.sum(axis=1, keepdims=True)
        n_second = len(books[1])
        ratios = books[1][best % n_second] - books[0][best // n_second]  # (frames, best, bins)
        shares[frames] = np.einsum("fb,fbk->fk", weights, 1 / (1 + np.exp(ratios)))
    shares += first.mean / (first.mean + second.mean + floor)
    shares /= 2
    return shares


class _Held:
    """Blocks of a recording on their way, some of the past kept and some of the future read."""

    def __init__(self, blocks: Iterator[FloatArray], margin: int, n_samples: int) -> None:
        self._blocks = blocks
        self._margin = margin
        self._n_samples = n_samples
        self._buffer: SampleBuffer | None = None
        self._oldest = 0  # the first sample in the buffer
        self._at = 0  # the first that has not been given out

    def until(self, end: int) -> Iterator[FloatArray]:
        """Give out what comes before `end`."""
        while self._at < end:
            self._read(self._at + 1)
            yield self.take(min(end, self._read_to))

    def take(self, end: int) -> FloatArray:
        """Give out what comes before `end` at once."""
        self._read(end)
        block = self._slice(self._at, end).copy()
        self._at = end
        self._forget()
        return block

    def around(self, start: int, end: int) -> FloatArray:
        """Return the samples and a margin on both sides, silence where there are none."""
        first, last = start - self._margin, end + self._margin
        self._read(min(last, self._n_samples))
        samples = self._slice(max(first, 0), min(last, self._n_samples))
        return np.pad(samples, ((0, 0), (max(-first, 0), max(last - self._n_samples, 0))))

    @property
    def _read_to(self) -> int:
        return self._oldest + (0 if self._buffer is None else len(self._buffer))

    def _read(self, end: int) -> None:
        while self._read_to < end:
            block = next(self._blocks)
            if self._buffer is None:
                self._buffer = SampleBuffer(len(block))
            self._buffer.append(block)

    def _slice(self, start: int, end: int) -> FloatArray:
        if self._buffer is None:
            raise RuntimeError("Nothing has been read.")
        return self._buffer.peek(start - self._oldest, end - self._oldest)

    def _forget(self) -> None:
        surplus = self._at - self._margin - self._oldest
        if self._buffer is not None and surplus > 0:
            self._buffer.drop(surplus)
            self._oldest += surplus
