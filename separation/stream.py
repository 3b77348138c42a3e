"""A recording on its way through a model and into its stems' files, a block at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path

import numpy as np

from separation.audio.info import AudioInfo
from separation.audio.overlap import Crossfade, Grid, Segmenter
from separation.audio.resample import Resampler
from separation.batching import Recording
from separation.cascade import Cascade
from separation.engines import FloatArray
from separation.plans import Plan
from separation.progress import OnProgress
from separation.reading import TICK_S, Reader, Sent
from separation.stem_files import StemFiles

# What comes before the samples that are needed, so that the resampler's filter is filled with the
# same as ever: several times its length.
_CONTEXT_S = 1.0

# What is written at once: little enough that it stays in the processor's cache on its way.
_CHUNK_SAMPLES = 32768


class Stream:
    """Joins what the engine makes of a recording's segments, converts it back and writes it.

    A reader goes ahead in a thread of its own as far as the engine's queue has room; the engine
    works in its own threads, and a finisher makes stems of what it gives, and takes these apart
    where the plan says so. Here, in the caller's thread, the segments come together in order. Some
    segments are in memory, however long the recording is. What `files` has already is decoded and
    passed over: no model sees it.

    Parameters
    ----------
    recordings : sequence of Recording
        Open places in the queues of the engines of the plan's models, in their order.
    plan : Plan
    info : AudioInfo
        What probing the recording said.
    files : StemFiles
        Takes the recording's samples and those of its native stems.
    grid : Grid
        Where the segments lie.
    on_progress : callable
        Called from this thread only, several times a second, also while there is nothing new.
    """

    def __init__(
        self,
        recordings: Sequence[Recording],
        plan: Plan,
        info: AudioInfo,
        files: StemFiles,
        grid: Grid,
        on_progress: OnProgress,
    ) -> None:
        self._recording = recordings[0]
        self._model = plan.model
        self._info = info
        self._files = files
        self._grid = grid
        self._on_progress = on_progress
        self._shape = (len(plan.native), info.channels)
        self._n_written = 0
        # Beside a device that takes many segments at once, one is made whole while another is
        # written; elsewhere that would only keep it in memory for longer.
        self._n_ahead = 1 if self._recording.is_deep else 0
        self._cascade = Cascade(plan, recordings)
        self._crossfade = Crossfade(grid)
        self._is_same_rate = plan.model.sample_rate == info.sample_rate
        self._to_input = Resampler(
            plan.model.sample_rate, info.sample_rate, self._shape[0] * self._shape[1]
        )

    def run(self, path: Path) -> None:
        """Take the whole recording through; the recording's place in the queue is closed then.

        Raises
        ------
        BrokenMedia
            If it is not the recording that was probed.
        """
        made: deque[tuple[Sent, Future[FloatArray]]] = deque()
        with ThreadPoolExecutor(1, "finisher") as finisher, self._reader(path) as reader:
            for item in reader.items(self._report):
                if not isinstance(item, Sent):
                    self._files.add_mixture(item)
                    continue
                made.append((item, finisher.submit(self._stems, item, reader)))
                if len(made) > self._n_ahead:
                    self._join(*made.popleft(), reader)
            while made:
                self._join(*made.popleft(), reader)
        self._write_flat(self._to_input.finish())
        self._n_written = self._files.finish()
        self._report()

    def _reader(self, path: Path) -> Reader:
        info, model_rate = self._info, self._model.sample_rate
        return Reader(
            path,
            info,
            model_rate=model_rate,
            segmenter=Segmenter(self._grid, n_channels=info.channels),
            apart=self._cascade.root,
            recording=self._recording,
            needed_from=_needed_from(self._files.n_done, info.sample_rate, model_rate),
        )

    def _join(self, sent: Sent, made: Future[FloatArray], reader: Reader) -> None:
        while not made.done():
            reader.check()
            wait([made], TICK_S)
            self._report()
        for block in self._crossfade.add(sent.segment, made.result()):
            for start in range(0, block.shape[-1], _CHUNK_SAMPLES):
                self._write(block[..., start : start + _CHUNK_SAMPLES])
                self._report()
        sent.ticket.release()

    def _stems(self, sent: Sent, reader: Reader) -> FloatArray:
        """Return what became of a segment; runs in the finisher's thread."""
        estimates = reader.results(sent.ticket)
        mixture = sent.segment.samples
        if sent.is_skipped:
            return np.zeros((self._shape[0], *mixture.shape), np.float32)
        return self._cascade.stems(mixture, sent.pairs, estimates, reader.results)

    def _write(self, stems: FloatArray) -> None:
        if self._is_same_rate:
            self._n_written = self._files.write(stems)
        else:
            flat = stems.reshape(-1, stems.shape[-1])  # (stems * channels, n)
            self._write_flat(self._to_input.process(flat))

    def _write_flat(self, flat: FloatArray) -> None:
        self._n_written = self._files.write(flat.reshape(*self._shape, -1))

    def _report(self) -> None:
        self._on_progress(step="separate", completed=self._n_written, total=self._info.n_samples)


def _needed_from(n_done: int, sample_rate: int, model_rate: int) -> int:
    """Return the first sample, at the model's rate, that the rest of the stems depends on."""
    if sample_rate == model_rate:
        return n_done
    return int((n_done / sample_rate - _CONTEXT_S) * model_rate)
