"""One track of an example: who plays what, and what the studio does with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from separation.training import effects
from separation.training.instruments import parts
from separation.training.instruments.playing import Player

if TYPE_CHECKING:
    from separation.training.effects import Sound
    from separation.training.instruments.bank import Bank, Patch
    from separation.training.instruments.song import Note, Song

# Parts to choose from, and how often each is chosen.
Choice = Sequence[tuple[parts.Part, int]]

_PICKED = ((parts.strummed, 4), (parts.arpeggios, 4), (parts.melody, 1), (parts.riff, 1))
_KEYS = (
    (parts.held_chords, 2),
    (parts.repeated, 3),
    (parts.arpeggios, 2),
    (parts.two_hands, 3),
    (parts.riff, 1),
    (parts.solo, 1),
)
_WIND = ((parts.melody, 4), (parts.solo, 2), (parts.stabs, 3), (parts.riff, 2), (parts.runs, 1))
_TUNES = ((parts.melody, 2), (parts.arpeggios, 2), (parts.riff, 2), (parts.solo, 1))
# What each family plays, and how often.
_PARTS: dict[str, Choice] = {
    "acoustic": (*_PICKED, (parts.sixteenths, 1), (parts.solo, 1)),
    "small": (*_PICKED, (parts.repeated, 1)),
    "clean": (
        (parts.sixteenths, 4),
        (parts.strummed, 3),
        (parts.arpeggios, 2),
        (parts.riff, 2),
        (parts.solo, 3),
        (parts.repeated, 1),
        (parts.power_chords, 2),
    ),
    "muted": ((parts.sixteenths, 3), (parts.riff, 3), (parts.arpeggios, 1)),
    "driven": ((parts.power_chords, 4), (parts.solo, 4), (parts.riff, 3), (parts.melody, 1)),
    "grand": _KEYS,
    "epiano": (*_KEYS, (parts.sixteenths, 2)),
    "harpsichord": (*_KEYS, (parts.runs, 1)),
    "clavinet": ((parts.sixteenths, 6), (parts.riff, 3), (parts.repeated, 1)),
    "organ": (*_KEYS, (parts.held_chords, 3), (parts.stabs, 1)),
    "reed_organ": (*_KEYS, (parts.held_chords, 2), (parts.melody, 1)),
    "solo": ((parts.melody, 5), (parts.solo, 2), (parts.runs, 1), (parts.riff, 1)),
    "section": (
        (parts.held_chords, 4),
        (parts.melody, 3),
        (parts.repeated, 1),
        (parts.stabs, 1),
        (parts.runs, 1),
    ),
    "pizzicato": ((parts.arpeggios, 2), (parts.repeated, 2), (parts.riff, 2), (parts.stabs, 1)),
    "harp": ((parts.arpeggios, 4), (parts.runs, 2), (parts.repeated, 1)),
    "trumpet": _WIND,
    "trombone": _WIND,
    "tuba": ((parts.riff, 2), (parts.repeated, 1), (parts.melody, 1)),
    "horn": (*_WIND, (parts.held_chords, 3)),
    "brass": ((parts.stabs, 4), (parts.held_chords, 2), (parts.riff, 1)),
    "sax": (*_WIND, (parts.solo, 3)),
    "reed": (*_WIND, (parts.held_chords, 1)),
    "flute": (*_WIND, (parts.runs, 1)),
    "harmonica": ((parts.melody, 2), (parts.solo, 3)),
    "lead": ((parts.riff, 3), (parts.solo, 2), (parts.arpeggios, 3), (parts.melody, 2)),
    "pad": ((parts.held_chords, 5), (parts.melody, 1), (parts.repeated, 1)),
    "mallet": _TUNES,
    "pluck": _TUNES,
    "voice": ((parts.melody, 3), (parts.held_chords, 1)),
    "bass": ((parts.bass_line, 1),),
    "hit": ((parts.hits, 1),),
    "noise": ((parts.hits, 1),),
}
# Families that often play as a section: several players on one line.
_SECTIONS = frozenset({"trumpet", "trombone", "horn", "sax", "flute", "reed", "solo", "section"})


def draw_notes(
    rng: np.random.Generator, song: Song, patch: Patch, choice: Choice | None = None
) -> list[Note]:
    """Compose a part for a patch, with its rests: one of `choice`, or what its family plays."""
    found, weights = zip(*(choice or _PARTS[patch.kind.family]), strict=True)
    chances = np.array(weights, np.float64)
    part: parts.Part = found[int(rng.choice(len(found), p=chances / chances.sum()))]
    notes = part(rng, song, patch.kind.low, patch.kind.high)
    return parts.with_rests(rng, song, notes)


def into_range(notes: Sequence[Note], patch: Patch) -> list[Note]:
    """Return the notes by whole octaves up or down, so that they lie in the patch's range."""
    moved = []
    for note in notes:
        key = note.key
        while key < patch.kind.low:
            key += 12
        while key > patch.kind.high:
            key -= 12
        moved.append(replace(note, key=key))
    return moved


def record(
    rng: np.random.Generator,
    bank: Bank,
    patches: Sequence[Patch],
    notes: Sequence[Note],
    song: Song,
    n_samples: int,
) -> Sound:
    """Let the first patch, or a section of them, play the notes and dress the sound; (2, n)."""
    patch = patches[0]
    tune = float(rng.normal(0, 0.08))
    family = patch.kind.family
    if family in _SECTIONS and rng.random() < 0.45:
        return _dress(rng, _section(rng, bank, patches, notes, tune, n_samples), patch, song)
    take = Player(rng, bank, patch, tune).play(notes, n_samples)[np.newaxis]
    if rng.random() < (0.25 if patch.kind.stem.endswith("guitar") else 0.06):
        again = Player(rng, bank, patch, tune).play(_again(rng, notes), n_samples)[np.newaxis]
        first, second = _dress_mono(rng, take, patch, song), _dress_mono(rng, again, patch, song)
        return _in_room(rng, effects.double(rng, first, second))
    return _dress(rng, take, patch, song)


def _section(
    rng: np.random.Generator,
    bank: Bank,
    patches: Sequence[Patch],
    notes: Sequence[Note],
    tune: float,
    n_samples: int,
) -> Sound:
    """Two to four players, not quite together, each in their own place; (2, n)."""
    out = np.zeros((2, n_samples), np.float32)
    for player in range(int(rng.integers(2, 5))):
        patch = patches[player % len(patches)]
        late = float(rng.uniform(0, 0.03))
        own = [
            replace(note, start_s=note.start_s + late + float(rng.normal(0, 0.006)))
            for note in into_range(notes, patch)
        ]
        take = Player(rng, bank, patch, tune).play(own, n_samples)[np.newaxis]
        out += effects.place(rng, take, 0.6) * np.float32(rng.uniform(0.5, 1.0))
    return out


def _again(rng: np.random.Generator, notes: Sequence[Note]) -> list[Note]:
    """Return a second take of the same part."""
    return [
        replace(
            note,
            start_s=note.start_s + float(rng.normal(0, 0.008)),
            velocity=float(np.clip(note.velocity + rng.normal(0, 0.06), 0.05, 1)),
        )
        for note in notes
    ]


def _dress(rng: np.random.Generator, sound: Sound, patch: Patch, song: Song) -> Sound:
    """Send a sound through the effects that suit its instrument, to its place; (2, n)."""
    return _in_room(rng, effects.place(rng, _dress_mono(rng, sound, patch, song)))


def _dress_mono(rng: np.random.Generator, sound: Sound, patch: Patch, song: Song) -> Sound:
    """Everything before the room; keeps the number of channels, or makes two of one."""
    chain = _CHAINS.get(patch.kind.family) or _CHAINS.get(patch.kind.stem, _plain)
    dressed = chain(rng, sound, song)
    if rng.random() < 0.4:
        dressed = effects.compress(rng, dressed)
    return dressed


def _in_room(rng: np.random.Generator, sound: Sound) -> Sound:
    return effects.room(rng, sound) if rng.random() < 0.6 else sound


def _plain(rng: np.random.Generator, sound: Sound, song: Song) -> Sound:
    return effects.equalize(rng, sound) if rng.random() < 0.8 else sound


def _acoustic(rng: np.random.Generator, sound: Sound, song: Song) -> Sound:
    played = effects.equalize(rng, sound, 6)
    if rng.random() < 0.25:
        played = effects.saturate(played, rng.uniform(0.2, 0.8))
    return effects.chorus(rng, played) if rng.random() < 0.1 else played


def _electric(rng: np.random.Generator, sound: Sound, song: Song) -> Sound:
    """Pedals, an amplifier, what comes after it."""
    played = effects.wah(rng, sound, song.beat_s) if rng.random() < 0.2 else sound
    gain = str(rng.choice(["clean", "crunch", "high"], p=[0.45, 0.3, 0.25]))
    played = effects.amplify(rng, played, gain)
    return _modulated(rng, played, song, 0.2, 0.25)


def _driven(rng: np.random.Generator, sound: Sound, song: Song) -> Sound:
    """Sampled with distortion already: an amplifier now and then, the rest as it is."""
    played = effects.wah(rng, sound, song.beat_s) if rng.random() < 0.12 else sound
    if rng.random() < 0.6:
        played = effects.amplify(rng, played, str(rng.choice(["crunch", "high"])))
    else:
        played = effects.equalize(rng, played)
    return _modulated(rng, played, song, 0.15, 0.3)


def _clavinet(rng: np.random.Generator, sound: Sound, song: Song) -> Sound:
    played = effects.wah(rng, sound, song.beat_s) if rng.random() < 0.45 else sound
    if rng.random() < 0.5:
        played = effects.amplify(rng, played, str(rng.choice(["clean", "crunch"])))
    return _modulated(rng, effects.equalize(rng, played), song, 0.2, 0.1)


def _electric_keys(rng: np.random.Generator, sound: Sound, song: Song) -> Sound:
    played = effects.equalize(rng, sound)
    if rng.random() < 0.4:
        played = effects.saturate(played, rng.uniform(0.3, 2.0))
    return _modulated(rng, played, song, 0.4, 0.1)


def _synthetic(rng: np.random.Generator, sound: Sound, song: Song) -> Sound:
    played = effects.equalize(rng, sound, 7)
    if rng.random() < 0.3:
        played = effects.saturate(played, rng.uniform(0.3, 4.0))
    if rng.random() < 0.15:
        played = effects.wah(rng, played, song.beat_s)
    return _modulated(rng, played, song, 0.4, 0.3)


def _modulated(
    rng: np.random.Generator, sound: Sound, song: Song, chorus: float, repeats: float
) -> Sound:
    drawn = rng.random()
    if drawn < chorus:
        sound = effects.chorus(rng, sound)
    elif drawn < chorus + 0.08:
        sound = effects.phaser(rng, sound)
    if rng.random() < 0.08:
        sound = effects.tremolo(rng, sound, song.beat_s)
    return effects.delay(rng, sound, song.beat_s) if rng.random() < repeats else sound


_CHAINS: dict[str, Callable[[np.random.Generator, Sound, Song], Sound]] = {
    "acoustic_guitar": _acoustic,
    "electric_guitar": _electric,
    "driven": _driven,
    "clavinet": _clavinet,
    "epiano": _electric_keys,
    "organ": _electric_keys,
    "synth": _synthetic,
}
