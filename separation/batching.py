"""Segments of several recordings on one engine: in turns, in batches, in lanes.

A resident engine has one queue. Recordings that are taken apart at the same time put their
segments into it, a few each; its lanes take them out in fair turns and give the engine as many at
once as it likes. See docs/adr/0018-segments-of-several-recordings.md.
"""

from __future__ import annotations

import atexit
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt

from separation.errors import EngineClosed, is_out_of_memory
from separation.turns import Turns

if TYPE_CHECKING:
    from separation.engines import Engine

FloatArray = npt.NDArray[np.float32]

# How long a segment may wait for others to share its batch, where others may come.
MAX_WAIT_S = 0.02

# A batch may be filled up with silence by a third of what it holds; else it is split.
_MAX_PADDING = 1 / 3

# Of segments and their stems that are on their way, over all recordings; but two of each always.
_MAX_BYTES = 1 << 30

_log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class _Waiting:
    """A segment that waits for its turn."""

    recording: Recording
    mixture: FloatArray  # (2, segment_samples)
    future: Future[FloatArray]
    since: float


@dataclass(eq=False, slots=True)
class Ticket:
    """A place in the order of a recording, for all segments that were submitted together."""

    _recording: Recording
    _futures: list[Future[FloatArray]] = field(default_factory=list)
    _size: int = 1

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until the segments are done, or one has failed; say whether that is so."""
        done, others = wait(self._futures, timeout_s, return_when=FIRST_EXCEPTION)
        return not others or any(future.exception() is not None for future in done)

    def results(self) -> list[FloatArray]:
        """Give out, once, what became of the segments: (stems, 2, segment_samples) float32 each.

        Raises
        ------
        EngineClosed
        Exception
            Whatever the engine raised.
        """
        for future in self._futures:
            if future.done() and (error := future.exception()) is not None:
                raise error
        results = [future.result() for future in self._futures]
        self._futures.clear()
        return results

    def release(self) -> None:
        """Make room for another ticket: this one's results have been used."""
        self._recording._release(self._size)


class Recording:
    """One recording's way to the engine; made by `SegmentQueue.recording`.

    Leaving the context takes back what waits. What is in work then is finished and dropped.
    """

    def __init__(self, queue: SegmentQueue, turn: str, urgent: bool) -> None:
        self._queue = queue
        self.turn = turn
        self.is_urgent = urgent
        self.n_tickets = 0
        self.n_segments = 0  # of all tickets; one that is empty counts as one
        self.is_open = True
        self.is_complete = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def is_deep(self) -> bool:
        """Whether the engine takes more than one segment at a time."""
        return self._queue.is_deep

    def submit(self, mixtures: Sequence[FloatArray]) -> Ticket:
        """Queue segments that belong together; wait first until there is room for a ticket.

        Parameters
        ----------
        mixtures : sequence of (2, segment_samples) float32
            May be empty: the ticket keeps its place in the order.

        Raises
        ------
        EngineClosed
            If the recording is closed, also while this waits.
        """
        return self._queue._submit(self, mixtures)

    def complete(self) -> None:
        """Say that nothing more will be submitted: nobody need wait for it."""
        self._queue._complete(self)

    def close(self) -> None:
        """Take back what waits, and end a wait for room; a second call does nothing."""
        self._queue._close(self)

    def _release(self, size: int) -> None:
        self._queue._release(self, size)


class SegmentQueue:
    """Takes segments of several recordings through one engine.

    Turns go round between the callers' keys, and within one between its recordings, a segment
    each. Urgent recordings come first, but for every fourth turn. A lane that is free waits for a
    fuller batch only while another recording may still add to it, and no longer than `max_wait_s`
    after the oldest segment came. Lanes are threads that start with the first recording and end
    with `close`.

    Parameters
    ----------
    engine : Engine
        Loaded.
    max_wait_s : float
    clock : callable
        Seconds that never go back.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        max_wait_s: float = MAX_WAIT_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._max_wait_s = max_wait_s
        self._clock = clock
        self._sizes = tuple(engine.batch_sizes)
        self._max_segments = _MAX_BYTES // _bytes_of_segment(engine)
        self._changed = threading.Condition()
        self._turns: Turns[_Waiting] = Turns()
        self._recordings: set[Recording] = set()
        self._lanes: list[threading.Thread] = []
        self._is_closed = False

    @property
    def n_waiting(self) -> int:
        """How many segments wait for their turn."""
        return len(self._turns)

    @property
    def is_deep(self) -> bool:
        """Whether the engine takes more than one segment at a time, or one in each of its lanes."""
        return self._engine.lanes * self._sizes[-1] > 1

    def recording(self, *, turn: str = "", urgent: bool = False) -> Recording:
        """Open a recording; the caller closes it.

        Raises
        ------
        EngineClosed
            If the engine is closed.
        """
        with self._changed:
            if self._is_closed:
                raise EngineClosed("The engine is closed.")
            self._start_lanes()
            recording = Recording(self, turn, urgent)
            self._recordings.add(recording)
            self._changed.notify_all()
        return recording

    def close(self) -> None:
        """End all recordings and lanes; a segment in work is finished first."""
        with self._changed:
            self._is_closed = True
            for recording in list(self._recordings):
                self._drop(recording)
            self._changed.notify_all()
        for lane in self._lanes:
            if lane is not threading.current_thread():
                lane.join()
        self._lanes.clear()

    # --- what recordings ask for

    def _submit(self, recording: Recording, mixtures: Sequence[FloatArray]) -> Ticket:
        futures: list[Future[FloatArray]] = [Future() for _ in mixtures]
        with self._changed:
            while recording.is_open and not self._has_room(recording):
                self._changed.wait()
            if not recording.is_open:
                raise EngineClosed("The recording is closed.")
            size = max(1, len(mixtures))
            recording.n_tickets += 1
            recording.n_segments += size
            since = self._clock()
            for mixture, future in zip(mixtures, futures, strict=True):
                waiting = _Waiting(recording, mixture, future, since)
                self._turns.add(waiting, recording, recording.turn, urgent=recording.is_urgent)
            self._changed.notify_all()
        return Ticket(recording, futures, size)

    def _release(self, recording: Recording, size: int) -> None:
        with self._changed:
            recording.n_tickets -= 1
            recording.n_segments -= size
            self._changed.notify_all()

    def _complete(self, recording: Recording) -> None:
        with self._changed:
            recording.is_complete = True
            self._changed.notify_all()

    def _close(self, recording: Recording) -> None:
        with self._changed:
            self._drop(recording)
            self._changed.notify_all()

    def _drop(self, recording: Recording) -> None:
        recording.is_open = False
        self._recordings.discard(recording)
        for waiting in self._turns.remove(recording):
            waiting.future.set_exception(EngineClosed("The recording is closed."))

    def _has_room(self, recording: Recording) -> bool:
        """Whether a recording may have one more ticket.

        Alone it may fill all lanes while the next batch gathers; beside others it has its share.
        Two always: while one is being written, the other is in work; and three if a third one is
        made whole between.
        """
        if recording.n_tickets < (3 if self.is_deep else 2):
            return True
        wanted = min((len(self._lanes) + 1) * self._sizes[-1], self._max_segments)
        share = -(-wanted // max(1, len(self._recordings)))
        return recording.n_segments < share

    # --- what lanes do

    def _start_lanes(self) -> None:
        while len(self._lanes) < self._engine.lanes:
            name = f"{self._engine.info.name}-lane-{len(self._lanes)}"
            lane = threading.Thread(target=self._work, name=name, daemon=True)
            lane.start()  # or there is no room for a thread, and the next recording tries again
            self._lanes.append(lane)

    def _work(self) -> None:
        while True:
            with self._changed:
                batch = self._next_batch()
            if not batch:
                return
            self._run(batch)
            # Not kept until the next one is there: it holds large arrays.
            del batch

    def _next_batch(self) -> list[_Waiting]:
        """Wait for segments and take out as many as make a batch; none when it is over."""
        while not self._is_closed:
            if not self._turns:
                self._changed.wait()
                continue
            wait_s = self._worth_waiting_s()
            if wait_s <= 0:
                return self._turns.take(self._n_in_next_batch())
            self._changed.wait(wait_s)
        return []

    def _worth_waiting_s(self) -> float:
        """Return how long to wait for a fuller batch; 0 if it is full or nobody would fill it."""
        if len(self._turns) >= self._sizes[-1]:
            return 0
        if not any(self._may_add(other) for other in self._recordings):
            return 0
        oldest = min(waiting.since for waiting in self._turns)
        return oldest + self._max_wait_s - self._clock()

    def _may_add(self, recording: Recording) -> bool:
        # A lone recording is not waited for: what it has read is here already.
        is_alone = len(self._recordings) == 1
        return not is_alone and not recording.is_complete and self._has_room(recording)

    def _n_in_next_batch(self) -> int:
        """Return how many segments to take: all, or a size that wastes less."""
        n = min(len(self._turns), self._sizes[-1])
        padded = _size_for(n, self._sizes)
        if padded - n <= _MAX_PADDING * n:
            return n
        return max((size for size in self._sizes if size <= n), default=n)

    def _run(self, batch: list[_Waiting]) -> None:
        """Take a batch through the engine, in halves where memory is short."""
        try:
            stems = self._engine.separate(_stacked(batch, self._sizes))
        except BaseException as error:
            if len(batch) == 1 or not is_out_of_memory(error):
                for waiting in batch:
                    waiting.future.set_exception(error)
                return
        else:
            for index, waiting in enumerate(batch):
                waiting.future.set_result(stems[index])
            return
        # Only here, where the error is gone, and with it what its frames held of the memory.
        self._shrink(len(batch))
        half = len(batch) // 2
        self._run(batch[:half])
        self._run(batch[half:])

    def _shrink(self, n: int) -> None:
        """Make no more batches of `n` segments or above."""
        with self._changed:
            self._sizes = tuple(size for size in self._sizes if size < n) or self._sizes[:1]
        _log.warning(
            "%s ran out of memory with %d segments; batches are smaller from now on.",
            self._engine.info.name,
            n,
        )


def _bytes_of_segment(engine: Engine) -> int:
    """Return what a stereo segment and its stems take."""
    model = engine.info
    return (1 + len(model.stems)) * 2 * model.segment_samples * np.dtype(np.float32).itemsize


def _size_for(n: int, sizes: Sequence[int]) -> int:
    """Return the smallest batch size that holds `n`."""
    return next((size for size in sizes if size >= n), n)


def _stacked(batch: Sequence[_Waiting], sizes: Sequence[int]) -> FloatArray:
    """Return the batch's mixtures, filled up with silence to a size that the engine likes."""
    if len(batch) == 1 and sizes[0] == 1:
        return batch[0].mixture[None]  # (1, 2, segment_samples)
    n = _size_for(len(batch), sizes)
    mixtures = np.zeros((n, *batch[0].mixture.shape), np.float32)
    for index, waiting in enumerate(batch):
        mixtures[index] = waiting.mixture
    return mixtures


_queues: dict[int, SegmentQueue] = {}  # by the identity of the engine, which the queue keeps
_lock = threading.Lock()


def queue_of(engine: Engine) -> SegmentQueue:
    """Return the queue of a loaded engine, the same at each call."""
    with _lock:
        if id(engine) not in _queues:
            _queues[id(engine)] = SegmentQueue(engine)
        return _queues[id(engine)]


def close_queue(engine: Engine) -> None:
    """End an engine's queue, if it has one, and its threads."""
    with _lock:
        queue = _queues.pop(id(engine), None)
    if queue is not None:
        queue.close()


def _close_all() -> None:
    # A lane in native code must not meet an interpreter that is being taken down.
    for queue in list(_queues.values()):
        queue.close()


atexit.register(_close_all)
