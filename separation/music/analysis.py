"""Tempo and key of a recording, in one pass and in constant memory."""

from __future__ import annotations

import time
from pathlib import Path

from separation import catalog, weights
from separation.audio.info import AudioInfo, AudioLimits
from separation.music import sound
from separation.music.beat_network import BeatNetwork
from separation.music.key import KeyFinder
from separation.music.pitches import Pitches, PitchNetwork
from separation.music.result import MusicAnalysis
from separation.music.tempo import TempoFinder
from separation.progress import OnProgress, ignore_progress
from separation.resources import named_resource_errors, probed

BEATS, PITCHES = "beatnet", "basic-pitch"


def analyse(
    input: str | Path,
    *,
    info: AudioInfo | None = None,
    limits: AudioLimits | None = None,
    on_progress: OnProgress = ignore_progress,
) -> MusicAnalysis:
    """Find out how fast a recording is, and in which key.

    Silence, noise and speech are no errors: there is no tempo or no key then, or little confidence
    in them. The key is one for the whole recording.

    Parameters
    ----------
    input : path
        Local audio or video file.
    info : AudioInfo, optional
        What `probe` returned for this very file, to spare a second probe.
    limits : AudioLimits, optional
        What to accept.
    on_progress : callable
        Called with keywords `step`, `completed` and `total`, both in samples of the recording;
        steps are `probe`, `load` and `analyse`.

    Raises
    ------
    SeparationError
        Any of `separation.errors`.
    """
    started = time.monotonic()
    path = Path(input)
    with named_resource_errors():
        known = info or probed(path, limits, on_progress)
        on_progress(step="load", completed=0, total=None)
        tools = [catalog.tool(name) for name in (BEATS, PITCHES)]
        for tool in tools:
            weights.install(tool)
        tempo, key = TempoFinder(BeatNetwork(tools[0])), KeyFinder()
        pitches = Pitches(PitchNetwork(tools[1]))

        def on_samples(n_samples: int) -> None:
            completed = min(n_samples, known.n_samples)
            on_progress(step="analyse", completed=completed, total=known.n_samples)

        for samples in sound.mono(path, known, on_samples):
            tempo.push(samples)
            for sounding, _ in pitches.push(samples):
                key.push(sounding)
        for sounding, _ in pitches.finish():
            key.push(sounding)
        return MusicAnalysis(
            tempo.finish(), key.finish(), (BEATS, PITCHES), time.monotonic() - started
        )
