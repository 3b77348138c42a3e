"""One recording in, its stems out, in constant memory."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from separation import engines, presets
from separation.audio import formats
from separation.audio.encode import StemWriter
from separation.audio.info import AudioInfo, AudioLimits
from separation.audio.tags import read_tags
from separation.batching import queue_of
from separation.encoders import MAX_ENCODERS, MakeWriter, default_encoders, encoder_pool
from separation.engines import Engine
from separation.engines.backends import resolve_device
from separation.errors import InvalidRequest
from separation.parts import PartedFiles, PartFolder
from separation.planning import plan
from separation.plans import Plan
from separation.progress import OnProgress, ignore_progress
from separation.residual import Residual
from separation.resources import check_output, named_resource_errors, probed
from separation.stem_files import StemFiles
from separation.stream import Stream


@dataclass(frozen=True, slots=True)
class SeparationResult:
    """The files made, and how.

    `stems` maps a stem's name to its file, in the order asked for; `more_stems` does so for each
    further format, by the name that it was asked for. `model` is the one that took the recording
    apart, `models` are all that had a part in it, in order. `seconds` is the wall time that it
    took; `clipped_samples` counts, for each stem, samples beyond full scale of an integer format.
    """

    stems: Mapping[str, Path]
    sample_rate: int
    n_samples: int
    channels: int
    model: str
    seconds: float
    clipped_samples: Mapping[str, int]
    more_stems: Mapping[str, Mapping[str, Path]] = field(default_factory=dict)
    models: Sequence[str] = ()

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
    more_formats: Sequence[str] = (),
    preset: str = presets.DEFAULT,
    overlap: float | None = None,
    shifts: int | None = None,
    residual: str = "spread",
    device: str = "cpu",
    backend: str | None = None,
    encoders: int | None = None,
    turn: str = "",
    urgent: bool = False,
    limits: AudioLimits | None = None,
    info: AudioInfo | None = None,
    tags_from: str | Path | None = None,
    parts_dir: str | Path | None = None,
    part_seconds: float = 600,
    on_progress: OnProgress = ignore_progress,
) -> SeparationResult:
    """Take one recording apart into files, one a stem, as long as the recording to the sample.

    Safe to call from several threads at once: they share one loaded engine, and its batches.

    Parameters
    ----------
    input : path
        Local audio or video file.
    output_dir : path
        Folder for the stems, made if missing; `<stem>.<extension>` is written atomically.
    stems : sequence of str, optional
        Names from the catalogue; all native stems of the model when left out.
    model : str, optional
        Name from the catalogue, of the one that takes the recording; others may take its stems
        apart after it. The first that leads to the stems when left out.
    output_format : str
        `wav` (the source's own depth), `wav16`, `wav24`, `wav32f`, `flac`, `flac16`, `flac24`
        or `mp3` (320 kbit/s).
    more_formats : sequence of str
        In which each stem is written too, of the same samples; where two files would have the
        same name, the later one's has its format in it: `vocals.wav24.wav`.
    preset : str
        `fast`, `balanced` or `best`: how much neighbouring segments overlap, and how many grids
        of them are averaged.
    overlap : float, optional
        Share of a segment that is crossfaded with its neighbour, 0..0.5, instead of the preset's.
    shifts : int, optional
        How many grids of segments are averaged, instead of the preset's; each takes as long as
        one separation.
    residual : str
        Who takes what the model's stems leave of the recording: `spread` (each of them by its
        level), `rest` (the model's rest stem) or `keep` (nobody: they do not add up). The same
        holds for stems that are taken apart again, and their parts.
    device : str
        Torch device; `auto` is the best that there is.
    backend : str, optional
        What runs that model; the best one for the device when left out, as for all others.
    encoders : int, optional
        How many processes encode the stems, at least, shared by all calls; 0 is this thread. As
        many as a fast device needs, and none beside a CPU, when left out.
    turn : str
        Whose recording this is: calls at the same time share the engine in turns, first between
        those whose `turn` differs, then between recordings.
    urgent : bool
        Whether it goes before those that are not, without keeping them from going on.
    limits : AudioLimits, optional
        What to accept.
    info : AudioInfo, optional
        What `probe` returned for this very file, to spare a second probe.
    tags_from : path, optional
        The recording whose tags and cover go along, where `input` was made of it.
    parts_dir : path, optional
        Folder in which finished parts are kept, each as soon as it is complete, and from which
        the same call goes on after a crash. The caller copies (`parts.parts_in`) and removes it.
    part_seconds : float
        Length of a part.
    on_progress : callable
        Called with keywords `step`, `completed` and `total`, both in samples; with step `part`
        whenever a part is complete, and with `prepare` in place of `load` where that takes half a
        minute, which it does once on each machine.

    Raises
    ------
    SeparationError
        Any of `separation.errors`; nothing that was written is left behind, but finished parts.
    """
    started = time.monotonic()
    path, folder = Path(input), Path(output_dir)
    if not part_seconds > 0:
        raise InvalidRequest("A part must be longer than 0 seconds.")
    if encoders is not None and not 0 <= encoders <= MAX_ENCODERS:
        raise InvalidRequest(f"There may be 0 to {MAX_ENCODERS} encoders.")
    names = (output_format, *more_formats)
    formats.check_names(names)
    consistency = Residual.of(residual)
    with named_resource_errors():
        chosen = plan(stems, model).with_residual(consistency)
        grid = presets.grid(chosen.model, preset, overlap, shifts)
        check_output(path, folder, chosen.stems)
        known = info or probed(path, limits, on_progress)
        forms = formats.resolve_all(names, known)
        check_output(path, folder, formats.file_stems(chosen.stems, forms))
        tags = read_tags(path, known.container) if tags_from is None else read_tags(Path(tags_from))
        make_writer = _make_writer(device, encoders)
        files = StemFiles(folder, chosen, forms, known, tags, make_writer)
        if parts_dir is not None:
            parts = PartFolder(Path(parts_dir), chosen, forms, known, grid, part_seconds)
            files = PartedFiles(folder, chosen, forms, known, parts, on_progress, tags, make_writer)
        with files:
            if not files.is_complete:
                loaded = _loaded(chosen, device, backend, on_progress)
                on_progress(step="separate", completed=0, total=known.n_samples)
                with ExitStack() as stack:
                    recordings = [
                        stack.enter_context(queue_of(engine).recording(turn=turn, urgent=urgent))
                        for engine in loaded
                    ]
                    Stream(recordings, chosen, known, files, grid, on_progress).run(path)
            files.commit()
    return SeparationResult(
        stems=files.paths(output_format),
        sample_rate=known.sample_rate,
        n_samples=known.n_samples,
        channels=known.channels,
        model=chosen.model.name,
        seconds=time.monotonic() - started,
        clipped_samples=files.clipped_samples,
        more_stems={name: files.paths(name) for name in more_formats},
        models=[model.name for model in chosen.models],
    )


def _loaded(
    chosen: Plan, device: str, backend: str | None, on_progress: OnProgress
) -> list[Engine]:
    """Return the engines of all models of a plan; the backend is that of the root model."""
    wanted = [(model, backend if index == 0 else None) for index, model in enumerate(chosen.models)]
    loaded = []
    for model, name in wanted:
        is_prepared = engines.is_prepared(model, device, name)
        on_progress(step="load" if is_prepared else "prepare", completed=0, total=None)
        loaded.append(engines.load_engine(model, device, name))
    return loaded


def _make_writer(device: str, n_encoders: int | None) -> MakeWriter:
    if n_encoders is None:
        n_encoders = default_encoders(resolve_device(device))
    return encoder_pool(n_encoders).writer if n_encoders else StemWriter
