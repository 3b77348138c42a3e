"""The notes of a recording: a MIDI file, and a list for who wants no file."""

from dataclasses import replace
from typing import Any

from jobs.engine import engine_transcribe
from jobs.heartbeat import Heartbeat
from jobs.models import Job, OutputKind
from jobs.naming import job_title
from jobs.scratch import scratch_folder
from jobs.work.outputs import Made, output_store
from jobs.work.preparing import recording_ready
from separation import AudioInfo
from separation.music import Transcription

# More are in the file only: a row of the database is no place for hours of notes.
LISTED_NOTES = 20_000

FORM = "midi"


def work(job: Job, heartbeat: Heartbeat) -> Made:
    with (
        scratch_folder(job) as folder,
        recording_ready(job, heartbeat, folder) as ready,
    ):

        def on_progress(*, step: str, completed: int, total: int | None) -> None:
            ready.report(completed / total if total else 0.0, step=step)

        found = engine_transcribe(
            recording=ready.path,
            output=folder / "notes.mid",
            info=ready.info,
            watch=heartbeat.check,
            on_progress=on_progress,
            max_notes=LISTED_NOTES,
        )
        output = output_store(
            job,
            kind=OutputKind.NOTES,
            label="",
            form=FORM,
            filename=f"{job_title(job)[:180]}.mid",
            path=found.path,
            info=_info(ready.info),
        )
        return Made([output], result=_result(found))


def _info(info: AudioInfo) -> AudioInfo:
    """Of the recording, so that its length is known; but it is no sound."""
    return replace(
        info, codec=FORM, container=FORM, bits_per_sample=None, is_float=False, is_lossy=False
    )


def _result(found: Transcription) -> dict[str, Any]:
    listed = [
        {
            "pitch": note.pitch,
            "start": note.start_s,
            "end": note.end_s,
            "velocity": note.velocity,
        }
        for note in found.notes
    ]
    instruments = [{"name": found.instrument, "notes": listed}] if listed else []
    return {"notes": found.n_notes, "instruments": instruments}
