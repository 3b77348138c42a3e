"""A recording, or a stretch of it, made ready for others to work on: cut and cleaned."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from separation.audio import formats
from separation.audio.encode import StemWriter
from separation.audio.info import AudioInfo, AudioLimits
from separation.audio.stretch import FloatArray, bounds, stretch
from separation.audio.tags import read_tags
from separation.enhance.steps import Step, check_steps, open_step, tool_of
from separation.errors import InvalidRequest
from separation.progress import OnProgress, ignore_progress
from separation.resources import named_resource_errors, probed


def prepare(
    input: str | Path,
    output: str | Path,
    *,
    start: int | None = None,
    end: int | None = None,
    steps: Sequence[str] = (),
    info: AudioInfo | None = None,
    limits: AudioLimits | None = None,
    device: str = "cpu",
    on_progress: OnProgress = ignore_progress,
) -> AudioInfo:
    """Write a stretch of a recording, cleaned, as WAV of 32-bit float samples.

    Parameters
    ----------
    input : path
        Local audio or video file.
    output : path
        The file to write, in a folder that exists; it has its name once it is complete.
    start, end : int, optional
        First sample of the stretch, and the one behind its last; all of the recording when left
        out. An end beyond the recording is its end.
    steps : sequence of str
        What is done to the stretch, in this order: names from `separation.enhance.steps`.
    info : AudioInfo, optional
        What `probe` returned for this very file, to spare a second probe.
    limits : AudioLimits, optional
        What to accept.
    device : str
        Torch device, for steps that use one.
    on_progress : callable
        Called with keywords `step` (`prepare`), `completed` and `total`, both in samples read.

    Returns
    -------
    AudioInfo
        Of the file that was written.

    Raises
    ------
    UnknownStep, StepUnavailable
        If there is no such step, or nothing here does it.
    SeparationError
        Any other of `separation.errors`; nothing that was written is left behind.
    """
    path, target = Path(input), Path(output)
    check_steps(steps)
    for step in steps:
        tool_of(step)  # before the recording is decoded: it may be long
    with named_resource_errors():
        known = info or probed(path, limits, on_progress)
        if target.exists() and target.samefile(path):
            raise InvalidRequest("A recording cannot be prepared in its own place.")
        first, last = bounds(start, end, known.n_samples)
        form = formats.resolve("wav32f", known)
        prepared = prepared_blocks(
            path, known, first, last, steps=steps, device=device, on_progress=on_progress
        )
        writer = StemWriter(
            target,
            form,
            sample_rate=known.sample_rate,
            n_channels=known.channels,
            layout=known.layout,
            tags=read_tags(path, known.container),
        )
        try:
            for block in prepared:
                writer.write(block)
            writer.commit()
        except BaseException:
            writer.discard()
            raise
    return replace(
        known,
        n_samples=last - first,
        codec=form.codec,
        container=form.container,
        bits_per_sample=None,
        is_float=True,
        is_lossy=False,
    )


def prepared_blocks(
    path: Path,
    info: AudioInfo,
    start: int,
    end: int,
    *,
    steps: Sequence[str],
    device: str,
    on_progress: OnProgress,
    kind: str = "prepare",
) -> Iterator[FloatArray]:
    """Return a stretch of a recording, cleaned, as it comes: (channels, n) float32 blocks.

    What is needed for the steps is loaded at once; the recording is read as blocks are taken, and
    `on_progress` told how far that is, by the name `kind`.
    """
    loaded = []
    for name in steps:
        on_progress(step="load", completed=0, total=None)
        loaded.append(open_step(name, info.sample_rate, info.channels, device=device))

    def report(n_samples: int) -> None:
        on_progress(step=kind, completed=n_samples, total=end)

    report(0)
    blocks: Iterator[FloatArray] = stretch(path, info, start, end, report)
    for step in loaded:
        blocks = _through(blocks, step)
    return _counted(blocks, end - start)


def _through(blocks: Iterable[FloatArray], step: Step) -> Iterator[FloatArray]:
    for block in blocks:
        ready = step.push(block)
        if ready.shape[1]:
            yield ready
    yield step.flush()


def _counted(blocks: Iterable[FloatArray], n_samples: int) -> Iterator[FloatArray]:
    n = 0
    for block in blocks:
        n += block.shape[1]
        yield block
    if n != n_samples:
        raise RuntimeError("A step changed the recording's length.")
