"""All files of one separation: native stems, those derived from them, all or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from separation.audio.buffer import SampleBuffer
from separation.audio.encode import StemWriter, quantize
from separation.audio.formats import OutputFormat
from separation.audio.info import AudioInfo
from separation.engines import FloatArray
from separation.errors import BrokenMedia
from separation.planning import Plan

Samples = npt.NDArray[np.floating]


class StemFiles:
    """Writes stems as they come and derives others from the recording itself.

    A derived stem is the recording minus native stems as a reader of their files sees them, so
    that both add up to the recording within one quantisation step. Leaving the context without
    `commit` removes everything.

    Parameters
    ----------
    folder : path
        Made if missing; taken away again on failure if it was.
    plan : Plan
    form : OutputFormat
    info : AudioInfo
    """

    def __init__(self, folder: Path, plan: Plan, form: OutputFormat, info: AudioInfo) -> None:
        self._folder = folder
        self._plan = plan
        self._form = form
        self._info = info
        self._mixture = SampleBuffer(info.channels)
        self._n_written = 0
        self._is_committed = False
        self._made_folders: list[Path] = []
        self._writers: dict[str, StemWriter] = {}

    @property
    def paths(self) -> Mapping[str, Path]:
        """Final file of each stem, in the order asked for."""
        return {name: self._path(name) for name in self._plan.stems}

    @property
    def n_done(self) -> int:
        """Samples from the start that need not be made, since an earlier attempt made them."""
        return 0

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to be made."""
        return self.n_done == self._info.n_samples

    @property
    def clipped_samples(self) -> Mapping[str, int]:
        """How many samples of each stem were beyond the format's full scale."""
        return {name: writer.n_clipped for name, writer in self._writers.items()}

    def __enter__(self) -> Self:
        try:
            self._open()
        except BaseException:
            self._discard()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._is_committed:
            self._discard()

    def add_mixture(self, block: FloatArray) -> None:
        """Keep (channels, n) samples of the recording until its stems arrive."""
        self._mixture.append(block)

    def write(self, stems: FloatArray) -> int:
        """Write (native stems, channels, n) samples; return how many there are by now.

        Samples beyond the recording's end, which rate conversion may add, are dropped.
        """
        n = min(stems.shape[-1], len(self._mixture), self._info.n_samples - self._n_written)
        if not n:
            return self._n_written
        mixture = self._mixture.take(n).astype(np.float64)
        as_read = {
            name: self._write_native(name, stems[index, :, :n], mixture)
            for index, name in enumerate(self._plan.native)
        }
        for stem in self._plan.derived:
            rest = mixture.copy()
            for name in stem.minus:
                rest -= as_read[name]
            self._writers[stem.name].write(rest)
        self._n_written += n
        return self._n_written

    def finish(self) -> int:
        """Fill up the last samples that rate conversion rounded away.

        Raises
        ------
        BrokenMedia
            If the recording turned out shorter than it was when probed.
        """
        missing = self._info.n_samples - self._n_written
        if missing > len(self._mixture):
            raise BrokenMedia("The recording is shorter than it was when probed.")
        shape = (len(self._plan.native), self._info.channels, missing)
        return self.write(np.zeros(shape, np.float32))

    def commit(self) -> None:
        """Give every file its final name."""
        for writer in self._writers.values():
            writer.commit()
        self._is_committed = True

    def _write_native(self, name: str, stem: FloatArray, mixture: Samples) -> Samples:
        samples: Samples = stem
        if self._form.bits is not None:
            # A loud recording minus a stem can pass full scale, where an integer file would cut
            # it off and both would no longer add up. The stem gives way instead.
            highest = 1 - 2.0 ** (1 - self._form.bits)
            samples = np.clip(stem, mixture - highest, mixture + 1)
        if name in self._writers:
            return self._writers[name].write(samples)
        if self._form.bits is None:
            return samples
        # Rounded as if it were written: a derived stem is the same whatever else is asked for.
        return quantize(samples, self._form.bits)[0] / 2.0 ** (self._form.bits - 1)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.{self._form.extension}"

    def _open(self) -> None:
        self._make_folders()
        for name in self._plan.stems:
            self._writers[name] = self._final_writer(name)

    def _final_writer(self, name: str) -> StemWriter:
        return self._writer(self._path(name), self._form)

    def _writer(self, path: Path, form: OutputFormat) -> StemWriter:
        return StemWriter(
            path,
            form,
            sample_rate=self._info.sample_rate,
            n_channels=self._info.channels,
            layout=self._info.layout,
        )

    def _make_folders(self) -> None:
        missing = [p for p in (self._folder, *self._folder.parents) if not p.exists()]
        for path in reversed(missing):
            path.mkdir(exist_ok=True)
            self._made_folders.append(path)

    def _discard(self) -> None:
        for writer in self._writers.values():
            writer.discard()
        for path in reversed(self._made_folders):
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()
