"""One conversation in, a track for each speaker and the timeline out, in constant memory."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from separation.audio import formats as audio_formats
from separation.audio.info import AudioInfo, AudioLimits
from separation.audio.tags import read_tags
from separation.errors import InvalidRequest
from separation.progress import OnProgress, ignore_progress
from separation.resources import check_output, named_resource_errors, probed
from separation.speakers import diarization
from separation.speakers.diarization import MAX_SPEAKERS, SpeakerCount
from separation.speakers.edits import fitted, renamed
from separation.speakers.making import (
    MAX_LUFS,
    MIN_LUFS,
    OVERLAPS,
    PAUSES,
    Making,
    TrackOptions,
)
from separation.speakers.result import SpeakersResult
from separation.speakers.sources import Denoising
from separation.speakers.timeline import Timeline
from separation.speakers.track_files import CLIP_SUFFIX, file_stems

__all__ = [
    "MAX_LUFS",
    "MIN_LUFS",
    "OVERLAPS",
    "PAUSES",
    "extract_speakers",
    "file_names",
]


def extract_speakers(
    input: str | Path,
    output_dir: str | Path,
    *,
    count: SpeakerCount | None = None,
    timeline: Timeline | None = None,
    merge: Sequence[Sequence[str]] = (),
    names: Mapping[str, str] | None = None,
    output_format: str = "wav",
    more_formats: Sequence[str] = (),
    pauses: str = "keep",
    loudness: float | None = None,
    denoise: bool = False,
    overlap: str = "separate",
    tracks: bool = True,
    clips: bool = True,
    model: str | None = None,
    device: str = "cpu",
    limits: AudioLimits | None = None,
    info: AudioInfo | None = None,
    tags_from: str | Path | None = None,
    on_progress: OnProgress = ignore_progress,
) -> SpeakersResult:
    """Find out who speaks when, and make a track for each speaker.

    A track has the recording's sample rate and channels and, unless pauses are closed, its exact
    length; where the speaker speaks it is the recording, sample by sample, faded at both ends.

    Parameters
    ----------
    input : path
        Local audio or video file.
    output_dir : path
        Folder for the files, made if missing: `speaker_0.wav`, `speaker_0_sample.wav`, …, and
        `timeline.rttm`, `.json`, `.csv`, `.vtt`, `.txt`; each is written atomically.
    count : SpeakerCount, optional
        How many speakers there are, as far as the caller knows.
    timeline : Timeline, optional
        Turns that are known already; nothing is searched for then.
    merge : sequence of sequences of str
        Speakers, as they were found, that are one; the first name of each group stays.
    names : mapping of str to str, optional
        Other names for speakers, after merging.
    output_format : str
        See `separate`.
    more_formats : sequence of str
        In which each track and clip is written too; see `separate`.
    pauses : str
        `keep`, or `close`: a track is the speaker's turns, one after another.
    loudness : float, optional
        What each track's integrated loudness is brought to, in LUFS, such as -16 for podcasts or
        -23 for broadcasting; less where its true peak would pass -1 dBFS, or where that takes more
        than 30 dB.
    denoise : bool
        Whether noise is taken out first.
    overlap : str
        Where several speak at once: `separate`, of two voices each has less of the other (see
        `overlap.SeparatedVoices`); `both`, each has what was recorded; or `mute`, nobody.
    tracks : bool
        Whether there are tracks, and clips; else all that is wanted is who speaks when.
    clips : bool
        Whether there is a clip of each speaker.
    model : str, optional
        Name from the catalogue; the first that there is when left out.
    device : str
        Torch device; `auto` is the best that there is.
    limits : AudioLimits, optional
        What to accept.
    info : AudioInfo, optional
        What `probe` returned for this very file, to spare a second probe.
    tags_from : path, optional
        The recording whose tags and cover go along, where `input` was made of it.
    on_progress : callable
        Called with keywords `step`, `completed` and `total`: those of `diarize`, then `denoise`
        and `tracks`, both in samples.

    Raises
    ------
    NoSpeech
        If nobody speaks.
    SeparationError
        Any other of `separation.errors`; nothing that was written is left behind.
    """
    started = time.monotonic()
    path, folder = Path(input), Path(output_dir)
    names_of_formats = (output_format, *more_formats)
    options = TrackOptions(names_of_formats, pauses, loudness, overlap, tracks, clips)
    options.check()
    count = count or SpeakerCount()
    count.check()
    with named_resource_errors():
        _check_output(path, folder, timeline)
        known = info or probed(path, limits, on_progress)
        forms = audio_formats.resolve_all(names_of_formats, known)
        # Before the long part of the work: without its weights there is nothing to wait for.
        denoiser = _denoiser(known, device) if denoise and tracks else None
        found, finder = timeline, None
        if found is None:
            finder = diarization.tool_named(model).name
            found = diarization.diarize(
                path,
                count=count,
                model=finder,
                device=device,
                limits=limits,
                info=known,
                on_progress=on_progress,
            )
        edited = _edited(found, known, merge, names or {})
        files = audio_formats.file_stems(file_names(edited.speakers), forms)
        check_output(path, folder, files, kind="track")
        tags = read_tags(path, known.container) if tags_from is None else read_tags(Path(tags_from))
        making = Making(path, known, forms, edited, options, tags, denoiser, on_progress)
        result = making.run(folder)
    return replace(result, model=finder, seconds=time.monotonic() - started)


def file_names(speakers: Sequence[str]) -> list[str]:
    """Return the names of all tracks and clips, without extension."""
    return [stem + end for stem in file_stems(speakers).values() for end in ("", CLIP_SUFFIX)]


def _check_output(path: Path, folder: Path, timeline: Timeline | None) -> None:
    """Refuse before the long part of the work what `check_output` would after it."""
    expected = [f"SPEAKER_{number}" for number in range(MAX_SPEAKERS)]
    speakers = expected if timeline is None else timeline.speakers
    check_output(path, folder, file_names(speakers), kind="track")


def _edited(
    timeline: Timeline, info: AudioInfo, merge: Sequence[Sequence[str]], names: Mapping[str, str]
) -> Timeline:
    edited = fitted(timeline, info.duration_s)
    if merge:
        edited = edited.merged(merge)
    edited = renamed(edited, names)
    if len(edited.speakers) > MAX_SPEAKERS:
        raise InvalidRequest(f"There may be 1 to {MAX_SPEAKERS} speakers.")
    return edited


def _denoiser(info: AudioInfo, device: str) -> Denoising:
    # Only here: it brings a model with it.
    from separation.enhance.denoise import Denoiser

    return Denoiser(info.sample_rate, info.channels, device=device)
