"""What telling voices apart gains where two speak: `python -m benchmarks.speakers.overlaps`.

On conversations whose speakers' stems are known, with the true turns: how much nearer to what a
speaker said his track is than the recording, in each overlap, by SI-SDR in dB.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.songs import FloatArray
from benchmarks.speakers.data import sets
from benchmarks.speakers.data.sets import Recording
from benchmarks.speakers.tracks import first_channel
from separation.quality import si_sdr_db
from separation.speakers import Timeline, Turn
from separation.speakers.extract import extract_speakers
from separation.speakers.statistics import overlaps

_SET = "utterances"
_SHORTEST_S = 0.4
# A speaker who pauses in an overlap said nothing there to be near to: part of the recording's RMS.
_PAUSE = 0.02


def main() -> None:
    recordings, _ = sets.load(_SET)
    gains = np.array([gain for recording in recordings for gain in gains_db(recording)])
    sys.stdout.write(
        f"{_SET}: {len(gains)} voices in overlaps of two: mean {gains.mean():+.2f} dB, "
        f"least {gains.min():+.2f} dB, worse than the recording {np.mean(gains < 0):.0%}\n"
    )


def gains_db(recording: Recording) -> Iterator[float]:
    """Yield what each of two voices gains in each overlap of a recording."""
    if not recording.stems:
        return
    timeline = Timeline(tuple(Turn(*turn) for turn in recording.turns), recording.duration_s)
    spans = [
        overlap
        for overlap in overlaps(timeline)
        if len(overlap.speakers) == 2 and overlap.end_s - overlap.start_s > _SHORTEST_S
    ]
    if not spans:
        return
    mixture = first_channel(recording.path)
    rate = len(mixture) / recording.duration_s
    stems = {name: first_channel(path) for name, path in recording.stems.items()}
    tracks = separated(recording, timeline)
    for overlap in spans:
        span = slice(round(overlap.start_s * rate), round(overlap.end_s * rate))
        for name in overlap.speakers:
            said = stems[name][span]
            if np.std(said) > _PAUSE * np.std(mixture[span]):
                yield si_sdr_db(said, tracks[name][span]) - si_sdr_db(said, mixture[span])


def separated(recording: Recording, timeline: Timeline) -> dict[str, FloatArray]:
    """Return the speakers' tracks, (samples,)."""
    with TemporaryDirectory(prefix="stemwright-") as folder:
        result = extract_speakers(
            recording.path,
            folder,
            timeline=timeline,
            overlap="separate",
            output_format="wav32f",
            clips=False,
        )
        return {name: first_channel(path) for name, path in result.tracks.items()}


if __name__ == "__main__":
    main()
