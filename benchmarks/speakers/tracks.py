"""How clean the speakers' tracks are, where what each of them said is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks import songs
from benchmarks.songs import FloatArray, mean
from benchmarks.speakers.contestant import Turns
from benchmarks.speakers.data.sets import Recording
from benchmarks.speakers.scoring import matched
from separation.quality import si_sdr_db

RECORDING, TRUE_TURNS = "the recording itself", "true turns"


def measure(
    recordings: Sequence[Recording], found: Mapping[str, Sequence[Turns]]
) -> list[dict[str, Any]]:
    """Return how clean the tracks are that the product makes of turns.

    Parameters
    ----------
    recordings : sequence of Recording
        Those with several speakers whose stems are known are taken.
    found : mapping of str to sequence of turns
        What each contestant found in each recording.

    Returns
    -------
    list of dict
        Rows for the recording itself, each contestant's turns and the true ones, which is what
        perfect diarization would give: the mean SI-SDR over speakers in dB, and how many speakers
        nobody was found for. For these the recording counts, which is what one is left with.
    """
    sources = [RECORDING, *found, TRUE_TURNS]
    ratios: dict[str, list[float]] = {source: [] for source in sources}
    missing = dict.fromkeys(sources, 0)
    for index, recording in enumerate(recordings):
        if recording.speakers < 2 or not recording.stems:
            continue
        mixture = first_channel(recording.path)
        stems = {speaker: first_channel(path) for speaker, path in recording.stems.items()}
        turns = {name: listed[index] for name, listed in found.items()}
        for source, given in {**turns, TRUE_TURNS: list(recording.turns)}.items():
            names = matched(list(recording.turns), given)
            tracks = cut(recording, given)
            for speaker, stem in stems.items():
                track = tracks[names[speaker]] if speaker in names else mixture
                ratios[source].append(si_sdr_db(stem, track))
            missing[source] += len(stems) - len(names)
        ratios[RECORDING] += [si_sdr_db(stem, mixture) for stem in stems.values()]
    if not ratios[RECORDING]:
        return []
    return [
        {
            "source": source,
            "speakers": len(ratios[source]),
            "si_sdr_db": round(mean(ratios[source]), 2),
            "missing": missing[source],
        }
        for source in sources
    ]


def cut(recording: Recording, turns: Turns) -> dict[str, FloatArray]:
    """Return each speaker's track as the product makes it of given turns, (samples,)."""
    from separation.speakers import Timeline, Turn
    from separation.speakers.extract import extract_speakers

    if not turns:
        return {}
    timeline = Timeline(tuple(Turn(*turn) for turn in turns), recording.duration_s)
    with TemporaryDirectory(prefix="stemwright-") as folder:
        result = extract_speakers(
            recording.path, folder, timeline=timeline, output_format="wav32f", clips=False
        )
        return {name: first_channel(path) for name, path in result.tracks.items()}


def first_channel(path: Path) -> FloatArray:
    """Return the first channel of a file, (samples,)."""
    channel: FloatArray = songs.read(path)[0]
    return channel
