"""Which stretches of speech are whose: agglomerative clustering of their embeddings.

Two clusters' likeness is the mean cosine between their stretches, divided by how alike the
stretches of each are among themselves. Noise, distance and reverberation make embeddings of one
speaker less alike, and those of two speakers too; the quotient stays, so one threshold does for a
podcast and for a meeting (Spearman: The proof and measurement of association between two things,
1904, calls it correction for attenuation).

What the segmentation saw counts as well: two of its speakers in one chunk are two people.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from separation.speakers.analysis import CHUNK_S, FRAME_S, Analysis, Stretches, first_frame
from separation.speakers.counting import SpeakerCount
from separation.speakers.vbx import Plda, vbx

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.intp]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Tuning:
    """What was tuned (docs/speaker-quality.md says on what).

    Parameters
    ----------
    likeness : float
        Clusters that are at least so alike are one speaker.
    track_share : float
        How much of a piece's embedding is its track's.
    own_likeness : float
        How alike stretches of one speaker are taken to be where too few of them tell.
    own_weight : float
        How many square seconds of pairs that counts for.
    stranger, stranger_weight : float
        The likeness of two of the segmentation's speakers in one chunk, and how often it counts.
    least_alone_s : float
        Pieces with less speech without anybody else are not clustered.
    least_speaker_s, least_share, most_least_s : float
        A speaker says at least so much, at least that share of the recording, but of a long
        recording no more than the last.
    """

    likeness: float = 0.73
    track_share: float = 0.15
    own_likeness: float = 0.35
    own_weight: float = 4.0
    stranger: float = -0.1
    stranger_weight: float = 2.0
    least_alone_s: float = 1.0
    least_speaker_s: float = 1.0
    least_share: float = 0.015
    most_least_s: float = 15.0

    def least_s(self, duration_s: float) -> float:
        """Return how much somebody says at least in a recording of this length (s)."""
        return max(self.least_speaker_s, min(self.least_share * duration_s, self.most_least_s))


TUNING = Tuning()

# Chunks overlap, and say the same several times. Of those that are clustered each is as many
# seconds behind the one before, in recordings up to a minute and in longer ones.
_SHORT_S = 60
_HOP_SHORT, _HOP = 2, 5
# More stretches take more time and memory than they are worth.
_MOST_STRETCHES = 2000
# A square second is enough to believe a pair.
_MOST_WEIGHT_S = 2.0
_LEAST_WEIGHT_S = 0.1
_LEAST_OWN = 0.05
# How much of its frames two tracks of neighbouring chunks share that are the same.
_SAME_SHARE = 0.5
_MOST_STRANGERS = 2
_AT_ONCE = 1 << 13


def find_speakers(
    analysis: Analysis, count: SpeakerCount, *, plda: Plda | None = None, tuning: Tuning = TUNING
) -> FloatArray:
    """Return how each speaker sounds, (speakers, 256), of length one; none if nobody speaks.

    Parameters
    ----------
    analysis : Analysis
    count : SpeakerCount
        As many speakers are found as it allows, if there is speech for them.
    plda : Plda, optional
        Where there is one and no least number of speakers, clusters are refined by VBx.
    tuning : Tuning
    """
    pieces = analysis.pieces
    chosen = _chosen(analysis, tuning)
    if not len(chosen):
        return np.zeros((0, 256), np.float32)
    voices = blended(analysis, chosen, tuning)
    heard_s = np.maximum(pieces.alone_s[chosen], _LEAST_WEIGHT_S)
    merging = _Merging(pieces, chosen, voices, heard_s, tuning)
    # Overlapping chunks count the same second several times.
    n_chunks = len(np.unique(pieces.chunk[chosen]))
    repeats = max(1.0, n_chunks * CHUNK_S / max(CHUNK_S, analysis.duration_s))
    least_s = tuning.least_s(analysis.duration_s) * repeats
    labels, is_speaker = merging.cut(heard_s, least_s, count)
    # VBx only ever drops speakers: no more than there may be, but perhaps fewer than there must.
    if plda is not None and count.lowest == 1:
        raw = pieces.embedding[chosen].astype(np.float64)
        labels = np.asarray(vbx(raw, labels, plda).argmax(axis=1), np.intp)
        is_speaker = _by_length(labels, heard_s) >= least_s
        is_speaker[_by_length(labels, heard_s).argmax()] = True
        is_speaker[np.argsort(-_by_length(labels, heard_s), kind="stable")[count.highest :]] = False
    speakers = np.stack(
        [
            _unit((voices * heard_s[:, None])[labels == k].sum(axis=0))
            for k in np.flatnonzero(is_speaker)
        ]
    )
    return _with_strangers(analysis, speakers, count, tuning)


def blended(
    analysis: Analysis, rows: IntArray | slice = slice(None), tuning: Tuning = TUNING
) -> FloatArray:
    """Return how each of these pieces sounds, its track a little too, (n, 256) of length one."""
    own = _unit(analysis.pieces.embedding[rows].astype(np.float32))
    track = _unit(analysis.tracks.embedding[analysis.track_of[rows]].astype(np.float32))
    return _unit((1 - tuning.track_share) * own + tuning.track_share * track)


def likeness(analysis: Analysis, speakers: FloatArray) -> FloatArray:
    """Return how alike each piece and each of (speakers, 256) sound, (pieces, speakers).

    It is zero where a piece sounds like nothing.
    """
    alike = np.zeros((len(analysis.pieces), len(speakers)), np.float32)
    for some in parts(len(alike)):
        alike[some] = np.nan_to_num(blended(analysis, some) @ speakers.T)
    return alike


def parts(n: int) -> list[slice]:
    """Cut n rows into parts, for what takes a multiple of their memory on the way."""
    return [slice(first, first + _AT_ONCE) for first in range(0, n, _AT_ONCE)]


def assign(likeness: FloatArray, seconds: FloatArray) -> list[tuple[int, int]]:
    """Give (n, speakers) voices that are heard at once to different speakers; by their length."""
    weighted = likeness * np.maximum(seconds, _LEAST_WEIGHT_S)[:, None]
    rows, columns = linear_sum_assignment(-weighted)
    return list(zip(rows.tolist(), columns.tolist(), strict=True))


def _unit(rows: FloatArray) -> FloatArray:
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    result: FloatArray = rows / np.maximum(lengths, 1e-9)
    return result


def _by_length(labels: IntArray, seconds: FloatArray) -> npt.NDArray[np.float64]:
    return np.bincount(labels, seconds).astype(np.float64)


def _chosen(analysis: Analysis, tuning: Tuning) -> IntArray:
    """Return the pieces to cluster."""
    pieces, track_of = analysis.pieces, analysis.track_of
    is_unknown = np.isnan(pieces.embedding[:, 0]) | np.isnan(analysis.tracks.embedding[track_of, 0])
    is_known = ~is_unknown
    is_long = is_known & (pieces.alone_s >= tuning.least_alone_s)
    hop = _HOP_SHORT if analysis.duration_s <= _SHORT_S else _HOP
    chosen = np.flatnonzero(is_long & (pieces.chunk % hop == 0))
    while len(chosen) > _MOST_STRETCHES:
        hop += 1
        chosen = np.flatnonzero(is_long & (pieces.chunk % hop == 0))
    for candidates in (chosen, np.flatnonzero(is_long), np.flatnonzero(is_known)):
        if len(candidates) > 1:
            break
    return candidates[:_MOST_STRETCHES]


class _Merging:
    """The dendrogram: from each stretch by itself to all of them in one cluster."""

    def __init__(
        self,
        pieces: Stretches,
        chosen: IntArray,
        voices: FloatArray,
        heard_s: FloatArray,
        tuning: Tuning,
    ) -> None:
        self._n = len(chosen)
        self._tuning = tuning
        chunk, local = pieces.chunk[chosen], pieces.local[chosen]
        start_s, end_s = pieces.start_s[chosen], pieces.end_s[chosen]
        same_chunk = chunk[:, None] == chunk
        strangers = same_chunk & (local[:, None] != local)
        # The same sound, heard in two chunks: it says that they are one speaker, but nothing of
        # how alike one speaker's stretches are.
        is_same_sound = ~same_chunk & (
            np.minimum(end_s[:, None], end_s) > np.maximum(start_s[:, None], start_s)
        )
        cosines = np.where(strangers, np.float32(tuning.stranger), voices @ voices.T)
        short = np.minimum(heard_s, _MOST_WEIGHT_S).astype(np.float32)
        weights = short[:, None] * short
        weights[strangers] *= tuning.stranger_weight
        np.fill_diagonal(weights, 0)
        self._weight, self._sum = weights, weights * cosines
        self._own_pairs = np.where(is_same_sound, np.float32(0), self._weight)
        self._own_sums = self._own_pairs * cosines
        self._steps: list[tuple[int, int, float]] = []
        self._merge_all()

    def cut(
        self, heard_s: FloatArray, least_s: float, count: SpeakerCount
    ) -> tuple[IntArray, BoolArray]:
        """Return each stretch's cluster, and which clusters are speakers.

        Merging goes as far as the threshold says, further if those are more speakers than there
        may be. If they are too few, those who say less count too: to part a speaker in two would
        be worse than to miss one.
        """
        usual = next(
            (i for i, (*_, r) in enumerate(self._steps) if r < self._tuning.likeness),
            len(self._steps),
        )
        step = min(usual, max(0, self._n - count.lowest))
        later = self._counts(heard_s, least_s)[step:]
        step += next((i for i, n in enumerate(later) if n <= count.highest), len(later) - 1)
        labels = self._labels(step)
        by_length = _by_length(labels, heard_s)
        n_speakers = int((by_length >= least_s).sum())
        wanted = min(max(n_speakers, count.lowest), count.highest, len(by_length))
        is_speaker = np.zeros(len(by_length), bool)
        is_speaker[np.argsort(-by_length, kind="stable")[:wanted]] = True
        return labels, is_speaker

    def _counts(self, heard_s: FloatArray, least_s: float) -> list[int]:
        """How many clusters are speakers after each number of steps."""
        lengths = heard_s.astype(np.float64)
        counts = [int((lengths >= least_s).sum())]
        for kept, gone, _ in self._steps:
            lengths[kept] += lengths[gone]
            lengths[gone] = 0
            counts.append(int((lengths >= least_s).sum()))
        return counts

    def _labels(self, n_steps: int) -> IntArray:
        root = np.arange(self._n)
        for kept, gone, _ in self._steps[:n_steps]:
            root[root == gone] = kept
        return np.unique(root, return_inverse=True)[1]

    def _merge_all(self) -> None:
        n = self._n
        self._own_sum, self._own_pair = np.zeros(n), np.zeros(n)
        self._own = np.full(n, self._own_of(0.0, 0.0))
        self._is_left = np.ones(n, bool)
        likeness = np.full((n, n), -np.inf, np.float32)
        for i in range(n):
            likeness[i] = self._likeness(i)
        nearest = likeness.argmax(axis=1)
        best = likeness.max(axis=1)
        for _ in range(n - 1):
            kept = int(best.argmax())
            gone = int(nearest[kept])
            self._steps.append((kept, gone, float(best[kept])))
            self._merge(kept, gone)
            row = self._likeness(kept)
            likeness[kept] = likeness[:, kept] = row
            likeness[gone] = likeness[:, gone] = -np.inf
            # Whose nearest was one of the two looks again; to the others the new one may be it.
            is_nearer = row > best
            nearest[is_nearer], best[is_nearer] = kept, row[is_nearer]
            again = np.flatnonzero(np.isin(nearest, (kept, gone)) & ~is_nearer)
            for i in {kept, gone, *again.tolist()}:
                nearest[i] = likeness[i].argmax()
                best[i] = likeness[i, nearest[i]]

    def _own_of(self, total: float, pairs: float) -> float:
        tuning = self._tuning
        mean = (total + tuning.own_weight * tuning.own_likeness) / (pairs + tuning.own_weight)
        return max(_LEAST_OWN, mean)

    def _merge(self, kept: int, gone: int) -> None:
        self._own_sum[kept] += self._own_sum[gone] + 2 * self._own_sums[kept, gone]
        self._own_pair[kept] += self._own_pair[gone] + 2 * self._own_pairs[kept, gone]
        self._own[kept] = self._own_of(self._own_sum[kept], self._own_pair[kept])
        for table in (self._sum, self._weight, self._own_sums, self._own_pairs):
            table[kept] += table[gone]
            table[:, kept] = table[kept]
        self._is_left[gone] = False

    def _likeness(self, i: int) -> FloatArray:
        mean = self._sum[i] / np.maximum(self._weight[i], 1e-9)
        row: FloatArray = (mean / np.sqrt(self._own[i] * self._own)).astype(np.float32)
        row[~self._is_left] = -np.inf
        row[i] = -np.inf
        return row


def _with_strangers(
    analysis: Analysis, speakers: FloatArray, count: SpeakerCount, tuning: Tuning
) -> FloatArray:
    """Add those who are only heard while others speak.

    They have no clean piece to be clustered by, but the segmentation hears more people at once
    than were found.
    """
    least_s = tuning.least_s(analysis.duration_s)
    for _ in range(_MOST_STRANGERS):
        if len(speakers) >= count.highest:
            break
        found = [each for each in _strangers(analysis, speakers) if each[0] >= least_s]
        if not found:
            break
        speakers = np.vstack([speakers, max(found, key=lambda each: each[1])[2][None]])
    return speakers


@dataclass(eq=False, slots=True)
class _Voice:
    """A voice of overlapping chunks.

    The recording's `frames` in which it speaks, and the `last` of them; for how many `seconds`, of
    all chunks together; the sum of how it sounds there, each second once.
    """

    frames: set[int]
    last: int
    seconds: float
    sound: FloatArray
    n_tracks: int = 1

    def is_same(self, other: _Voice) -> bool:
        """Whether both are one, as far as they share their frames."""
        n_least = min(len(self.frames), len(other.frames))
        return len(self.frames & other.frames) > _SAME_SHARE * n_least

    def join(self, others: list[_Voice]) -> None:
        self.seconds += sum(each.seconds for each in others)
        self.sound = self.sound + sum((each.sound for each in others), np.zeros(256, np.float32))
        self.n_tracks += sum(each.n_tracks for each in others)
        self.last = max(each.last for each in (self, *others))
        # Into the longest one's: copied in each chunk, an hour of frames would take minutes.
        every = sorted((self.frames, *(each.frames for each in others)), key=len)
        self.frames = every.pop()
        self.frames.update(*every)


def _strangers(analysis: Analysis, speakers: FloatArray) -> list[tuple[float, float, FloatArray]]:
    """Return, for each voice that is left over in chunks: seconds, seconds in all, its sound."""
    past: list[_Voice] = []
    voices: list[_Voice] = []
    for begin, voice in _left_over(analysis, speakers):
        # What ended before this chunk shares nothing with it nor with any later one.
        past += [each for each in voices if each.last < begin]
        voices = [each for each in voices if each.last >= begin]
        # The neighbouring chunk hears the same voice.
        same = [each for each in voices if each.is_same(voice)]
        voice.join(same)
        voices = [each for each in voices if each not in same] + [voice]
    return [
        (len(voice.frames) * FRAME_S, voice.seconds * len(voice.frames), _unit(voice.sound))
        for voice in past + voices
        if voice.n_tracks > 1
    ]


def _left_over(analysis: Analysis, speakers: FloatArray) -> Iterator[tuple[int, _Voice]]:
    """Yield voices for which their chunk has no speaker left, after the chunk's first frame."""
    tracks = analysis.tracks
    for rows in np.split(np.arange(len(tracks)), np.flatnonzero(np.diff(tracks.chunk)) + 1):
        if len(rows) <= len(speakers):
            continue
        sounds = np.nan_to_num(_unit(tracks.embedding[rows].astype(np.float32)))
        given = {i for i, _ in assign(sounds @ speakers.T, np.minimum(tracks.alone_s[rows], 3))}
        for i, row in enumerate(rows):
            if i not in given:
                frames, weight = _frames(analysis, row), float(tracks.spoken_s[row])
                voice = _Voice(frames, max(frames, default=-1), weight, weight * sounds[i])
                yield first_frame(int(tracks.chunk[row])), voice


def _frames(analysis: Analysis, track: int) -> set[int]:
    """Return the recording's frames in which a chunk's speaker speaks."""
    chunk, local = int(analysis.tracks.chunk[track]), int(analysis.tracks.local[track])
    active = np.flatnonzero(analysis.activity[chunk, :, local] > 0.5)
    return set((first_frame(chunk) + active).tolist())
