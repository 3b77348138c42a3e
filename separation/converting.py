"""One recording in; the same, or what several steps make of it, out in other formats."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from separation.audio import formats
from separation.audio.info import AudioInfo, AudioLimits
from separation.audio.several import SeveralWriters
from separation.audio.stretch import bounds
from separation.audio.tags import read_tags
from separation.enhance.steps import check_steps, tool_of
from separation.errors import InvalidRequest
from separation.output_folder import OutputFolder
from separation.preparing import prepared_blocks
from separation.progress import OnProgress, ignore_progress
from separation.resources import check_output, named_resource_errors, probed


@dataclass(frozen=True, slots=True)
class ConversionResult:
    """The files made, and how.

    `files` maps each format, by the name that it was asked for, to its file. `tools` are the
    catalogue's names of what did the steps. `clipped_samples` counts samples beyond full scale of
    an integer format; `seconds` is the wall time that it took.
    """

    files: Mapping[str, Path]
    sample_rate: int
    n_samples: int
    channels: int
    steps: tuple[str, ...]
    tools: tuple[str, ...]
    seconds: float
    clipped_samples: int

    @property
    def duration_s(self) -> float:
        return self.n_samples / self.sample_rate

    def to_json(self) -> dict[str, Any]:
        """Return it as values that JSON has."""
        files = {name: str(path) for name, path in self.files.items()}
        return {**asdict(self), "files": files}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        files = {name: Path(text) for name, text in values["files"].items()}
        steps, tools = tuple(values["steps"]), tuple(values["tools"])
        return cls(**{**values, "files": files, "steps": steps, "tools": tools})


def enhance(
    input: str | Path,
    output_dir: str | Path,
    *,
    steps: Sequence[str],
    output_formats: Sequence[str] = ("wav",),
    name: str = "enhanced",
    **options: Any,
) -> ConversionResult:
    """Clean a recording: noise, echoes or the sound of the room go, in the order of the steps.

    Parameters
    ----------
    input, output_dir, output_formats, name, options
        See `convert`.
    steps : sequence of str
        One at least, from `separation.enhance.steps`.

    Raises
    ------
    InvalidRequest
        If there is no step.
    SeparationError
        See `convert`.
    """
    if not steps:
        raise InvalidRequest("Ask for at least one step, as a list of names.")
    return convert(
        input, output_dir, steps=steps, output_formats=output_formats, name=name, **options
    )


def convert(
    input: str | Path,
    output_dir: str | Path,
    *,
    output_formats: Sequence[str],
    steps: Sequence[str] = (),
    start: int | None = None,
    end: int | None = None,
    name: str = "recording",
    info: AudioInfo | None = None,
    limits: AudioLimits | None = None,
    device: str = "cpu",
    on_progress: OnProgress = ignore_progress,
) -> ConversionResult:
    """Write a recording, or a stretch of it, in other formats, each from the same samples.

    Parameters
    ----------
    input : path
        Local audio or video file.
    output_dir : path
        Folder for the files, made if missing; each is written atomically.
    output_formats : sequence of str
        See `separate`; `wav` and `flac` have the source's own depth.
    steps : sequence of str
        What is done to it before, in this order.
    start, end : int, optional
        First sample of the stretch, and the one behind its last; see `prepare`.
    name : str
        Of the files, without extension.
    info, limits, device
        See `prepare`.
    on_progress : callable
        Called with keywords `step`, `completed` and `total`; steps are `probe`, `load`, and
        `enhance`, or `convert` where nothing is done to it, in samples read.

    Raises
    ------
    UnknownStep, StepUnavailable
        If there is no such step, or nothing here does it.
    SeparationError
        Any other of `separation.errors`; nothing that was written is left behind.
    """
    started = time.monotonic()
    path, folder = Path(input), Path(output_dir)
    check_steps(steps)
    # Before the recording is decoded: it may be long.
    tools = tuple(tool_of(step).name for step in steps)
    formats.check_names(output_formats)
    if not output_formats:
        raise InvalidRequest("Ask for at least one format, as a list of names.")
    with named_resource_errors():
        check_output(path, folder, [name], kind="file")
        known = info or probed(path, limits, on_progress)
        forms = formats.resolve_all(output_formats, known)
        check_output(path, folder, formats.file_stems([name], forms), kind="file")
        first, last = bounds(start, end, known.n_samples)
        blocks = prepared_blocks(
            path,
            known,
            first,
            last,
            steps=steps,
            device=device,
            on_progress=on_progress,
            kind="enhance" if steps else "convert",
        )
        output = OutputFolder(folder)
        files: SeveralWriters | None = None
        try:
            output.make()
            files = SeveralWriters(folder, name, forms, known, read_tags(path, known.container))
            for block in blocks:
                files.write(block)
            files.commit()
        except BaseException:
            if files is not None:
                files.discard()
            output.remove()
            raise
    return ConversionResult(
        files=files.paths,
        sample_rate=known.sample_rate,
        n_samples=last - first,
        channels=known.channels,
        steps=tuple(steps),
        tools=tools,
        seconds=time.monotonic() - started,
        clipped_samples=files.n_clipped,
    )
