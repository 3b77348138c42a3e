"""One recording in, its stems out, in constant memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from separation.audio.info import AudioInfo, AudioLimits


class OnProgress(Protocol):
    """Called at least once a segment; may raise SeparationCancelled."""

    def __call__(self, *, step: str, completed: int, total: int | None) -> None: ...


def ignore_progress(*, step: str, completed: int, total: int | None) -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True)
class SeparationResult:
    """The files made, and how.

    `stems` maps a stem's name to its file, in the order asked for. `seconds` is the wall time
    that it took; `clipped_samples` counts, for each stem, samples beyond full scale of an
    integer format.
    """

    stems: Mapping[str, Path]
    sample_rate: int
    n_samples: int
    channels: int
    model: str
    seconds: float
    clipped_samples: Mapping[str, int]

    @property
    def duration_s(self) -> float:
        return self.n_samples / self.sample_rate


def separate(
    input: str | Path,
    output_dir: str | Path,
    *,
    stems: Sequence[str] | None = None,
    model: str | None = None,
    output_format: str = "wav",
    overlap: float | None = None,
    device: str = "cpu",
    limits: AudioLimits | None = None,
    info: AudioInfo | None = None,
    on_progress: OnProgress = ignore_progress,
) -> SeparationResult:
    """Take one recording apart into files, one a stem, as long as the recording to the sample.

    Parameters
    ----------
    input : path
        Local audio or video file.
    output_dir : path
        Folder for the stems, made if missing; `<stem>.<extension>` is written atomically.
    stems : sequence of str, optional
        Names from the catalogue; all native stems of the model when left out.
    model : str, optional
        Name from the catalogue; the first that covers the stems when left out.
    output_format : str
        `wav` (the source's own depth), `wav16`, `wav24`, `wav32f`, `flac`, `flac16`, `flac24`
        or `mp3` (320 kbit/s).
    overlap : float, optional
        Share of a segment that is crossfaded with its neighbour, 0..0.5.
    device : str
        Torch device.
    limits : AudioLimits, optional
        What to accept.
    info : AudioInfo, optional
        What `probe` returned for this very file, to spare a second probe.
    on_progress : callable
        Called with keywords `step`, `completed` and `total`, both in samples.

    Raises
    ------
    SeparationError
        Any of `separation.errors`; nothing that was written is left behind.
    """
    raise NotImplementedError
