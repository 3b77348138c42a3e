"""A recording on its way through a model, a block at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from separation.apart import Apart
from separation.audio.decode import AudioReader, StreamFormat
from separation.audio.info import AudioInfo
from separation.audio.overlap import OverlapAdd
from separation.audio.resample import Resampler
from separation.engines import Engine, FloatArray
from separation.errors import BrokenMedia
from separation.planning import Plan
from separation.progress import OnProgress
from separation.stem_files import StemFiles

# What comes before the samples that are needed, so that the resampler's filter is filled with the
# same as ever: several times its length.
_CONTEXT_S = 1.0


class Stream:
    """Decodes, converts to the model's rate, separates, converts back and writes.

    Everything between is buffered for one or two segments at most. What `files` has already is
    decoded and passed over: the model does not see it.

    Parameters
    ----------
    engine : Engine
        Loaded.
    plan : Plan
    info : AudioInfo
        What probing the recording said.
    files : StemFiles
        Takes the recording's samples and those of its native stems.
    overlap : float
        Share of a segment, 0..0.5.
    on_progress : callable
    """

    def __init__(
        self,
        engine: Engine,
        plan: Plan,
        info: AudioInfo,
        files: StemFiles,
        overlap: float,
        on_progress: OnProgress,
    ) -> None:
        model = plan.model
        self._info = info
        self._files = files
        self._on_progress = on_progress
        self._shape = (len(plan.native), info.channels, -1)
        self._n_flat = len(plan.native) * info.channels
        self._n_written = 0
        self._segment_ends_at = model.segment_samples
        self._needed_from = _needed_from(files.n_done, info.sample_rate, model.sample_rate)
        self._apart = Apart(engine, plan.native, plan.residual)
        self._overlap_add = OverlapAdd(
            self._separate,
            n_channels=info.channels,
            segment_samples=model.segment_samples,
            overlap=overlap,
        )
        self._to_model = Resampler(info.sample_rate, model.sample_rate, info.channels)
        self._to_input = Resampler(model.sample_rate, info.sample_rate, self._n_flat)

    def run(self, path: Path) -> None:
        """Take the whole recording through.

        Raises
        ------
        BrokenMedia
            If it is not the recording that was probed.
        """
        with AudioReader(path, guess=self._info.container) as reader:
            self._check_unchanged(reader.format)
            for block in reader.blocks():
                self._files.add_mixture(block)
                self._write(self._overlap_add.push(self._to_model.process(block)))
        self._write(self._overlap_add.push(self._to_model.finish()))
        self._write(self._overlap_add.finish())
        self._files.write(self._to_input.finish().reshape(self._shape))
        self._n_written = self._files.finish()
        self._report()

    def _separate(self, segment: FloatArray) -> FloatArray:
        # The last segment may be moved left; it is needed always.
        ends_at = self._segment_ends_at
        self._segment_ends_at += self._overlap_add.stride
        if ends_at <= self._needed_from:
            self._report()
            return np.zeros((self._shape[0], *segment.shape), np.float32)
        stems = self._apart.segment(segment, on_pass=self._report)
        self._report()
        return stems

    def _write(self, blocks: Iterator[FloatArray]) -> None:
        for stems in blocks:
            flat = self._to_input.process(stems.reshape(self._n_flat, -1))  # (stems * channels, n)
            self._n_written = self._files.write(flat.reshape(self._shape))

    def _report(self) -> None:
        self._on_progress(step="separate", completed=self._n_written, total=self._info.n_samples)

    def _check_unchanged(self, form: StreamFormat) -> None:
        info = self._info
        if (form.sample_rate, form.channels) != (info.sample_rate, info.channels):
            raise BrokenMedia("The recording is not the one that was probed.")


def _needed_from(n_done: int, sample_rate: int, model_rate: int) -> int:
    """Return the first sample, at the model's rate, that the rest of the stems depends on."""
    if sample_rate == model_rate:
        return n_done
    return int((n_done / sample_rate - _CONTEXT_S) * model_rate)
