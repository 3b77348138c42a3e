"""From who is heard in each chunk to turns in the recording."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from separation.speakers.analysis import FRAME_S, Analysis, first_frame
from separation.speakers.clustering import assign, parts
from separation.speakers.networks import CHUNK_FRAMES
from separation.speakers.timeline import TIME_DECIMALS, Timeline, Turn

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

# Somebody speaks, and several do, where the chunks' mean says so. Overlaps are asked for less:
# the segmentation misses more of them than it makes up.
_SPEECH = 0.5
_OVERLAP = 0.3
# Nobody is put in for whom there is next to no evidence.
_LEAST_ACTIVITY = 0.02
# A shorter pause is part of a turn.
_LEAST_PAUSE_S = 0.2
# A shorter turn is none: not even a "yes" is.
_LEAST_TURN_S = 0.1
# Frames in the middle of a chunk have heard what comes before and after them.
_WINDOW = np.hamming(CHUNK_FRAMES).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch in which one speaker speaks, in frames; `confidence` 0..1."""

    speaker: int
    first: int
    last: int
    confidence: float


def turns_of(analysis: Analysis, alike: FloatArray) -> list[Stretch]:
    """Say where each speaker speaks, by the start of each turn.

    Parameters
    ----------
    analysis : Analysis
    alike : (pieces, speakers) float32
        What `clustering.likeness` says of them.
    """
    weights = _weights(analysis)
    activity = _activity(analysis, alike, weights)
    values = (analysis.speech, analysis.overlap)
    heard = [_mean(each, weights)[: analysis.n_frames] for each in values]
    is_speaking = _speaking(activity, heard)
    stretches = []
    for speaker in range(alike.shape[1]):
        for first, last in _joined(is_speaking[:, speaker]):
            confidence = float(activity[first:last, speaker].mean())
            stretches.append(Stretch(speaker, first, last, min(1.0, confidence)))
    return sorted(stretches, key=lambda each: (each.first, each.last, each.speaker))


def timeline_of(stretches: list[Stretch], duration_s: float) -> Timeline:
    """Name speakers in the order in which they first speak."""
    order = dict.fromkeys(each.speaker for each in stretches)
    names = {speaker: f"SPEAKER_{number}" for number, speaker in enumerate(order)}
    turns = []
    for each in stretches:
        start_s = round(each.first * FRAME_S, TIME_DECIMALS)
        end_s = round(min(each.last * FRAME_S, duration_s), TIME_DECIMALS)
        if end_s > start_s:
            confidence = round(each.confidence, TIME_DECIMALS)
            turns.append(Turn(start_s, end_s, names[each.speaker], confidence))
    return Timeline(tuple(turns), round(duration_s, TIME_DECIMALS))


def _activity(analysis: Analysis, alike: FloatArray, weights: FloatArray) -> FloatArray:
    """Return (frames, speakers): how probable it is that each speaks, over all chunks."""
    pieces = analysis.pieces
    total = np.zeros((analysis.n_frames + CHUNK_FRAMES, alike.shape[1]), np.float32)
    bounds = np.flatnonzero(np.diff(pieces.chunk)) + 1
    for rows in np.split(np.arange(len(pieces)), bounds):
        if not len(rows):
            continue
        chunk = int(pieces.chunk[rows[0]])
        heard = _chunk_activity(analysis, rows, alike)
        at = first_frame(chunk)
        total[at : at + CHUNK_FRAMES] += _WINDOW[:, None] * heard
    total /= weights[:, None]
    return total[: analysis.n_frames]


def _chunk_activity(
    analysis: Analysis, rows: npt.NDArray[np.intp], alike: FloatArray
) -> FloatArray:
    """Return (589, speakers) of one chunk, whose pieces are `rows`."""
    pieces = analysis.pieces
    activity = analysis.activity[int(pieces.chunk[rows[0]])].astype(np.float32)  # (589, 3)
    heard = np.zeros((CHUNK_FRAMES, alike.shape[1]), np.float32)
    edges = np.unique([pieces.first[rows], pieces.last[rows]])
    for first, last in zip(edges[:-1], edges[1:], strict=True):
        here = rows[(pieces.first[rows] <= first) & (pieces.last[rows] >= last)]
        # Several voices of one chunk are several people.
        for i, speaker in assign(alike[here], pieces.alone_s[here]):
            heard[first:last, speaker] = activity[first:last, pieces.local[here[i]]]
    return heard


def _weights(analysis: Analysis) -> FloatArray:
    """Return (frames + 589,): how much the chunks count in each frame."""
    total = np.full(analysis.n_frames + CHUNK_FRAMES, 1e-9, np.float32)
    for chunk in range(len(analysis.activity)):
        at = first_frame(chunk)
        total[at : at + CHUNK_FRAMES] += _WINDOW
    return total


def _mean(values: npt.NDArray[np.float16], weights: FloatArray) -> FloatArray:
    """Return the chunks' mean of (chunks, 589) values in each frame."""
    total = np.zeros_like(weights)
    for chunk, row in enumerate(values):
        at = first_frame(chunk)
        total[at : at + CHUNK_FRAMES] += _WINDOW * row
    return total / weights


def _speaking(activity: FloatArray, heard: list[FloatArray]) -> BoolArray:
    """Take in each frame as many of the most probable speakers as are heard there."""
    speech, overlap = heard
    n_heard = (speech > _SPEECH).astype(int) + (overlap > _OVERLAP)
    result = activity > _LEAST_ACTIVITY
    for some in parts(len(activity)):
        order = np.argsort(-activity[some], axis=1, kind="stable")
        rank = np.argsort(order, axis=1, kind="stable")
        result[some] &= rank < n_heard[some, None]
    return result


def _joined(is_speaking: BoolArray) -> list[tuple[int, int]]:
    """Return the stretches, over pauses that are none, without those that are too short."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], is_speaking, [False]])))
    joined: list[tuple[int, int]] = []
    for first, last in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        if joined and (first - joined[-1][1]) * FRAME_S <= _LEAST_PAUSE_S:
            joined[-1] = joined[-1][0], last
        else:
            joined.append((first, last))
    return [(first, last) for first, last in joined if (last - first) * FRAME_S >= _LEAST_TURN_S]
