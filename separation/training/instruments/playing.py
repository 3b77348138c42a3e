"""Play the notes of a part on a patch of a bank."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from separation.training.effects import RATE
from separation.training.instruments.bank import Bank, Patch
from separation.training.instruments.song import Note

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Samples = NDArray[np.float32]

# What a sustained note is prolonged with begins here in it, and overlaps by this much.
_LOOP_S = 0.7
_OVERLAP_S = 0.25


class Player:
    """One player with one instrument, who has drawn how it sounds.

    Takes notes from the bank that are recorded near the wanted pitch, but not always the nearest
    one, and shifts them by resampling: timbres differ from example to example.
    """

    def __init__(self, rng: np.random.Generator, bank: Bank, patch: Patch, tune: float) -> None:
        """Draw the player's tuning (around `tune` semitones), release and dynamics."""
        self._bank, self._patch = bank, patch
        self._tune = tune + float(rng.normal(0, 0.04))
        self._shift = float(rng.uniform(-2, 2))
        self._harder = float(rng.uniform(-0.3, 0.3))
        self._range_db = float(rng.uniform(6, 30))
        sustained = patch.kind.sustained
        self._release = int(rng.uniform(0.03, 0.25 if sustained else 0.4) * RATE)
        self._attack = int(rng.uniform(0.001, 0.08) * RATE) if rng.random() < 0.3 else 0
        self._sway_hz = float(rng.uniform(4.5, 7.0))
        self._glide_s = float(rng.uniform(0.03, 0.15))
        self._mute_s = float(rng.uniform(0.012, 0.05))
        self._known: dict[tuple[float, int], Samples] = {}

    def play(self, notes: Sequence[Note], n_samples: int) -> Samples:
        """Return the part, (n_samples,); notes that begin before it are heard from its begin."""
        out = np.zeros(n_samples, np.float32)
        for note in notes:
            start = round(note.start_s * RATE)
            if start >= n_samples or start + note.seconds * RATE + self._release <= 0:
                continue
            sound = self._sound(note)
            begin, end = max(start, 0), min(start + sound.size, n_samples)
            if end > begin:
                out[begin:end] += sound[begin - start : end - start]
        return out

    def _sound(self, note: Note) -> Samples:
        index = self._patch.nearest(note.key + self._shift, note.velocity + self._harder)
        wanted = max(int(note.seconds * RATE), int(0.04 * RATE)) + self._release
        moving = note.bend or note.vibrato or note.fall
        if moving:
            sound = self._shifted(index, note.key, wanted, note)[:wanted]
        else:
            known = self._known.get((note.key, index))
            if known is None or known.size < wanted:
                known = self._shifted(index, note.key, wanted, None)
                self._known[(note.key, index)] = known
            sound = known[:wanted]
        gain = 10 ** ((note.velocity - 1) * self._range_db / 20)
        sound = sound * np.float32(gain)
        self._shape(sound, wanted, note.muted)
        return sound

    def _shape(self, sound: Samples, wanted: int, muted: bool) -> None:
        """Let the note begin and end, in place."""
        if muted:
            times = np.arange(sound.size, dtype=np.float32) / np.float32(self._mute_s * RATE)
            sound *= np.exp(-times)
            return
        tail = sound[max(wanted - self._release, 0) :]
        if tail.size:
            # A cosine falls from 1 to 0 with no corner at either end.
            fall = np.arange(tail.size, dtype=np.float32) / self._release
            tail *= 0.5 + 0.5 * np.cos(np.pi * np.minimum(fall, 1.0))
        rise = min(self._attack, sound.size)
        if rise:
            sound[:rise] *= np.linspace(0, 1, rise, dtype=np.float32)

    def _shifted(self, index: int, key: float, wanted: int, moved: Note | None) -> Samples:
        """Resample a recorded note to the pitch; as long as wanted, if it lasts so long."""
        recorded = self._bank.note(self._patch, index)
        ratio = 2 ** ((key + self._tune - float(self._patch.keys[index])) / 12)
        if self._patch.kind.sustained:
            recorded = _prolonged(recorded, int(wanted * ratio * 1.3) + 2)
        if moved is None:
            count = min(wanted, int((recorded.size - 2) / ratio))
            at = np.arange(max(count, 0), dtype=np.float64) * ratio
        else:
            at = self._path(moved, wanted, ratio)
            at = at[: int(np.searchsorted(at, recorded.size - 2))]
        whole = at.astype(np.int64)
        share = (at - whole).astype(np.float32)
        return np.asarray(recorded[whole] * (1 - share) + recorded[whole + 1] * share, np.float32)

    def _path(self, note: Note, wanted: int, ratio: float) -> NDArray[np.float64]:
        """Return where in the recording each sample lies, for a pitch that moves."""
        times = np.arange(wanted) / RATE
        pitch = note.bend * np.exp(-times / self._glide_s)
        if note.vibrato:
            deep = note.vibrato * np.clip((times - 0.15) / 0.4, 0, 1)
            pitch = pitch + deep * np.sin(2 * np.pi * self._sway_hz * times)
        if note.fall:
            pitch = pitch - note.fall * np.clip((times - note.seconds * 0.6) / 0.3, 0, 1)
        steps = ratio * 2 ** (pitch / 12)
        return np.asarray(np.cumsum(steps) - steps[0], np.float64)


def _prolonged(sound: Samples, wanted: int) -> Samples:
    """Prolong a sustained note with itself, crossfaded; what fades out anyway is left as it is."""
    begin, overlap = int(_LOOP_S * RATE), int(_OVERLAP_S * RATE)
    # The end of a stored note is a fade: the seam lies before it.
    end = sound.size - int(0.05 * RATE)
    if wanted <= end or end < begin + 2 * overlap:
        return sound
    early, late = sound[begin : begin + overlap], sound[end - overlap : end]
    if np.square(late).mean() < 0.02 * np.square(early).mean():
        return sound
    ramp = np.linspace(0, 1, overlap, dtype=np.float32)
    seam = late * np.sqrt(1 - ramp) + early * np.sqrt(ramp)
    middle = sound[begin + overlap : end - overlap]
    turn = np.concatenate([seam, middle])
    turns = int(np.ceil((wanted - end) / turn.size)) + 1
    return np.concatenate([sound[: end - overlap], np.tile(turn, turns)])[:wanted]
