"""One recording in, its stems out, in constant memory."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from separation import engines
from separation.apart import Apart
from separation.audio import formats
from separation.audio.decode import AudioReader, StreamFormat
from separation.audio.encode import raise_if_disk_full
from separation.audio.info import AudioInfo, AudioLimits
from separation.audio.overlap import OverlapAdd
from separation.audio.probe import probe
from separation.audio.resample import Resampler
from separation.engines import Engine, FloatArray
from separation.errors import BrokenMedia, InvalidRequest, OutOfMemory
from separation.planning import Plan, plan
from separation.stem_files import StemFiles


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
    started = time.monotonic()
    path, folder = Path(input), Path(output_dir)
    _check_overlap(overlap)
    formats.check_name(output_format)
    with _named_resource_errors():
        chosen = plan(stems, model)
        known = info or _probe(path, limits, on_progress)
        form = formats.resolve(output_format, known)
        on_progress(step="load", completed=0, total=None)
        engine = engines.load_engine(chosen.model, device)
        on_progress(step="separate", completed=0, total=known.n_samples)
        with StemFiles(folder, chosen, form, known) as files:
            _stream(path, engine, chosen, known, files, overlap, on_progress)
            files.commit()
    return SeparationResult(
        stems=files.paths,
        sample_rate=known.sample_rate,
        n_samples=known.n_samples,
        channels=known.channels,
        model=chosen.model.name,
        seconds=time.monotonic() - started,
        clipped_samples=files.clipped_samples,
    )


def _check_overlap(overlap: float | None) -> None:
    if overlap is not None and not 0 <= overlap <= 0.5:
        raise InvalidRequest("The overlap must be between 0 and 0.5.")


def _probe(path: Path, limits: AudioLimits | None, on_progress: OnProgress) -> AudioInfo:
    def on_decoded(n_samples: int) -> None:
        on_progress(step="probe", completed=n_samples, total=None)

    on_decoded(0)
    return probe(path, limits=limits, on_decoded=on_decoded)


def _stream(
    path: Path,
    engine: Engine,
    chosen: Plan,
    info: AudioInfo,
    files: StemFiles,
    overlap: float | None,
    on_progress: OnProgress,
) -> None:
    """Decode, convert, separate, convert back and write, a block at a time."""
    model, n_stems = chosen.model, len(chosen.native)
    apart = Apart(engine, chosen.native)
    done = 0

    def process(segment: FloatArray) -> FloatArray:
        stems = apart.segment(segment, on_pass=report)
        report()
        return stems

    def report() -> None:
        on_progress(step="separate", completed=done, total=info.n_samples)

    overlap_add = OverlapAdd(
        process,
        n_channels=info.channels,
        segment_samples=model.segment_samples,
        overlap=model.overlap if overlap is None else overlap,
    )
    to_model = Resampler(info.sample_rate, model.sample_rate, info.channels)
    to_input = Resampler(model.sample_rate, info.sample_rate, n_stems * info.channels)

    def finished(blocks: Iterator[FloatArray]) -> None:
        nonlocal done
        for stems in blocks:
            flat = to_input.process(stems.reshape(n_stems * info.channels, -1))
            done = files.write(flat.reshape(n_stems, info.channels, -1))

    with AudioReader(path) as reader:
        _check_unchanged(reader.format, info)
        for block in reader.blocks():
            files.add_mixture(block)
            finished(overlap_add.push(to_model.process(block)))
    finished(overlap_add.push(to_model.finish()))
    finished(overlap_add.finish())
    files.write(to_input.finish().reshape(n_stems, info.channels, -1))
    done = files.finish()
    report()


def _check_unchanged(form: StreamFormat, info: AudioInfo) -> None:
    if (form.sample_rate, form.channels) != (info.sample_rate, info.channels):
        raise BrokenMedia("The recording is not the one that was probed.")


@contextmanager
def _named_resource_errors() -> Iterator[None]:
    """Turn running out of memory or disk, wherever it happens, into its named error."""
    try:
        yield
    except MemoryError as error:
        raise _out_of_memory() from error
    except OSError as error:
        raise_if_disk_full(error)
        raise
    except RuntimeError as error:
        # torch.OutOfMemoryError on a device; a plain RuntimeError from the CPU's allocator.
        is_memory = type(error).__name__ == "OutOfMemoryError" or "allocate memory" in str(error)
        if is_memory:
            raise _out_of_memory() from error
        raise


def _out_of_memory() -> OutOfMemory:
    return OutOfMemory(
        "There was not enough memory; free some, or choose a smaller model such as spleeter-2stems."
    )
