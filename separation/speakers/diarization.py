"""Who speaks when in a recording."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from separation import catalog
from separation.audio.info import AudioInfo, AudioLimits
from separation.errors import NoSpeech, UnknownModel
from separation.progress import OnProgress, ignore_progress
from separation.resources import named_resource_errors, probed
from separation.speakers import listening
from separation.speakers.analysis import Analysis, BoolArray, analyse
from separation.speakers.assembly import Stretch, timeline_of, turns_of
from separation.speakers.clustering import find_speakers, likeness
from separation.speakers.counting import MAX_SPEAKERS, SpeakerCount
from separation.speakers.networks import Networks, load_networks
from separation.speakers.timeline import Timeline
from separation.speakers.voices import are_voices

__all__ = ["MAX_SPEAKERS", "SpeakerCount", "diarize", "tool_named"]

# Less speech in all is none.
_LEAST_SPEECH_FRAMES = 15


def diarize(
    input: str | Path,
    *,
    count: SpeakerCount | None = None,
    model: str | None = None,
    device: str = "cpu",
    limits: AudioLimits | None = None,
    info: AudioInfo | None = None,
    on_progress: OnProgress = ignore_progress,
) -> Timeline:
    """Find out who speaks when.

    Speakers are named `SPEAKER_0`, `SPEAKER_1`, … in the order in which they first speak. Where
    a recording has a speaker on each side, each side is listened to by itself.

    Parameters
    ----------
    input : path
        Local audio or video file.
    count : SpeakerCount, optional
        How many speakers there are, as far as the caller knows.
    model : str, optional
        Name of a tool of the catalogue; the first that there is when left out.
    device : str
        Torch device; `auto` is the best that there is.
    limits : AudioLimits, optional
        What to accept.
    info : AudioInfo, optional
        What `probe` returned for this very file, to spare a second probe.
    on_progress : callable
        Called with keywords `step`, `completed` and `total`, both in samples of the recording;
        steps are `probe`, `load`, `listen` and `cluster`.

    Raises
    ------
    InvalidRequest
        If there cannot be that many speakers.
    NoSpeech
        If nobody speaks.
    SeparationError
        Any other of `separation.errors`.

    References
    ----------
    Bredin: pyannote.audio 2.1 speaker diarization pipeline, Interspeech 2023,
    https://doi.org/10.21437/Interspeech.2023-105: segmentation of short chunks, then clustering
    of what each speaker of a chunk sounds like. The clustering is this project's own
    (`separation.speakers.clustering`).
    """
    path, wanted = Path(input), count or SpeakerCount()
    wanted.check()
    with named_resource_errors():
        known = info or probed(path, limits, on_progress)
        on_progress(step="load", completed=0, total=None)
        networks = load_networks(tool_named(model), device)
        listens_to_sides = known.channels == 2 and wanted.highest > 1
        analyses = list(_analyses(path, known, networks, on_progress, listens_to_sides))
        on_progress(step="cluster", completed=0, total=None)
        stretches = _stretches(analyses, wanted, networks)
    if sum(each.last - each.first for each in stretches) < _LEAST_SPEECH_FRAMES:
        raise NoSpeech("Nobody speaks in this recording.")
    return timeline_of(stretches, known.duration_s)


def tool_named(name: str | None) -> catalog.Tool:
    """Return the tool that finds speakers: this one, or the best that is at hand.

    Raises
    ------
    UnknownModel
        If there is no such tool, or it does something else.
    """
    chosen = catalog.tools() if name is None else (catalog.tool(name),)
    able = [tool for tool in chosen if tool.task == "diarization"]
    if not able:
        raise UnknownModel(f"The model '{name}' does not find speakers.")
    installed = [tool for tool in able if catalog.availability(tool).is_installed]
    return (installed or able)[0]


def _analyses(
    path: Path,
    info: AudioInfo,
    networks: Networks,
    on_progress: OnProgress,
    listens_to_sides: bool,
) -> Iterator[Analysis]:
    """Yield what is heard: once, or once for each side."""
    done = 0

    def on_samples(n_samples: int) -> None:
        # Looking at the sides takes next to no time.
        completed = (done * info.n_samples + min(n_samples, info.n_samples)) // n_listened
        on_progress(step="listen", completed=completed, total=info.n_samples)

    n_listened = 1
    is_heard: BoolArray | None = None
    if listens_to_sides:
        is_heard = listening.sides(path, lambda n_samples: on_samples(0), guess=info.container)
    if is_heard is None:
        yield analyse(listening.mono(path, on_samples, guess=info.container), networks)
        return
    n_listened = 2
    for number in range(2):
        done = number
        blocks = listening.side(path, number, on_samples, guess=info.container)
        yield analyse(blocks, networks, is_heard=is_heard[number])


def _stretches(analyses: list[Analysis], count: SpeakerCount, networks: Networks) -> list[Stretch]:
    voices = [
        find_speakers(analysis, one, plda=networks.plda)
        for analysis, one in zip(analyses, _shared(analyses, count, networks), strict=True)
    ]
    stretches: list[Stretch] = []
    n_before = 0
    for analysis, speakers in zip(analyses, voices, strict=True):
        if not len(speakers):
            continue
        alike = likeness(analysis, speakers)
        is_voice = are_voices(analysis, alike)
        stretches += [
            replace(each, speaker=each.speaker + n_before)
            for each in turns_of(analysis, alike)
            if is_voice[each.speaker]
        ]
        n_before += len(speakers)
    return sorted(stretches, key=lambda each: (each.first, each.last, each.speaker))


def _shared(
    analyses: list[Analysis], count: SpeakerCount, networks: Networks
) -> list[SpeakerCount]:
    """Share out over both sides how many speakers there are; those who speak are on one of them."""
    if len(analyses) == 1 or count.is_free:
        half = SpeakerCount(maximum=MAX_SPEAKERS // len(analyses))
        return [count if len(analyses) == 1 else half] * len(analyses)
    usual = [
        len(find_speakers(analysis, SpeakerCount(), plda=networks.plda)) for analysis in analyses
    ]
    while sum(usual) > count.highest and max(usual) > 1:
        usual[int(np.argmax(usual))] -= 1
    # On a side where nobody speaks there is nobody more to be found either.
    spoken = [side for side, n in enumerate(usual) if n] or [0]
    while sum(usual) < count.lowest:
        usual[min(spoken, key=lambda side: usual[side])] += 1
    return [SpeakerCount(exact=max(1, n)) for n in usual]
