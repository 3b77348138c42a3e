"""In which key a recording is, by how much each of the twelve notes sounds in it.

References
----------
Krumhansl, Kessler: Tracing the dynamic changes in perceived tonal organization in a spatial
representation of musical keys, Psychological Review 89, 1982,
https://doi.org/10.1037/0033-295X.89.4.334: how well each note fits into a key. The key whose
profile correlates best with what sounds is taken (Krumhansl: Cognitive Foundations of Musical
Pitch, 1990, chapter 4).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from separation.music.notes import SOUNDING
from separation.music.pitches import LOWEST_PITCH, N_PITCHES
from separation.music.sound import FloatArray

NOTES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")

_PROFILES = {
    "major": (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88),
    "minor": (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17),
}
# In noise the network hears notes here and there, but none clearly: their share of all that sounds
# is 0.06 at most. In music it is a half and more.
_CLEAR = 0.5
_LEAST_CLEAR_SHARE = 0.2
# Where all twelve sound alike there is no key, however well the little that differs fits into one:
# deviation from the mean, in parts of it. In keys it is 0.7 and more.
_LEAST_DIFFERENCE = 0.3
# What correlates less with the best key is in none.
_LEAST_CORRELATION = 0.4
# Leads by so much over the second key are certain.
_CLEAR_LEAD = 0.2


@dataclass(frozen=True, slots=True)
class Key:
    """`tonic` is a note such as `F#`, `scale` is `major` or `minor`.

    `camelot` is the place on the wheel that DJs use, such as `8B` for C major. `confidence` is
    0..1: how well the notes fit, and how much better than in the next best key. All but that are
    None where no key is to be found.
    """

    tonic: str | None = None
    scale: str | None = None
    camelot: str | None = None
    confidence: float = 0.0


class KeyFinder:
    """Adds up how much each note sounds."""

    def __init__(self) -> None:
        self._levels = np.zeros(N_PITCHES)
        self._clear = 0.0

    def push(self, sounding: FloatArray) -> None:
        """Take how much each of 88 notes sounds, (n, 88), 0..1."""
        self._levels += np.where(sounding >= SOUNDING, sounding, 0).sum(axis=0)
        self._clear += float(np.where(sounding >= _CLEAR, sounding, 0).sum())

    def finish(self) -> Key:
        """Return the key."""
        levels = np.zeros(12)
        np.add.at(levels, (np.arange(N_PITCHES) + LOWEST_PITCH) % 12, self._levels)
        is_clear = self._clear > _LEAST_CLEAR_SHARE * levels.sum()
        if not is_clear or levels.std() < _LEAST_DIFFERENCE * levels.mean():
            return Key()
        scale, tonic, fit, lead = best_key(levels)
        if not fit >= _LEAST_CORRELATION:
            return Key()
        confidence = round(fit * min(1, lead / _CLEAR_LEAD), 3)
        return Key(NOTES[tonic], scale, camelot(tonic, scale), confidence)


def best_key(levels: npt.NDArray[np.floating]) -> tuple[str, int, float, float]:
    """Return the key that (12,) levels, from C on, fit best into.

    Returns
    -------
    tuple
        The scale, the tonic (0 is C), how well they fit (-1..1) and how much better than into the
        next key.
    """
    keys = [(scale, tonic) for scale in _PROFILES for tonic in range(12)]
    fits = [
        float(np.corrcoef(np.roll(_PROFILES[scale], tonic), levels)[0, 1]) for scale, tonic in keys
    ]
    second, best = sorted(fits)[-2:]
    return (*keys[fits.index(best)], best, best - second)


def camelot(tonic: int, scale: str) -> str:
    """Return a key's place on the wheel; a minor key stands beside its relative major."""
    major = tonic if scale == "major" else tonic + 3
    letter = "B" if scale == "major" else "A"
    return f"{(7 * major + 7) % 12 + 1}{letter}"
