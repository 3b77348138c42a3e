"""One sound in several formats at once, each made of the same samples."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from separation.audio.encode import StemWriter
from separation.audio.formats import OutputFormat, suffixes
from separation.audio.info import AudioInfo
from separation.audio.tags import Tags


class SeveralWriters:
    """Files of one sound, as `StemWriter` is for one of them.

    Parameters
    ----------
    folder : path
        Exists.
    stem : str
        The files' name without their endings.
    forms : mapping of str to OutputFormat
        By the names that were asked for.
    info : AudioInfo
        Of the recording, whose rate and channels they have.
    tags : Tags
    """

    def __init__(
        self,
        folder: Path,
        stem: str,
        forms: Mapping[str, OutputFormat],
        info: AudioInfo,
        tags: Tags,
    ) -> None:
        self.paths = {name: folder / (stem + end) for name, end in suffixes(forms).items()}
        self._writers: dict[str, StemWriter] = {}
        try:
            for name, form in forms.items():
                self._writers[name] = StemWriter(
                    self.paths[name],
                    form,
                    sample_rate=info.sample_rate,
                    n_channels=info.channels,
                    layout=info.layout,
                    tags=tags,
                )
        except BaseException:
            self.discard()
            raise

    @property
    def n_clipped(self) -> int:
        """Samples that were beyond full scale; of several formats, the most."""
        return max(writer.n_clipped for writer in self._writers.values())

    @n_clipped.setter
    def n_clipped(self, n: int) -> None:
        for writer in self._writers.values():
            writer.n_clipped = n

    def write(self, samples: npt.NDArray[np.floating] | npt.NDArray[np.int32]) -> None:
        """Write (channels, n) samples: floats, or whole steps where these are the same in all."""
        for writer in self._writers.values():
            writer.write(samples)

    def commit(self) -> None:
        """Finish the files and give them their final names."""
        for writer in self._writers.values():
            writer.commit()

    def discard(self) -> None:
        """Remove whatever was written, under either name."""
        for writer in self._writers.values():
            writer.discard()
