"""Single notes out of soundfonts and out of packs of recorded notes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np

from separation.training.effects import RATE
from separation.training.instruments.programs import Kind, kind_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

# A note in the bank lasts this long, where the instrument lets it.
NOTE_S = 2.5
KEY_STEP = 3
VELOCITIES = (0.45, 0.95)
_FADE_S = 0.03
_PITCHES = {name: pitch for pitch, name in enumerate("C Cs D Ds E F Fs G Gs A As B".split())}

Note = tuple[float, float, "NDArray[np.float32]"]


def presets(path: Path) -> Iterator[tuple[str, Kind, Iterator[Note]]]:
    """Render the useful presets of a soundfont: name, kind, its notes."""
    # Only whoever builds the bank needs it.
    import tinysoundfont

    synth: Any = tinysoundfont.Synth(samplerate=RATE)
    font = synth.sfload(str(path))
    for bank in range(128):
        for program in range(128):
            kind = kind_of(bank, program)
            if kind is not None and synth.sfpreset_name(font, bank, program) is not None:
                synth.program_select(0, font, bank, program)
                yield f"{bank}-{program}", kind, _rendered(synth, kind)


def pack(folder: Path, kind: Kind) -> Iterator[Note]:
    """Read a folder of recorded notes whose file names are their pitches (`Cs4.wav`)."""
    for path in sorted(folder.rglob("*")):
        named = re.fullmatch(r"([A-G]s?)(-?\d)\.(?:wav|mp3)", path.name)
        if named is None:
            continue
        key = _PITCHES[named[1]] + 12 * (int(named[2]) + 1)
        if kind.low - 3 <= key <= kind.high + 3:
            yield float(key), 0.8, trimmed(_read(path))


def trimmed(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cut silence before a note and what is beyond its length or has died away; (frames,)."""
    loud = np.flatnonzero(np.abs(samples) > 0.003 * np.abs(samples).max(initial=0.0))
    if not loud.size:
        return samples[:0]
    begin = max(int(loud[0]) - 64, 0)
    end = min(int(loud[-1]) + 1, begin + int(NOTE_S * RATE))
    note = samples[begin:end].copy()
    fade = min(int(_FADE_S * RATE), note.size)
    note[note.size - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
    return note


def _rendered(synth: Any, kind: Kind) -> Iterator[Note]:
    seconds = NOTE_S if kind.family != "noise" else 2 * NOTE_S
    for key in range(kind.low, kind.high + 1, KEY_STEP):
        for velocity in VELOCITIES:
            synth.sounds_off(0)
            # What still rang fades within some milliseconds.
            synth.generate(1024)
            synth.noteon(0, key, round(127 * velocity))
            heard = np.frombuffer(bytes(synth.generate(int(seconds * RATE))), np.float32)
            yield float(key), velocity, trimmed(heard.reshape(-1, 2).mean(axis=1))


def _read(path: Path) -> NDArray[np.float32]:
    """Decode a file to mono at 44.1 kHz; (frames,)."""
    with av.open(str(path), "r") as container:
        resampler = av.AudioResampler("flt", "mono", RATE)
        blocks = [
            block.to_ndarray()[0]
            for frame in (*container.decode(audio=0), None)
            for block in resampler.resample(frame)
        ]
    return np.concatenate(blocks)
