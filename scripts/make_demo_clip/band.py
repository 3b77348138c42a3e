"""Render the band: notes to a MIDI file, and that through FluidSynth, one part at a time."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from . import score
from .score import BEATS_PER_MINUTE, CLIP_S, KEY_SHIFT, Note

Audio = npt.NDArray[np.float32]

SAMPLE_RATE = 44_100
_TICKS_PER_BEAT = 960
_PERCUSSION_CHANNEL = 9


@dataclass(frozen=True)
class Part:
    """``timing_s`` and ``velocity`` are the standard deviations of the player's imprecision."""

    notes: Callable[[], list[Note]]
    program: int
    is_percussion: bool = False
    timing_s: float = 0.004
    velocity: float = 4.0


# Programs are General MIDI numbers counted from zero.
PARTS = {
    "drums": Part(score.drum_groove, 0, is_percussion=True, timing_s=0.003),
    "bass": Part(score.bass_line, 33),
    "guitar": Part(score.guitar_part, 25),
    "keys": Part(score.keys_part, 4),
    "strings": Part(score.strings_part, 48),
    "lead_guitar": Part(score.intro_lead, 27),
}


def part_render(
    part: Part, *, soundfont: Path, work: Path, name: str, rng: np.random.Generator
) -> Audio:
    """Play one part without the synthesiser's own effects; (2, samples) float32."""
    midi = work / f"{name}.mid"
    wav = work / f"{name}.wav"
    midi.write_bytes(_midi_file(part, rng))
    subprocess.run(
        [
            "fluidsynth", "-ni", "-q", "-R", "0", "-C", "0", "-g", "0.5",
            "-r", str(SAMPLE_RATE), "-O", "float", "-T", "wav", "-F", str(wav),
            str(soundfont), str(midi),
        ],
        check=True, timeout=300, capture_output=True,
    )  # fmt: skip
    audio, rate = soundfile.read(wav, dtype="float32", always_2d=True)
    if rate != SAMPLE_RATE:
        raise RuntimeError(f"fluidsynth wrote {rate} Hz")
    n_samples = round(CLIP_S * SAMPLE_RATE)
    fitted = np.zeros((2, n_samples), dtype=np.float32)
    n = min(n_samples, len(audio))
    fitted[:, :n] = audio[:n].T
    return fitted


def _midi_file(part: Part, rng: np.random.Generator) -> bytes:
    channel = _PERCUSSION_CHANNEL if part.is_percussion else 0
    seconds_to_ticks = _TICKS_PER_BEAT * BEATS_PER_MINUTE / 60
    # (tick, order, message): at the same tick a note ends before the next one starts.
    events: list[tuple[int, int, bytes]] = [(0, 0, bytes([0xC0 | channel, part.program]))]
    for note in part.notes():
        shift = rng.normal(0, part.timing_s) * seconds_to_ticks
        velocity = int(np.clip(round(note.velocity + rng.normal(0, part.velocity)), 1, 127))
        on = max(0, round(note.start * _TICKS_PER_BEAT + shift))
        off = on + max(1, round(note.length * _TICKS_PER_BEAT))
        key = note.pitch if part.is_percussion else note.pitch + KEY_SHIFT
        events.append((on, 2, bytes([0x90 | channel, key, velocity])))
        events.append((off, 1, bytes([0x80 | channel, key, 0])))
    events.sort()

    tempo = round(60_000_000 / BEATS_PER_MINUTE).to_bytes(3, "big")
    track = b"\x00\xff\x51\x03" + tempo
    now = 0
    for tick, _, message in events:
        track += _variable_length(tick - now) + message
        now = tick
    # Two beats of silence at the end: the renderer stops at the end of the track.
    track += _variable_length(_TICKS_PER_BEAT * 2) + b"\xff\x2f\x00"
    header = b"MThd" + struct.pack(">IHHH", 6, 0, 1, _TICKS_PER_BEAT)
    return header + b"MTrk" + struct.pack(">I", len(track)) + track


def _variable_length(value: int) -> bytes:
    out = bytes([value & 0x7F])
    while value := value >> 7:
        out = bytes([0x80 | (value & 0x7F)]) + out
    return out
