"""All files of one separation: native stems, those derived from them, all or nothing.

Each format is made of the float samples themselves: none is made of another one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from separation import catalog
from separation.audio.buffer import SampleBuffer
from separation.audio.encode import StemWriter
from separation.audio.formats import OutputFormat, suffixes
from separation.audio.info import AudioInfo
from separation.audio.tags import Tags
from separation.encoders import MakeWriter, Writer
from separation.engines import FloatArray
from separation.errors import BrokenMedia
from separation.fitting import fitted
from separation.output_folder import OutputFolder
from separation.plans import Plan

# A stem and the name of a format.
WriterKey = tuple[str, str]


class StemFiles:
    """Writes stems as they come and derives others from the recording itself.

    Unless the plan keeps the residual out, the rest stem of each pass takes what the others leave,
    their rounding too, so that a reader of all files sees the recording, or the stem that was
    taken apart: to the last bit where they are integers of its depth, else within the rounding of
    the format. A derived stem is a sum or a difference of stems as a reader of their files sees
    them. Leaving the context without `commit` removes everything.

    Parameters
    ----------
    folder : path
        Made if missing; taken away again on failure if it was.
    plan : Plan
    forms : mapping of str to OutputFormat
        In each of which there is a file for each stem; by the names that were asked for.
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
        forms: Mapping[str, OutputFormat],
        info: AudioInfo,
        tags: Tags | None = None,
        make_writer: MakeWriter = StemWriter,
    ) -> None:
        self._make_writer = make_writer
        self._folder = folder
        self._plan = plan
        self._forms = forms
        self._suffixes = suffixes(forms)
        self._info = info
        self._tags = tags or Tags()
        self._mixture = SampleBuffer(info.channels)
        self._n_written = 0
        self._is_committed = False
        self._output = OutputFolder(folder)
        self._writers: dict[WriterKey, Writer] = {}

    def paths(self, form: str) -> Mapping[str, Path]:
        """Return the final file of each stem in one of the formats, in the order asked for."""
        return {name: self._path(name, form) for name in self._plan.stems}

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
        """How many samples of each stem were beyond full scale; of several formats, the most."""
        return {
            stem: max(writer.n_clipped for key, writer in self._writers.items() if key[0] == stem)
            for stem in self._plan.stems
        }

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
        mixture = self._mixture.take(n)
        for bits, forms in self._by_depth().items():
            self._write_depth(stems[..., :n], mixture, bits, forms)
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

    def _by_depth(self) -> dict[int | None, list[str]]:
        """Return the names of those that are written now, by how many bits their samples have."""
        groups: dict[int | None, list[str]] = {}
        for name, form in self._open_forms().items():
            groups.setdefault(form.bits, []).append(name)
        return groups

    def _open_forms(self) -> Mapping[str, OutputFormat]:
        return self._forms

    def _write_depth(
        self, stems: FloatArray, mixture: FloatArray, bits: int | None, forms: Sequence[str]
    ) -> None:
        """Write the stems into all files whose samples have so many bits."""
        found = fitted(self._plan, stems, mixture, bits)
        for name in self._plan.stems:
            samples = self._plan.value(name, found.values)
            for form in forms:
                writer = self._writers[name, form]
                writer.n_clipped += found.n_clipped.get(name, 0)
                writer.write(samples)

    def _path(self, name: str, form: str) -> Path:
        return self._folder / f"{name}{self._suffixes[form]}"

    def _open(self) -> None:
        self._output.make()
        self._open_final()

    def _open_final(self) -> None:
        for name in self._plan.stems:
            tags = self._tags.of_stem(catalog.stem(name).title)
            for form in self._forms:
                path = self._path(name, form)
                self._writers[name, form] = self._writer(path, self._forms[form], tags)

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
