"""One pass over a recording, in constant memory, that cuts out all files and measures them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np

from separation.encoders import Samples, Writer
from separation.progress import OnProgress
from separation.speakers.cutting import Cutter, Cutting, FloatArray, Item, lengths_of
from separation.speakers.sources import Source

# A block of the recording, and for speakers who get something else there what that is.
Voices = tuple[FloatArray, Mapping[str, FloatArray]]


class OverlapSource(Protocol):
    """What each speaker's track gets where several speak at once.

    An implementation may hold blocks back until it has seen a stretch to its end; all samples
    come out in order.
    """

    def voices(self, blocks: Iterator[FloatArray]) -> Iterator[Voices]:
        """Turn blocks, (channels, n), into blocks and what they are for some of the speakers."""
        ...


class WholeMixture:
    """Everybody gets what is in the recording."""

    def voices(self, blocks: Iterator[FloatArray]) -> Iterator[Voices]:
        """See `OverlapSource`."""
        for block in blocks:
            yield block, {}


class Sink(Protocol):
    """Takes what one file is made of."""

    def add(self, items: Sequence[Item]) -> None: ...


class TrackWriter:
    """Writes one file from items, made louder by a gain.

    Parameters
    ----------
    writer : Writer
    n_channels : int
    gain_db : float
    is_float : bool
        Whether all that it writes is float samples.
    """

    def __init__(
        self, writer: Writer, n_channels: int, gain_db: float = 0.0, *, is_float: bool = False
    ) -> None:
        self._writer = writer
        self._n_channels = n_channels
        self._gain = np.float32(10 ** (gain_db / 20))
        self._is_float = is_float
        self.n_written = 0

    def add(self, items: Sequence[Item]) -> None:
        """Write what comes next."""
        n = lengths_of(items)
        if not n:
            return
        self.n_written += n
        if all(isinstance(item, int) for item in items):
            self._writer.write(self._silence(n))
            return
        samples = np.zeros((self._n_channels, n), np.float32)
        at = 0
        for item in items:
            if isinstance(item, int):
                at += item
                continue
            samples[:, at : at + item.shape[1]] = item
            at += item.shape[1]
        self._writer.write(samples if self._gain == 1 else samples * self._gain)

    def _silence(self, n: int) -> Samples:
        if self._is_float:
            return np.zeros((self._n_channels, n), np.float32)
        # Whole steps need no rounding, which is most of the work where most is silent.
        return np.zeros((self._n_channels, n), np.int32)


class Pass:
    """Cuts files out of a source, once through.

    Parameters
    ----------
    source : Source
    overlaps : OverlapSource
    cuttings : mapping of str to Cutting
        What to cut out, by the file's name.
    """

    def __init__(
        self, source: Source, overlaps: OverlapSource, cuttings: Mapping[str, Cutting]
    ) -> None:
        self._source = source
        self._overlaps = overlaps
        self._cuttings = cuttings

    def run(
        self,
        sinks: Mapping[str, Sequence[Sink]],
        on_progress: OnProgress,
        *,
        completed: int,
        total: int,
    ) -> None:
        """Send each file's items to its sinks.

        Parameters
        ----------
        sinks : mapping of str to sequence of Sink
        on_progress : callable
            The step is `tracks`.
        completed, total : int
            Samples, in all passes before this one and in all passes.
        """
        cutters = {name: Cutter(self._cuttings[name]) for name in sinks}
        at = 0
        on_progress(step="tracks", completed=completed, total=total)
        for block, others in self._overlaps.voices(self._source.blocks()):
            for name, cutter in cutters.items():
                heard = others.get(self._cuttings[name].speaker, block)
                items = cutter.cut(heard, at)
                for sink in sinks[name] if items else ():
                    sink.add(items)
            at += block.shape[1]
            on_progress(step="tracks", completed=completed + at, total=total)
