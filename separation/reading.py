"""Reads a recording ahead, in a thread of its own, and sends its segments to the engine."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from separation.apart import Apart, Pair
from separation.audio.buffer import gathered
from separation.audio.decode import AudioReader
from separation.audio.info import AudioFormat, AudioInfo
from separation.audio.overlap import Segment, Segmenter
from separation.audio.resample import Resampler
from separation.batching import Recording, Ticket
from separation.engines import FloatArray
from separation.errors import BrokenMedia, EngineClosed

# How long the reader's caller waits before it looks after something else.
TICK_S = 0.1

# Decoders give a thousand samples at a time, and each array on its way has its price.
_BLOCK_SAMPLES = 4096


@dataclass(frozen=True, slots=True)
class Sent:
    """A segment on its way through the engine; `is_skipped` if nobody needs its stems."""

    segment: Segment
    pairs: list[Pair]
    ticket: Ticket
    is_skipped: bool


class Reader:
    """Decodes, converts to the model's rate, cuts into segments and submits these.

    It stops where the engine's queue has no room for another segment. Leaving the context ends it
    and closes the recording's way to the engine.

    Parameters
    ----------
    path : path
    info : AudioInfo
        What probing the recording said.
    model_rate : int, Hz
    segmenter : Segmenter
    apart : Apart
    recording : Recording
        Takes the segments.
    needed_from : int
        Segments that end before this sample, at the model's rate, are not submitted.
    """

    def __init__(
        self,
        path: Path,
        info: AudioInfo,
        *,
        model_rate: int,
        segmenter: Segmenter,
        apart: Apart,
        recording: Recording,
        needed_from: int,
    ) -> None:
        self._path = path
        self._info = info
        self._segmenter = segmenter
        self._apart = apart
        self._recording = recording
        self._needed_from = needed_from
        self._to_model = Resampler(info.sample_rate, model_rate, info.channels)
        # Not bounded by itself: between two segments, for which there must be room, are only
        # blocks of the recording.
        self._read: queue.SimpleQueue[FloatArray | Sent | None] = queue.SimpleQueue()
        self._error: BaseException | None = None
        self._is_stopped = False
        self._thread = threading.Thread(target=self._run, name="reader", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_stopped = True
        self._recording.close()
        self._thread.join()

    def items(self, on_wait: Callable[[], None]) -> Iterator[FloatArray | Sent]:
        """Yield blocks of the recording, and after those of its stretch each segment.

        Parameters
        ----------
        on_wait : callable
            Called several times a second while there is nothing to yield; may raise.

        Raises
        ------
        Exception
            What ended the reader, as soon as it did.
        """
        while True:
            self.check()
            try:
                item = self._read.get(timeout=TICK_S)
            except queue.Empty:
                on_wait()
                continue
            if item is None:
                self.check()
                return
            yield item

    def results(self, ticket: Ticket) -> list[FloatArray]:
        """Wait, in any thread, for what an engine makes of segments.

        Raises
        ------
        EngineClosed
            If the reader was stopped meanwhile.
        Exception
            What ended the reader, or what the engine met.
        """
        while not ticket.wait(TICK_S):
            self.check()
        return ticket.results()

    def check(self) -> None:
        """Raise what ended the reader, if it failed or was stopped."""
        if self._error is not None:
            raise self._error
        if self._is_stopped:
            raise EngineClosed("The recording is closed.")

    def _run(self) -> None:
        try:
            self._read_all()
        except BaseException as error:
            if not self._is_stopped:
                self._error = error
        self._read.put(None)

    def _read_all(self) -> None:
        with AudioReader(self._path, guess=self._info.container) as reader:
            self._check_unchanged(reader.format)
            for block in gathered(reader.blocks(), _BLOCK_SAMPLES):
                if self._is_stopped:
                    return
                self._read.put(block)
                self._send(self._segmenter.push(self._to_model.process(block)))
        self._send(self._segmenter.push(self._to_model.finish()))
        self._send(self._segmenter.finish())
        self._recording.complete()

    def _send(self, segments: Iterator[Segment]) -> None:
        for segment in segments:
            ends_at = segment.start + segment.samples.shape[1]
            # The last one may have moved left; it is needed always.
            is_skipped = segment.end is None and ends_at <= self._needed_from
            pairs = [] if is_skipped else self._apart.pairs(segment.samples)
            ticket = self._recording.submit([pair.mixture for pair in pairs])
            self._read.put(Sent(segment, pairs, ticket, is_skipped))

    def _check_unchanged(self, form: AudioFormat) -> None:
        info = self._info
        if (form.sample_rate, form.channels) != (info.sample_rate, info.channels):
            raise BrokenMedia("The recording is not the one that was probed.")
