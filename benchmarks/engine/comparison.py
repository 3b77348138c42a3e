"""Contestants in turns on one song."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.engine.contestant import PEER, Work
from benchmarks.engine.figures import Row, row, worst
from benchmarks.engine.floor import Operations, Peaks, floor_s, n_segments
from benchmarks.engine.runs import ContestantFailed, Run, run
from benchmarks.songs import Song, mean, sdr_of_stems
from separation import catalog, presets
from separation.engines.backends import REFERENCE, candidates

MODEL = "htdemucs"


@dataclass(frozen=True, slots=True)
class Entry:
    """One way to take the song apart; the settings of the peer equal `balanced`."""

    backend: str
    preset: str = "balanced"

    def __str__(self) -> str:
        return self.backend if self.backend == PEER else f"{self.backend} {self.preset}"

    @property
    def has_fidelity(self) -> bool:
        """Whether there is a reference for it. The peer's shift is random: its segments differ."""
        return self.backend not in {PEER, REFERENCE}


@dataclass(slots=True)
class Outcome:
    """What became of an entry; `stems` are those of the first round."""

    runs: list[Run] = field(default_factory=list)
    sdr_db: list[float] = field(default_factory=list)

    @property
    def stems(self) -> Mapping[str, Path]:
        return self.runs[0].stems


def say(line: str) -> None:
    """Tell how far it is."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def backends(wanted: Sequence[str] = ()) -> list[str]:
    """Return the backends for this processor, best first, that load and prove themselves.

    The first load of each also prepares what is kept for the next ones.
    """
    known = [backend.name for backend in candidates(catalog.model(MODEL), "cpu", None)]
    unknown = set(wanted) - set(known)
    if unknown:
        raise SystemExit(f"There is no backend {', '.join(sorted(unknown))} here; {known}.")
    usable = []
    for name in known:
        if wanted and name not in wanted:
            continue
        got = _loaded(name)
        say(f"prepare  {name}" + ("" if got == name else f": left out, it stepped back to {got}"))
        if got == name:
            usable.append(name)
    return usable


def _loaded(name: str) -> str:
    from benchmarks.engine.runs import Contestant

    with Contestant(Work(MODEL, name, (), "")) as contestant:
        return contestant.backend


def compare(
    song: Song, entries: Sequence[Entry], *, rounds: int, folder: Path
) -> dict[Entry, Outcome]:
    """Let all entries take the song apart, one after the other, so many times."""
    outcomes = {entry: Outcome() for entry in entries}
    for number in range(rounds):
        for entry in entries:
            done = _run(song, entry, folder / f"{entry.backend}-{entry.preset}-{number}", number)
            say(
                f"round {number + 1}/{rounds}  {song.name}  {entry}: "
                f"{done.wall_s:.1f} s, CPU {done.cpu_s:.1f} s, {done.peak_mb:.0f} MB"
            )
            outcome = outcomes[entry]
            if not outcome.runs or entry.backend == PEER:
                # Ours is the same each time; the peer's shift is another one in each round.
                outcome.sdr_db.append(mean(sdr_of_stems(song.stems, done.stems).values()))
            if outcome.runs:
                shutil.rmtree(next(iter(done.stems.values())).parent)
            outcome.runs.append(done)
    return outcomes


def _run(song: Song, entry: Entry, folder: Path, seed: int = 0) -> Run:
    work = Work(MODEL, entry.backend, (str(song.mixture),), str(folder), entry.preset, seed=seed)
    done = run(work)
    if done.backend != entry.backend:
        raise ContestantFailed(f"{entry.backend} stepped back to {done.backend}")
    return done


def references(
    song: Song, outcomes: Mapping[Entry, Outcome], folder: Path
) -> dict[str, Mapping[str, Path]]:
    """Return the reference's stems for each preset that was compared; made where missing."""
    found = {}
    for preset in dict.fromkeys(entry.preset for entry in outcomes if entry.has_fidelity):
        entry = Entry(REFERENCE, preset)
        if entry in outcomes:
            found[preset] = outcomes[entry].stems
            continue
        say(f"reference for {preset}")
        found[preset] = _run(song, entry, folder / f"reference-{preset}").stems
    return found


def rows(
    song: Song,
    audio_s: float,
    outcomes: Mapping[Entry, Outcome],
    references: Mapping[str, Mapping[str, Path]],
    *,
    operations: Operations,
    peaks: Peaks,
    reference_s: float | None = None,
) -> list[Row]:
    """Return a row for each entry.

    Parameters
    ----------
    song : Song
    audio_s : float
    outcomes : mapping
        With that of the peer.
    references : mapping of preset to stems
    operations, peaks
        For the floor.
    reference_s : float, optional
        How far the references are good, if they are of a shorter part of the song: up to where
        its last segment begins, what was heard is the same.
    """
    model = catalog.model(MODEL)
    heard = None if reference_s is None else round(reference_s * model.sample_rate)
    heard = None if heard is None else heard - model.segment_samples
    peers = outcomes[Entry(PEER)].runs
    listed = []
    for entry, outcome in outcomes.items():
        fidelity_db = None
        if entry.has_fidelity:
            fidelity_db = worst(sdr_of_stems(references[entry.preset], outcome.stems, heard))
        n = n_segments(presets.grid(model, entry.preset), round(audio_s * model.sample_rate))
        least_s = n * floor_s(operations, peaks, rounds=entry.backend.endswith("bf16"))
        listed.append(
            row(
                backend=entry.backend,
                preset=entry.preset,
                audio_s=audio_s,
                runs=outcome.runs,
                peers=peers,
                sdr_db=outcome.sdr_db,
                fidelity_db=fidelity_db,
                floor_s=least_s,
            )
        )
    return listed
