"""A recording as the networks hear it: 16 kHz, one channel, or each side by itself.

Calls and interviews often have one microphone on each side. Each side is then listened to by
itself: that finds who speaks even where both do, and what leaks over from the other side is left
out: where nobody speaks into this side, and otherwise in those bins in which the other is louder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from separation.audio.buffer import gathered
from separation.audio.decode import AudioReader
from separation.audio.resample import Resampler
from separation.speakers.networks import SAMPLE_RATE
from separation.speakers.voiceprints import Spectra

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

# A tenth of a second counts as sound if it is within so many dB of the loud ones ...
_QUIET_DB = 30
_LOUD_PERCENTILE = 95
# ... and as one side's if that is so much louder than the other one,
_SIDE_DB = 10
# which has to be so for most of the sound, and each side has to have its share.
_LEAST_SIDED = 0.6
_LEAST_SHARE = 0.05
# What is this much quieter than the other side leaked over from there.
_LEAK_DB = 6
# A cable with two wires swapped: less than this share of the power is left of both together.
_CANCELLED = 0.01
_SILENCE = 1e-10


def mono(
    path: Path, on_samples: Callable[[int], None], *, guess: str | None = None
) -> Iterator[FloatArray]:
    """Yield all channels as one, (n,) at 16 kHz; tell the samples read so far.

    Here and below `guess` is the kind of file that the recording is said to be, as in ``mp3``:
    see `open_recording`. The path's suffix counts when it is left out.
    """
    for block in _resampled(path, _mean, on_samples, guess):
        yield block[0]


def side(
    path: Path, number: int, on_samples: Callable[[int], None], *, guess: str | None = None
) -> Iterator[FloatArray]:
    """Yield one of two channels, (n,) at 16 kHz, without what leaks over from the other one.

    Tells the samples read so far.
    """
    spectra = Spectra(SAMPLE_RATE)
    window, hop = spectra.window, spectra.hop
    held = np.zeros((2, window), np.float32)  # what comes out next, and a window on both sides
    n_left = 0
    for block in _resampled(path, lambda block: block, on_samples, guess):
        held = np.concatenate([held, block], axis=1)
        n_left += block.shape[1]
        n_ready = (held.shape[1] - 2 * window) // hop * hop
        if n_ready > 0:
            yield _without_leaks(held[:, : n_ready + 2 * window], number, spectra)
            held = held[:, n_ready:]
            n_left -= n_ready
    n_missing = 2 * window + -(-n_left // hop) * hop - held.shape[1]
    held = np.pad(held, ((0, 0), (0, n_missing)))
    yield _without_leaks(held, number, spectra)[:n_left]


def sides(
    path: Path, on_samples: Callable[[int], None], *, guess: str | None = None
) -> BoolArray | None:
    """Look whether a recording of two channels has other speakers on each side.

    Returns
    -------
    (2, tenths of a second) bool, where each side is spoken into; or None if it is not so
    """
    levels = _levels(path, on_samples, guess)  # (2, n)
    if levels.shape[1] == 0:
        return None
    louder = levels.max(axis=0)
    is_sound = louder > np.percentile(louder, _LOUD_PERCENTILE) - _QUIET_DB
    difference = (levels[0] - levels[1])[is_sound]
    left, right = np.mean(difference > _SIDE_DB), np.mean(difference < -_SIDE_DB)
    if left + right < _LEAST_SIDED or min(left, right) < _LEAST_SHARE:
        return None
    return levels > levels[::-1] - _LEAK_DB


def _mean(block: FloatArray) -> FloatArray:
    """Return the mean of (channels, n) as (1, n); of two that cancel each other, the first."""
    mean = block.mean(axis=0, keepdims=True)
    is_cancelled = len(block) == 2 and mean.var() < _CANCELLED * block.var(axis=1).mean()
    return block[:1] if is_cancelled else mean


def _without_leaks(samples: FloatArray, number: int, spectra: Spectra) -> FloatArray:
    """Return the middle of one of (2, n) channels, without a window at both ends.

    Voices seldom are in the same bin at the same time (Yilmaz, Rickard: Blind separation of speech
    mixtures via time-frequency masking, 2004, https://doi.org/10.1109/TSP.2004.828896): a Wiener
    filter that takes the other channel for the disturbance leaves little of what leaked over.
    """
    heard = spectra.of(samples)  # (2, frames, bins)
    power = heard.real**2 + heard.imag**2
    gains = power[number] / (power.sum(axis=0) + np.float32(_SILENCE))
    return spectra.samples(heard[number] * gains)[spectra.window : -spectra.window]


def _resampled(
    path: Path,
    choose: Callable[[FloatArray], FloatArray],
    on_samples: Callable[[int], None],
    guess: str | None,
) -> Iterator[FloatArray]:
    """Yield what is chosen of each block's channels, (channels, n) at 16 kHz."""
    resampler: Resampler | None = None
    with AudioReader(path, guess=guess) as reader:
        rate, n_samples = reader.format.sample_rate, 0
        for block in _gathered(reader, rate):
            chosen = choose(block)
            resampler = resampler or Resampler(rate, SAMPLE_RATE, len(chosen))
            yield resampler.process(chosen)
            n_samples += block.shape[1]
            on_samples(n_samples)
        if resampler is not None:
            yield resampler.finish()


def _levels(path: Path, on_samples: Callable[[int], None], guess: str | None) -> FloatArray:
    """Return (2, tenths of a second) levels in dB; the last, incomplete one is left out."""
    with AudioReader(path, guess=guess) as reader:
        rate = reader.format.sample_rate
        tenth = rate // 10
        powers, rest = [], np.zeros((2, 0), np.float32)
        n_samples = 0
        for block in _gathered(reader, rate):
            rest = np.concatenate([rest, block], axis=1)
            # By whole seconds: at 11,025 Hz a tenth is no whole number of samples, and the rest of
            # each would be seconds after an hour.
            n = rest.shape[1] // rate
            seconds = rest[:, : n * rate].reshape(2, n, rate)[:, :, : 10 * tenth]
            powers.append(_powers(seconds.reshape(2, 10 * n, tenth)))
            rest = rest[:, n * rate :]
            n_samples += block.shape[1]
            on_samples(n_samples)
    n = 10 * rest.shape[1] // rate
    powers.append(_powers(rest[:, : n * tenth].reshape(2, n, tenth)))
    power = np.concatenate(powers, axis=1)
    return (10 * np.log10(power + _SILENCE)).astype(np.float32)


def _powers(tenths: FloatArray) -> npt.NDArray[np.float64]:
    """(2, n, samples) -> (2, n), without the offset that some sound cards add to a side."""
    powers: npt.NDArray[np.float64] = tenths.var(axis=2, dtype=np.float64)
    return powers


def _gathered(reader: AudioReader, n_least: int) -> Iterator[FloatArray]:
    """Yield a reader's blocks in bigger ones."""
    yield from gathered(reader.blocks(), n_least)
    reader.check_health()
