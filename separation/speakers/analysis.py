"""What the networks hear in a recording: who of a chunk's speakers speaks, and how each sounds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from separation.speakers.fbank import FilterBank
from separation.speakers.networks import (
    CHUNK_FRAMES,
    CHUNK_SAMPLES,
    POWERSET,
    SAMPLE_RATE,
    TRUNK_SIZE,
    TRUNK_STRIDE,
    VARIANCE_FLOOR,
    Networks,
)

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int32]
IndexArray = npt.NDArray[np.intp]
BoolArray = npt.NDArray[np.bool_]

CHUNK_S = CHUNK_SAMPLES / SAMPLE_RATE
STEP_S = 1
FRAME_S = CHUNK_S / CHUNK_FRAMES
ROW_S = TRUNK_STRIDE / 100  # a row of the trunk

# Speech is cut into stretches of about this length, each with an embedding of its own: in ten
# seconds the segmentation may take two people for one.
PIECE_S = 1.5
# Less speech of a chunk's speaker is no track.
_LEAST_TRACK_S = 0.1
# Embeddings are of what a speaker says alone, if that is at least this long.
_LEAST_ALONE_S = 0.4

_BLOCK_FRAMES = 1000
_CONTEXT_FRAMES = 13 * TRUNK_STRIDE

# (7, 3): whether a class holds each of the three speakers.
MEMBERS = np.array([[s in members for s in range(3)] for members in POWERSET], np.float32)
_N_SPEAKING = MEMBERS.sum(axis=1)


@dataclass(frozen=True, slots=True)
class Stretches:
    """Stretches of speech, each of one of a chunk's speakers, with how that speaker sounds.

    Of n stretches: `chunk`, `local` (0..2), frames `first` to `last` (exclusive) of the chunk, in
    which that speaker's frames are meant; `start_s` and `end_s` of these in the recording;
    `spoken_s` of speech, `alone_s` of it without anybody else; `embedding` (n, 256), nan where
    there is none.
    """

    chunk: IntArray
    local: IntArray
    first: IntArray
    last: IntArray
    start_s: FloatArray
    end_s: FloatArray
    spoken_s: FloatArray
    alone_s: FloatArray
    embedding: npt.NDArray[np.float16]

    def __len__(self) -> int:
        return len(self.chunk)


@dataclass(frozen=True, slots=True)
class Analysis:
    """All that is kept of a recording.

    Parameters
    ----------
    duration_s : float
    activity : (chunks, 589, 3) float16
        Probability that a chunk's speaker speaks.
    speech, overlap : (chunks, 589) float16
        Probability that anybody speaks, and that several do.
    tracks : Stretches
        All that a chunk's speaker says in it.
    pieces : Stretches
        The same, cut into `PIECE_S`.
    track_of : (pieces,) int
        Which of the tracks a piece is of.
    """

    duration_s: float
    activity: npt.NDArray[np.float16]
    speech: npt.NDArray[np.float16]
    overlap: npt.NDArray[np.float16]
    tracks: Stretches
    pieces: Stretches
    track_of: IntArray

    @property
    def n_frames(self) -> int:
        return int(np.ceil(self.duration_s / FRAME_S))


def first_frame(chunk: int) -> int:
    """Return the recording's frame at which a chunk begins."""
    return round(chunk * STEP_S / FRAME_S)


def analyse(
    blocks: Iterable[FloatArray],
    networks: Networks,
    *,
    is_heard: BoolArray | None = None,
) -> Analysis:
    """Listen to a recording as it comes.

    Parameters
    ----------
    blocks : iterable of (n,) float32
        16 kHz mono, -1..1.
    networks : Networks
    is_heard : (tenths of a second,) bool, optional
        Where this channel is the one that is spoken into; elsewhere nobody speaks.
    """
    ear = _Ear(networks, is_heard)
    for block in blocks:
        ear.take(block)
    return ear.finish()


class _Ear:
    """Chunks of ten seconds, a second apart, through both networks, in bounded memory."""

    def __init__(self, networks: Networks, is_heard: BoolArray | None) -> None:
        self._networks = networks
        self._is_heard = is_heard
        self._audio = _Tape(())
        self._rows = _Rows(networks)
        self._n_chunks = 0
        self._activity: list[npt.NDArray[np.float16]] = []
        self._speech: list[npt.NDArray[np.float16]] = []
        self._overlap: list[npt.NDArray[np.float16]] = []
        self._tracks, self._pieces = _Collected(), _Collected()
        self._track_of: list[int] = []

    def take(self, block: FloatArray) -> None:
        self._audio.append(block)
        self._rows.feed(block)
        size = self._networks.batch_size
        # The trunk hears a little into the future: its rows come later than the sound.
        while min(self._audio.end, self._rows.end_samples) >= self._end_of(size):
            self._listen(size)

    def finish(self) -> Analysis:
        n_samples = self._audio.end
        self._rows.finish()
        n_after_first = max(0, n_samples - CHUNK_SAMPLES)
        total = 1 + -(-n_after_first // (STEP_S * SAMPLE_RATE))
        missing = max(0, self._end_of(total - self._n_chunks) - n_samples)
        self._audio.append(np.zeros(missing, np.float32))
        while self._n_chunks < total:
            self._listen(min(self._networks.batch_size, total - self._n_chunks))
        return Analysis(
            duration_s=n_samples / SAMPLE_RATE,
            activity=_together(self._activity),
            speech=_together(self._speech),
            overlap=_together(self._overlap),
            tracks=self._tracks.stretches(),
            pieces=self._pieces.stretches(),
            track_of=np.array(self._track_of, np.int32),
        )

    def _end_of(self, n_more: int) -> int:
        """The sample at which the last of the next chunks ends."""
        return (self._n_chunks + n_more - 1) * STEP_S * SAMPLE_RATE + CHUNK_SAMPLES

    def _listen(self, n_chunks: int) -> None:
        starts = (np.arange(n_chunks) + self._n_chunks) * STEP_S * SAMPLE_RATE
        chunks = np.stack([self._audio.read(int(start), CHUNK_SAMPLES) for start in starts])
        # Padding is silence then, and no step.
        chunks -= chunks.mean(axis=1, keepdims=True)
        probabilities = np.exp(self._networks.segment(chunks))  # (chunks, 589, 7)
        for each in probabilities:
            self._hear(self._gated(each))
            self._n_chunks += 1
        next_start = self._n_chunks * STEP_S * SAMPLE_RATE
        self._audio.forget(next_start)
        self._rows.forget(int(self._n_chunks * STEP_S / ROW_S) - 1)

    def _gated(self, probabilities: FloatArray) -> FloatArray:
        if self._is_heard is None:
            return probabilities
        frames = first_frame(self._n_chunks) + np.arange(CHUNK_FRAMES)
        tenths = np.minimum((frames * FRAME_S * 10).astype(int), len(self._is_heard) - 1)
        silent = np.zeros_like(probabilities)
        silent[:, 0] = 1
        return np.where(self._is_heard[tenths][:, None], probabilities, silent)

    def _hear(self, probabilities: FloatArray) -> None:
        """Take one chunk's (589, 7) probabilities."""
        self._activity.append((probabilities @ MEMBERS).astype(np.float16)[None])
        self._speech.append((1 - probabilities[:, 0]).astype(np.float16)[None])
        several = probabilities[:, _N_SPEAKING > 1].sum(axis=1)
        self._overlap.append(several.astype(np.float16)[None])
        speaks = MEMBERS[probabilities.argmax(axis=1)] > 0  # (589, 3)
        tracks, pieces = [], []
        for local in range(3):
            frames = np.flatnonzero(speaks[:, local])
            if len(frames) * FRAME_S < _LEAST_TRACK_S:
                continue
            tracks.append((local, 0, CHUNK_FRAMES))
            cuts = _cuts(frames)
            pieces += [(local, *cut) for cut in cuts]
            self._track_of += [len(self._tracks) + len(tracks) - 1] * len(cuts)
        rows, row_s = self._rows.of_chunk(self._n_chunks), self._rows.start_s(self._n_chunks)
        for collected, found in ((self._tracks, tracks), (self._pieces, pieces)):
            if found:
                collected.add(self._n_chunks, found, speaks, rows, row_s, self._networks)


def _together(parts: list[npt.NDArray[np.float16]]) -> npt.NDArray[np.float16]:
    """Return the parts in one, and let go of them: a long recording's would be there twice."""
    values = np.concatenate(parts)
    parts.clear()
    return values


def _cuts(frames: IndexArray) -> list[tuple[int, int]]:
    """Cut a chunk between a speaker's frames so that each part holds about `PIECE_S` of them."""
    n_parts = max(1, round(len(frames) * FRAME_S / PIECE_S))
    parts = np.array_split(frames, n_parts)
    between = [(int(a[-1]) + int(b[0])) // 2 + 1 for a, b in zip(parts, parts[1:], strict=False)]
    edges = [0, *between, CHUNK_FRAMES]
    return list(zip(edges[:-1], edges[1:], strict=True))


class _Collected:
    """Stretches as they are found."""

    def __init__(self) -> None:
        self._places: list[tuple[int, int, int, int]] = []
        self._times: list[tuple[float, float, float, float]] = []
        self._embeddings: list[npt.NDArray[np.float16]] = []

    def __len__(self) -> int:
        return len(self._places)

    def add(
        self,
        chunk: int,
        found: list[tuple[int, int, int]],
        speaks: BoolArray,
        rows: FloatArray,
        row_s: float,
        networks: Networks,
    ) -> None:
        """Take (local, first, last) of one chunk; `rows` begin `row_s` after it."""
        is_crowded = speaks.sum(axis=1) > 1
        heard = np.zeros((len(found), CHUNK_FRAMES), np.float32)
        for mask, (local, first, last) in zip(heard, found, strict=True):
            frames = first + np.flatnonzero(speaks[first:last, local])
            alone = frames[~is_crowded[frames]]
            mask[alone if len(alone) * FRAME_S >= _LEAST_ALONE_S else frames] = 1
            start_s = chunk * STEP_S
            self._places.append((chunk, local, first, last))
            self._times.append(
                (
                    start_s + float(frames[0]) * FRAME_S,
                    start_s + float(frames[-1] + 1) * FRAME_S,
                    len(frames) * FRAME_S,
                    len(alone) * FRAME_S,
                )
            )
        self._embeddings.append(_embeddings(heard, rows, row_s, networks))

    def stretches(self) -> Stretches:
        places = np.array(self._places, np.int32).reshape(-1, 4)
        times = np.array(self._times, np.float32).reshape(-1, 4)
        nothing = np.zeros((0, 256), np.float16)
        embeddings = np.concatenate([nothing, *self._embeddings])
        chunk, local, first, last = places.T
        start_s, end_s, spoken_s, alone_s = times.T
        return Stretches(chunk, local, first, last, start_s, end_s, spoken_s, alone_s, embeddings)


def _embeddings(
    heard: FloatArray, rows: FloatArray, row_s: float, networks: Networks
) -> npt.NDArray[np.float16]:
    """Pool the rows in which each of (n, 589) masks mostly is; nan where it is in none."""
    if not len(rows):
        return np.full((len(heard), 256), np.nan, np.float16)
    edges = np.rint((row_s + np.arange(len(rows) + 1) * ROW_S) / FRAME_S).astype(int)
    edges = np.clip(edges, 0, CHUNK_FRAMES)
    summed = np.concatenate([np.zeros((len(heard), 1)), heard.cumsum(axis=1)], axis=1)
    shares = np.diff(summed[:, edges], axis=1) / np.maximum(1, np.diff(edges))  # (n, rows)
    best = shares.max(axis=1, keepdims=True)
    weights = ((shares > 0.5) | ((best <= 0.5) & (shares == best) & (best > 0))).astype(np.float32)
    n = weights.sum(axis=1, keepdims=True)
    mean = weights @ rows / np.maximum(n, 1)
    variance = np.maximum(weights @ rows**2 / np.maximum(n, 1) - mean**2, 0)
    deviation = np.sqrt(variance * n / np.maximum(n - 1, 1) + VARIANCE_FLOOR)
    embeddings = networks.project(np.concatenate([mean, deviation], axis=1).astype(np.float32))
    embeddings[n[:, 0] == 0] = np.nan
    return embeddings.astype(np.float16)


class _Rows:
    """The trunk's rows of a recording, as it comes; only the latest are kept."""

    def __init__(self, networks: Networks) -> None:
        self._networks = networks
        self._bank = FilterBank()
        self._features = _Tape((80,))
        self._rows = _Tape((TRUNK_SIZE,))

    @property
    def end_samples(self) -> int:
        """Up to which sample there are rows; all of them, once it is finished."""
        return round(self._rows.end * ROW_S * SAMPLE_RATE)

    def feed(self, block: FloatArray) -> None:
        self._features.append(self._bank.feed(block))
        while self._features.end >= self._done + _BLOCK_FRAMES + _CONTEXT_FRAMES:
            self._compute(_BLOCK_FRAMES)

    def finish(self) -> None:
        while self._features.end > self._done:
            self._compute(min(_BLOCK_FRAMES, self._features.end - self._done))

    def start_s(self, chunk: int) -> float:
        """Return where the first row of a chunk is, after the chunk's own start."""
        return self._first(chunk) * ROW_S - chunk * STEP_S

    def of_chunk(self, chunk: int) -> FloatArray:
        """Return the (rows, 2560) within a chunk."""
        first = self._first(chunk)
        n = min(round(CHUNK_S / ROW_S), self._rows.end - first)
        return self._rows.read(first, max(0, n))

    def forget(self, before: int) -> None:
        self._rows.forget(before)

    @property
    def _done(self) -> int:
        return self._rows.end * TRUNK_STRIDE

    @staticmethod
    def _first(chunk: int) -> int:
        return round(chunk * STEP_S / ROW_S)

    def _compute(self, n_frames: int) -> None:
        first = max(0, self._done - _CONTEXT_FRAMES)
        last = min(self._features.end, self._done + n_frames + _CONTEXT_FRAMES)
        features = self._features.read(first, last - first)
        # Each block's own mean: a recording's may change on the way.
        rows = self._networks.trunk((features - features.mean(axis=0))[None])[0]
        skip = (self._done - first) // TRUNK_STRIDE
        self._rows.append(rows[skip : skip + -(-n_frames // TRUNK_STRIDE)])
        self._features.forget(self._done - _CONTEXT_FRAMES)


class _Tape:
    """Values in a row, of which the oldest are forgotten; counted from the very first."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._values = np.zeros((0, *shape), np.float32)
        self._start = 0

    @property
    def end(self) -> int:
        return self._start + len(self._values)

    def append(self, values: FloatArray) -> None:
        if len(values):
            self._values = np.concatenate([self._values, values])

    def read(self, first: int, n: int) -> FloatArray:
        at = first - self._start
        if at < 0 or at + n > len(self._values):
            raise IndexError("This part of the tape is not there.")
        return self._values[at : at + n]

    def forget(self, before: int) -> None:
        n = min(before - self._start, len(self._values))
        if n > 0:
            self._values = self._values[n:].copy()
            self._start += n
