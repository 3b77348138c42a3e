"""The spoken clips, their references, and how far two timelines differ."""

import json
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment

from separation.speakers import Timeline, Turn

FOLDER = Path(__file__).resolve().parent / "speech"
THREE, TWELVE = FOLDER / "three.flac", FOLDER / "twelve.ogg"
RATE = 16000
_STEP_S = 0.01


def reference(path, duration_s):
    """Who speaks when in a clip, as it was made."""
    turns = json.loads(path.with_suffix(".json").read_text())
    return Timeline(tuple(Turn(**turn) for turn in turns), duration_s)


def error_rate(expected, found):
    """The diarization error rate: overlap counts, no collar, speakers matched as well as can be."""
    n = round(max(expected.duration_s, found.duration_s) / _STEP_S) + 1
    there, here = _frames(expected, n), _frames(found, n)
    together = there.astype(int) @ here.T  # (speakers, speakers)
    rows, columns = linear_sum_assignment(-together)
    n_there, n_here = there.sum(axis=0), here.sum(axis=0)
    errors = np.maximum(n_there, n_here).sum() - together[rows, columns].sum()
    return errors / n_there.sum()


def overlap_s(timeline):
    """In how many seconds more than one speaks."""
    n = round(timeline.duration_s / _STEP_S) + 1
    return (_frames(timeline, n).sum(axis=0) > 1).sum() * _STEP_S


def _frames(timeline, n):
    frames = np.zeros((len(timeline.speakers), n), bool)
    for row, speaker in zip(frames, timeline.speakers, strict=True):
        for turn in timeline.of(speaker):
            row[round(turn.start_s / _STEP_S) : round(turn.end_s / _STEP_S)] = True
    return frames
