"""The notes of a recording as a MIDI file, in constant memory but for the notes themselves."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from separation import catalog, weights
from separation.audio.info import AudioInfo, AudioLimits
from separation.errors import InvalidRequest
from separation.music import midi, sound
from separation.music.analysis import PITCHES
from separation.music.notes import Note, NoteFinder
from separation.music.pitches import Pitches, PitchNetwork
from separation.music.result import Transcription
from separation.progress import OnProgress, ignore_progress
from separation.resources import check_output, named_resource_errors, probed


def transcribe(
    input: str | Path,
    output_path: str | Path,
    *,
    info: AudioInfo | None = None,
    limits: AudioLimits | None = None,
    max_notes: int | None = None,
    on_progress: OnProgress = ignore_progress,
) -> Transcription:
    """Write down which notes sound when.

    Notes of all instruments come into one track, at the tempo at which they were played (the
    file's own tempo says nothing). Drums make no notes that are of use: take them out before.

    Parameters
    ----------
    input : path
        Local audio or video file.
    output_path : path
        The MIDI file; its folder is made if missing. It is written atomically.
    info : AudioInfo, optional
        What `probe` returned for this very file, to spare a second probe.
    limits : AudioLimits, optional
        What to accept.
    max_notes : int, optional
        How many notes to return at most; the file holds all of them.
    on_progress : callable
        Called with keywords `step`, `completed` and `total`, both in samples of the recording;
        steps are `probe`, `load` and `transcribe`.

    Raises
    ------
    SeparationError
        Any of `separation.errors`; nothing that was written is left behind.

    References
    ----------
    Bittner et al.: A lightweight instrument-agnostic model for polyphonic note transcription and
    multipitch estimation, ICASSP 2022. https://arxiv.org/abs/2203.09893
    """
    started = time.monotonic()
    path, output = Path(input), Path(output_path)
    with named_resource_errors():
        _check(path, output)
        known = info or probed(path, limits, on_progress)
        on_progress(step="load", completed=0, total=None)
        tool = catalog.tool(PITCHES)
        weights.install(tool)
        found = _notes(path, known, PitchNetwork(tool), on_progress)
        notes = sorted(found, key=lambda note: (note.start_s, note.pitch, note.end_s))
        output.parent.mkdir(parents=True, exist_ok=True)
        midi.write_midi(output, notes)
    return Transcription(
        notes=tuple(notes[:max_notes]),
        n_notes=len(notes),
        instrument=midi.INSTRUMENT,
        path=output,
        model=tool.name,
        seconds=time.monotonic() - started,
    )


def _check(path: Path, output: Path) -> None:
    """Refuse before the work what would fail, or destroy the recording, after it."""
    check_output(path, output.parent, [])
    if output.is_dir():
        raise InvalidRequest(f"'{output.name}' is a folder.")
    if output.resolve() == path.resolve():
        raise InvalidRequest(f"The notes would be written over '{path.name}'; choose another name.")


def _notes(
    path: Path, info: AudioInfo, network: PitchNetwork, on_progress: OnProgress
) -> Iterator[Note]:
    def on_samples(n_samples: int) -> None:
        completed = min(n_samples, info.n_samples)
        on_progress(step="transcribe", completed=completed, total=info.n_samples)

    pitches, finder = Pitches(network), NoteFinder()
    for samples in sound.mono(path, info, on_samples):
        for heard in pitches.push(samples):
            yield from finder.push(*heard)
    for heard in pitches.finish():
        yield from finder.push(*heard)
    yield from finder.finish()
