"""A conversation into who speaks when, and one track for each speaker."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from django.conf import settings

import separation
from jobs.engine import engine_speakers
from jobs.filenames import speaker_filename
from jobs.heartbeat import Heartbeat
from jobs.models import Job, JobTimeline, OutputKind, Service
from jobs.naming import job_title
from jobs.scratch import scratch_folder
from jobs.separating import output_info
from jobs.speaker_options import SpeakerOptions
from jobs.work.outputs import Made, output_store
from jobs.work.preparing import Ready, recording_ready
from separation import AudioInfo
from separation.speakers.result import SpeakersResult

# How long the steps take beside each other, about.
_FINDING = {"load": 2, "listen": 63, "cluster": 5}
_DENOISING = {"denoise": 40}
_MAKING = {"tracks": 15}


def work(job: Job, heartbeat: Heartbeat) -> Made:
    known = JobTimeline.objects.filter(job=job).first()
    options = SpeakerOptions.from_json(job.options)
    with (
        scratch_folder(job) as folder,
        recording_ready(job, heartbeat, folder) as ready,
    ):
        result = engine_speakers(
            recording=ready.path,
            folder=folder / "speakers",
            info=ready.info,
            tags_from=ready.tags_from,
            watch=heartbeat.check,
            on_progress=_Progress(ready, _weights(options, is_known=known is not None)),
            # There is one where turns were merged: nobody is looked for then.
            timeline=known.turns if known else None,
            **_library_options(job, options),
        )
        outputs = []
        for kind, form, speaker, path in _files(job, result):
            heartbeat.check()
            is_whole = kind == OutputKind.TRACK and options.pauses == "keep"
            outputs.append(
                output_store(
                    job,
                    kind=kind,
                    label=speaker,
                    form=form,
                    filename=_filename(job, known, kind=kind, speaker=speaker, path=path),
                    path=path,
                    info=_info(job, form, path, is_whole=is_whole),
                )
            )
    return Made(outputs, _timeline(result))


class _Progress:
    """Adds up how far the steps are, which come in order; one that is not among them adds nothing.

    Parameters
    ----------
    ready : Ready
        Is told.
    weights : mapping of str to int
        How long each step takes, in parts of the whole.
    """

    def __init__(self, ready: Ready, weights: Mapping[str, int]) -> None:
        self._ready = ready
        self._weights = weights
        self._share = 0.0

    def __call__(self, *, step: str, completed: int, total: int | None) -> None:
        if step in self._weights:
            names = list(self._weights)
            before = sum(self._weights[name] for name in names[: names.index(step)])
            within = self._weights[step] * min(1.0, completed / total) if total else 0.0
            share = (before + within) / sum(self._weights.values())
            self._share = max(self._share, share)
        self._ready.report(self._share, step=step)


def _weights(options: SpeakerOptions, *, is_known: bool) -> dict[str, int]:
    return ({} if is_known else _FINDING) | (_DENOISING if options.denoise else {}) | _MAKING


def _library_options(job: Job, options: SpeakerOptions) -> dict[str, Any]:
    return {
        "count": {
            "exact": options.num_speakers,
            "minimum": options.min_speakers,
            "maximum": options.max_speakers,
        },
        "output_format": job.output_format,
        "more_formats": job.more_formats,
        "pauses": options.pauses,
        "loudness": options.loudness,
        "denoise": options.denoise,
        "overlap": options.overlap,
        "tracks": job.service != Service.SPEAKER_DIARIZATION,
        "clips": options.clips,
        "model": job.model,
        "device": settings.SEPARATION_DEVICE,
    }


def _files(job: Job, result: SpeakersResult) -> Iterator[tuple[OutputKind, str, str, Path]]:
    tracks = {job.output_format: result.tracks, **result.more_tracks}
    clips = {job.output_format: result.clips, **result.more_clips}
    for kind, forms in ((OutputKind.TRACK, tracks), (OutputKind.CLIP, clips)):
        for form, paths in forms.items():
            for speaker, path in paths.items():
                yield kind, form, speaker, path


def _filename(
    job: Job, known: JobTimeline | None, *, kind: OutputKind, speaker: str, path: Path
) -> str:
    title = known.names.get(speaker, speaker) if known else speaker
    return speaker_filename(job_title(job), title=title, kind=kind, suffix=path.suffix)


def _info(job: Job, form: str, path: Path, *, is_whole: bool) -> AudioInfo:
    info = output_info(job, form)
    if is_whole:
        return info
    # Pauses were closed, or it is a clip. We made it, so that it may be decoded right here.
    return replace(info, n_samples=separation.probe(path).n_samples)


def _timeline(result: SpeakersResult) -> dict[str, Any]:
    return {
        "turns": result.timeline.to_json(),
        "statistics": [asdict(speaker) for speaker in result.speakers],
        "overlaps": [asdict(overlap) for overlap in result.overlaps],
    }
