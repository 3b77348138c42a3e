"""The data sets: each recording as a mono WAV file, and who speaks when.

`ami`, `council` and `utterances` are for testing, `hour` is `council` at length, for time and
memory; `dev` is for tuning and shares no speaker with them. All are made anew from packages with
fixed seeds; what was made is kept in the cache.
"""

from __future__ import annotations

import json
import random
import shutil
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import soundfile

from benchmarks.speakers.data import fetch, mixing
from benchmarks.speakers.data.fetch import CACHE, Unavailable, unpacked
from benchmarks.speakers.data.labels import speech_spans
from benchmarks.speakers.data.mixing import LabelledTurn, Mixture, Recipe
from benchmarks.speakers.data.voices import (
    RATE,
    Piece,
    Talker,
    Voice,
    dev_voices,
    read_16k,
    synthesized_voices,
    test_voices,
)

TEST_SETS = ("ami", "council", "utterances")
DEV_SET = "dev"
HOUR_SET = "hour"

# Counted up when the making changes: what lies in the cache is then made anew.
_VERSION = 2
_COUNCIL_SEED, _UTTERANCES_SEED, _DEV_SEED = 11, 22, 33
# A council member's speech is taken apart at pauses into pieces of at most about this length.
_COUNCIL_PIECE_S = (3.0, 15.0)
# One member's "aye" of 0.4 s is no speaker to be found.
_COUNCIL_LEAST_S = 1.0
_COUNCIL_OVERLAPS = (0.0, 0.01, 0.023, 0.005, 0.015)
_HOUR_S = 3600.0
# Two of the five noises of the package hold voices.
_NOISES = ("noise2", "noise3", "noise4")

_UTTERANCES = (
    Recipe(1, 120),
    Recipe(2, 120, 0.02, snr_db=20),
    Recipe(2, 120, 0.08, rt60_s=0.3, is_telephone=True),
    Recipe(3, 120, 0.05, rt60_s=0.5, snr_db=20),
    Recipe(3, 120, 0.0, snr_db=12),
    Recipe(4, 120, 0.08, rt60_s=0.4),
    Recipe(5, 120, 0.03, is_telephone=True),
    Recipe(6, 120, 0.08, rt60_s=0.7, snr_db=20),
    Recipe(7, 120, 0.05, snr_db=12, is_telephone=True),
    Recipe(8, 120, 0.04, rt60_s=0.2),
)


@dataclass(frozen=True, slots=True)
class Recording:
    """One file of a set; `stems` are those of its speakers where they are known."""

    name: str
    path: Path
    turns: tuple[LabelledTurn, ...]
    duration_s: float
    condition: dict[str, Any]
    stems: dict[str, Path]

    @property
    def speakers(self) -> int:
        return len({speaker for _, _, speaker in self.turns})


def load(name: str, cache: Path = CACHE) -> tuple[list[Recording], list[str]]:
    """Return a set's recordings, made if they are not in the cache, and what it lacks, in words.

    Raises
    ------
    Unavailable
        If nothing of it can be made.
    """
    folder = cache / "sets" / name
    index = folder / "set.json"
    if not index.is_file() or json.loads(index.read_text())["version"] != _VERSION:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        missing = _MAKERS[name](folder)
        values = {"version": _VERSION, "missing": missing}
        index.write_text(json.dumps(values) + "\n")
    recordings = [read(path) for path in sorted(folder.glob("*.json")) if path != index]
    return recordings, json.loads(index.read_text())["missing"]


def read(path: Path) -> Recording:
    """Return a recording by the JSON that `write` left beside it."""
    values = json.loads(path.read_text())
    return Recording(
        name=path.stem,
        path=path.with_suffix(".wav"),
        turns=tuple((start, end, speaker) for start, end, speaker in values["turns"]),
        duration_s=values["duration"],
        condition=values["condition"],
        stems={stem.stem: stem for stem in sorted((path.parent / path.stem).glob("*.flac"))},
    )


def write(folder: Path, name: str, mixture: Mixture, *, with_stems: bool = False) -> None:
    """Write one recording of a set."""
    soundfile.write(folder / f"{name}.wav", mixture.samples, mixture.rate, "PCM_16")
    if with_stems:
        (folder / name).mkdir()
        for speaker, stem in mixture.stems.items():
            soundfile.write(folder / name / f"{speaker}.flac", stem, mixture.rate, "PCM_24")
    _write_json(folder, name, mixture.turns, len(mixture.samples) / mixture.rate, mixture.condition)


def _write_json(
    folder: Path,
    name: str,
    turns: Iterable[LabelledTurn],
    duration_s: float,
    condition: dict[str, Any],
) -> None:
    values = {"turns": list(turns), "duration": round(duration_s, 3), "condition": condition}
    (folder / f"{name}.json").write_text(json.dumps(values) + "\n")


def _make_ami(folder: Path) -> list[str]:
    """Copy the clips that have a reference: 14 of AMI, and the sample of the tutorials."""
    package = next(unpacked(fetch.PYANNOTE).glob("pyannote*"))
    for group in ("train", "development", "test"):
        data = package / "tests" / "data"
        turns = read_rttm(data / f"debug.{group}.rttm")
        for line in (data / f"debug.{group}.uem").read_text().splitlines():
            name, _, start, end = line.split()
            if float(start):
                raise Unavailable(f"{name} is not scored from its start")
            shutil.copy(data / f"{name}.wav", folder)
            about = {"source": "AMI", "group": group}
            _write_json(folder, name, turns.get(name, []), float(end), about)
    assets = package / "tutorials" / "assets"
    shutil.copy(assets / "sample.wav", folder)
    duration_s = soundfile.info(assets / "sample.wav").duration
    sample = read_rttm(assets / "sample.rttm")["sample"]
    _write_json(folder, "sample", sample, duration_s, {"source": "sample"})
    return []


def read_rttm(path: Path) -> dict[str, list[LabelledTurn]]:
    """Return the turns of each recording that a file in RTTM speaks of."""
    turns: dict[str, list[LabelledTurn]] = {}
    for line in path.read_text().splitlines():
        fields = line.split()
        if fields and fields[0] == "SPEAKER":
            start, duration = float(fields[3]), float(fields[4])
            turn = (start, round(start + duration, 3), fields[7])
            turns.setdefault(fields[1], []).append(turn)
    return turns


def _make_council(folder: Path) -> list[str]:
    meetings = _meetings(folder)
    for number, (meeting, overlap) in enumerate(zip(meetings, _COUNCIL_OVERLAPS, strict=True)):
        rng = random.Random(_COUNCIL_SEED + number)
        pieces = _meeting_pieces(meeting, rng)
        recipe = Recipe(len({p.speaker for p in pieces}), 240, overlap)
        write(folder, f"{number:02}", mixing.mix(pieces, recipe, rng, keeps_levels=True))
    shutil.rmtree(folder / "utterances")
    return []


def _make_hour(folder: Path) -> list[str]:
    """Make a recording of an hour: all meetings in turn, again and again in another order.

    The same council speaks in all of them: whoever has a name is one person.
    """
    meetings = _meetings(folder)
    rng = random.Random(_COUNCIL_SEED)
    pieces: list[Piece] = []
    while sum(piece.duration_s for piece in pieces) < _HOUR_S:  # gaps come on top: it is cut
        pieces += [piece for meeting in meetings for piece in _meeting_pieces(meeting, rng)]
    recipe = Recipe(len({p.speaker for p in pieces}), _HOUR_S, _COUNCIL_OVERLAPS[1])
    mixture = mixing.mix(pieces, recipe, rng, keeps_levels=True)
    write(folder, "00", mixing.cut_to(mixture, _HOUR_S))
    shutil.rmtree(folder / "utterances")
    return []


def _meetings(folder: Path) -> list[Path]:
    """Return the folders of the council's meetings, each with a folder for each member."""
    package = next(unpacked(fetch.SPEAKERBOX).glob("speakerbox*"))
    with zipfile.ZipFile(package / "speakerbox" / "tests" / "data" / "diarized.zip") as archive:
        archive.extractall(folder / "utterances")
    return sorted(path for path in (folder / "utterances").iterdir() if path.name[0] not in "_.")


def _meeting_pieces(meeting: Path, rng: random.Random) -> list[Piece]:
    spoken = [
        [piece for path in sorted(member.glob("*.wav")) for piece in council_pieces(path, rng)]
        for member in sorted(meeting.iterdir())
    ]
    heard = [said for said in spoken if sum(p.duration_s for p in said) >= _COUNCIL_LEAST_S]
    return in_turns([piece for said in heard for piece in said], rng)


def council_pieces(path: Path, rng: random.Random) -> list[Piece]:
    """Return what somebody says in one file, taken apart at pauses where it is long."""
    samples = read_16k(path)
    groups: list[list[tuple[float, float]]] = []
    longest_s = rng.uniform(*_COUNCIL_PIECE_S)
    for span in speech_spans(samples, RATE):
        if not groups or span[1] - groups[-1][0][0] > longest_s:
            groups.append([])
            longest_s = rng.uniform(*_COUNCIL_PIECE_S)
        groups[-1].append(span)
    pieces = []
    for spans in groups:
        first, last = (round(at * RATE) for at in (max(0, spans[0][0] - 0.05), spans[-1][1] + 0.05))
        moved = tuple((start - first / RATE, end - first / RATE) for start, end in spans)
        pieces.append(Piece(path.parent.name, samples[first:last], moved))
    return pieces


def in_turns(pieces: list[Piece], rng: random.Random) -> list[Piece]:
    """Return pieces in a random order, the same speaker not twice in a row where that can be."""
    left: dict[str, list[Piece]] = {}
    for piece in pieces:
        left.setdefault(piece.speaker, []).append(piece)
    for listed in left.values():
        rng.shuffle(listed)
    ordered: list[Piece] = []
    while any(left.values()):
        names = [name for name, listed in left.items() if listed]
        others = [name for name in names if not ordered or name != ordered[-1].speaker] or names
        # By how much is left, or one would be left with all of his at the end.
        name = rng.choices(others, [len(left[name]) for name in others])[0]
        ordered.append(left[name].pop())
    return ordered


def _make_utterances(folder: Path) -> list[str]:
    voices, missing = test_voices()
    if len(voices) < max(recipe.speakers for recipe in _UTTERANCES):
        raise Unavailable("; ".join(missing))
    noises = _noises()
    for number, recipe in enumerate(_UTTERANCES):
        rng = random.Random(_UTTERANCES_SEED + number)
        mixture = conversation(voices, recipe, rng, noise=noises[number % len(noises)])
        write(folder, f"{number:02}", mixture, with_stems=True)
    return missing


def conversation(
    voices: list[Voice], recipe: Recipe, rng: random.Random, noise: Any = None
) -> Mixture:
    """Return a conversation between some of these people."""
    chosen = rng.sample(voices, recipe.speakers)
    pieces = mixing.converse([Talker(v, rng) for v in chosen], recipe.duration_s * 0.9, rng)
    mixture = mixing.mix(pieces, recipe, rng, noise=noise)
    mixture.condition["synthesized"] = sum(voice.is_synthesized for voice in chosen)
    return mixture


def _noises() -> list[Any]:
    package = next(unpacked(fetch.SPEECHBRAIN).glob("speechbrain*"))
    return [read_16k(package / f"tests/samples/noise/{name}.wav") for name in _NOISES]


def _make_dev(folder: Path) -> list[str]:
    """Make 12 conversations of recorded people, and 18 in which synthesized voices join them."""
    recorded, missing = dev_voices()
    synthesized, lacking = synthesized_voices()
    for number in range(30):
        rng = random.Random(_DEV_SEED + number)
        voices = recorded if number < 12 else recorded + synthesized
        if number >= 12 and not synthesized:
            break
        recipe = dev_recipe(number, rng)
        write(folder, f"{number:02}", conversation(voices, recipe, rng))
    return missing + lacking


def dev_recipe(number: int, rng: random.Random) -> Recipe:
    """Return what the recording of that number is like: all counts, conditions by chance."""
    return Recipe(
        speakers=number % 10 + 1,
        duration_s=rng.choice((60, 90, 120, 180, 240)),
        overlap=rng.choice((0.0, 0.02, 0.05, 0.1, 0.2)) if number % 10 else 0.0,
        rt60_s=rng.choice((None, 0.2, 0.4, 0.7)),
        snr_db=rng.choice((None, None, 20, 12)),
        is_telephone=rng.random() < 0.2,
        is_mp3=rng.random() < 0.2,
    )


_MAKERS: dict[str, Callable[[Path], list[str]]] = {
    "ami": _make_ami,
    "council": _make_council,
    "utterances": _make_utterances,
    "dev": _make_dev,
    "hour": _make_hour,
}
