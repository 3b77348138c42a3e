"""How clean the speakers' tracks are, where what each of them said is known."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks import songs
from benchmarks.songs import FloatArray
from benchmarks.speakers.contestant import Turns
from benchmarks.speakers.data.sets import Recording
from benchmarks.speakers.scoring import matched, mean, si_sdr_db


@dataclass(frozen=True, slots=True)
class Tracks:
    """Mean SI-SDR over speakers, in dB.

    `mixture` is the recording itself, `found` the tracks of the turns that were found, `true`
    those of the reference's turns: what perfect diarization would give. For a speaker who was not
    found the recording counts, which is what one would be left with; `missing` says how many.
    """

    speakers: int
    mixture_db: float
    found_db: float
    true_db: float
    missing: int

    @property
    def gain_db(self) -> float:
        return self.found_db - self.mixture_db


def measure(recordings: list[Recording], found: list[Turns]) -> dict[str, float]:
    """Return how clean the tracks of recordings with several speakers are."""
    mixtures, ours, upper, missing = [], [], [], 0
    for recording, turns in zip(recordings, found, strict=True):
        if recording.speakers < 2 or not recording.stems:
            continue
        mixture = songs.read(recording.path)[0]
        reference = list(recording.turns)
        names = matched(reference, turns)
        tracks = cut(recording, turns)
        best = cut(recording, reference)
        for speaker, path in recording.stems.items():
            stem = songs.read(path)[0]
            mixtures.append(si_sdr_db(stem, mixture))
            missing += speaker not in names
            track = tracks[names[speaker]] if speaker in names else mixture
            ours.append(si_sdr_db(stem, track))
            upper.append(si_sdr_db(stem, best[speaker]))
    result = Tracks(len(mixtures), mean(mixtures), mean(ours), mean(upper), missing)
    return {**asdict(result), "gain_db": result.gain_db}


def cut(recording: Recording, turns: Turns) -> dict[str, FloatArray]:
    """Return each speaker's track as the product makes it of given turns, (samples,)."""
    from separation.speakers import Timeline, Turn
    from separation.speakers.extract import extract_speakers

    timeline = Timeline(tuple(Turn(*turn) for turn in turns), recording.duration_s)
    with TemporaryDirectory(prefix="stemwright-") as folder:
        result = extract_speakers(
            recording.path, folder, timeline=timeline, output_format="wav32f", clips=False
        )
        return {name: first_channel(path) for name, path in result.tracks.items()}


def first_channel(path: Path) -> FloatArray:
    """Return the first channel of a file."""
    return np.asarray(songs.read(path)[0], np.float32)
