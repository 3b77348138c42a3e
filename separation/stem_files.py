"""All files of one separation: native stems, those derived from them, all or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from separation import catalog
from separation.audio.buffer import SampleBuffer
from separation.audio.encode import StemWriter
from separation.audio.formats import OutputFormat
from separation.audio.info import AudioInfo
from separation.audio.tags import Tags
from separation.encoders import MakeWriter, Writer
from separation.engines import FloatArray
from separation.errors import BrokenMedia
from separation.output_folder import OutputFolder
from separation.planning import Plan
from separation.residual import exact_floats, whole_steps

Samples = npt.NDArray[np.floating] | npt.NDArray[np.int32]


class StemFiles:
    """Writes stems as they come and derives others from the recording itself.

    Unless the plan keeps the residual out, the model's rest stem takes what the others leave,
    their rounding too, so that a reader of all files sees the recording: to the last bit where
    they are integers of its depth, else within the rounding of the format. A derived stem is the
    recording minus native stems as a reader of their files sees them. Leaving the context
    without `commit` removes everything.

    Parameters
    ----------
    folder : path
        Made if missing; taken away again on failure if it was.
    plan : Plan
    form : OutputFormat
    info : AudioInfo
    tags : Tags, optional
        Of the recording.
    make_writer : callable
        `StemWriter`, or what takes and gives the same.
    """

    def __init__(
        self,
        folder: Path,
        plan: Plan,
        form: OutputFormat,
        info: AudioInfo,
        tags: Tags | None = None,
        make_writer: MakeWriter = StemWriter,
    ) -> None:
        self._make_writer = make_writer
        self._folder = folder
        self._plan = plan
        self._form = form
        self._info = info
        self._tags = tags or Tags()
        self._mixture = SampleBuffer(info.channels)
        self._n_written = 0
        self._is_committed = False
        self._output = OutputFolder(folder)
        self._writers: dict[str, Writer] = {}

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
        native, mixture = self._fitted(stems[..., :n], self._mixture.take(n))
        as_read = dict(zip(self._plan.native, native, strict=True))
        for name in as_read.keys() & self._writers.keys():
            self._writers[name].write(as_read[name])
        for stem in self._plan.derived:
            rest = mixture - sum(as_read[name] for name in stem.minus)
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

    def _fitted(self, stems: FloatArray, mixture: FloatArray) -> tuple[Samples, Samples]:
        """Return all native stems and the recording as readers of the files will see them.

        Stems that are not written are fitted too: each is the same whatever else is asked for.
        """
        rest, bits = self._plan.rest, self._form.bits
        if bits is None:
            exact = stems if rest is None else exact_floats(stems, mixture, rest)
            return exact, mixture.astype(np.float64)
        integers, whole, n_clipped = whole_steps(stems, mixture, bits, rest)
        for name, n in zip(self._plan.native, n_clipped, strict=True):
            if name in self._writers:
                self._writers[name].n_clipped += n
        return integers, whole

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.{self._form.extension}"

    def _open(self) -> None:
        self._output.make()
        self._open_final()

    def _open_final(self) -> None:
        for name in self._plan.stems:
            self._writers[name] = self._final_writer(name)

    def _final_writer(self, name: str) -> Writer:
        tags = self._tags.of_stem(catalog.stem(name).title)
        return self._writer(self._path(name), self._form, tags)

    def _writer(self, path: Path, form: OutputFormat, tags: Tags | None = None) -> Writer:
        return self._make_writer(
            path,
            form,
            sample_rate=self._info.sample_rate,
            n_channels=self._info.channels,
            layout=self._info.layout,
            tags=tags,
        )

    def _discard(self) -> None:
        for writer in self._writers.values():
            writer.discard()
        self._output.remove()
