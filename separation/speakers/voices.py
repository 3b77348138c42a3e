"""Whether what was taken for a speaker is a voice at all."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from separation.speakers.analysis import Analysis
from separation.speakers.clustering import FloatArray

# The segmentation takes a bass guitar, a short tone or noise in the rhythm of syllables for speech.
# The embedding network was taught on voices only, and answers to anything else with little: a mean
# length of 0.8 to 1.3, where speakers of ten recordings that were tuned on have 2.2 to 5.9. The
# bound is nearer to the former: people far from the microphone come down to 1.8.
_LEAST_LENGTH = 1.5


def are_voices(analysis: Analysis, alike: FloatArray) -> npt.NDArray[np.bool_]:
    """Say of each speaker whether it is somebody's voice, by (pieces, speakers) of likeness."""
    pieces = analysis.pieces
    lengths = np.linalg.norm(pieces.embedding.astype(np.float32), axis=1)
    is_known = np.isfinite(lengths)
    whose = np.argmax(alike, axis=1)
    totals, weights = (
        np.bincount(whose[is_known], values[is_known], alike.shape[1])
        for values in (lengths * pieces.spoken_s, pieces.spoken_s)
    )
    # Of whom there is no piece, nothing is known.
    result: npt.NDArray[np.bool_] = totals >= _LEAST_LENGTH * weights
    return result
