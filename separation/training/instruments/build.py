"""Build the notes of each package once; later processes find them in the cache."""

from __future__ import annotations

import fcntl
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from separation.training import sources
from separation.training.instruments import soundfonts, synthesis
from separation.training.instruments.bank import Bank, BankWriter
from separation.training.instruments.programs import PACKS

# Each grows with every change of how the notes come about.
_SAMPLED = 1
_SYNTHESIZED = 1
_SEED = 9
# A synthesized note is played up to this many semitones from where it was made.
_KEY_STEP = 6


def open_bank(split: sources.Role) -> Bank:
    """Open the bank that `split` draws from, built first if it is not there yet.

    What is measured with stays free of the synthesizers that are learned from.

    Raises
    ------
    ModelUnavailable
        If a package of samples cannot be fetched.
    """
    folders = [
        _built(f"{package.name}-{_SAMPLED}", partial(_sample, package))
        for package in sources.packages("instruments", split)
    ]
    if split == "train":
        folders.append(_built(f"own-{_SYNTHESIZED}", _synthesize))
    return Bank.open(*folders)


def _built(name: str, fill: Callable[[BankWriter], None]) -> Path:
    """Return the folder of notes; only one process at a time builds it."""
    target = sources.training_dir() / "instruments" / name
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.with_name(f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.is_dir():
            with sources.private_folder(target.parent) as folder:
                built = folder / "bank"
                built.mkdir()
                writer = BankWriter(built)
                fill(writer)
                writer.close()
                sources.put_in_place(built, target)
    return target


def _sample(package: sources.DataPackage, writer: BankWriter) -> None:
    files = sources.fetch(package)
    if package.name in PACKS:
        kind = PACKS[package.name]
        writer.begin(package.name, kind)
        for note in soundfonts.pack(files, kind):
            writer.add(*note)
        return
    for font in sorted(files.rglob("*.sf[23]")):
        for name, kind, notes in soundfonts.presets(font):
            writer.begin(f"{package.name}-{name}", kind)
            for note in notes:
                writer.add(*note)


def _synthesize(writer: BankWriter) -> None:
    for name, instrument, rng in synthesis.instruments(_SEED):
        kind = instrument.kind
        writer.begin(f"own-{name}", kind)
        first = kind.low + int(rng.integers(_KEY_STEP))
        for key in np.arange(first, kind.high + 1, _KEY_STEP).tolist():
            velocity = float(rng.uniform(0.4, 1.0))
            sound = instrument.render(rng, key, velocity)
            writer.add(float(key), velocity, soundfonts.trimmed(sound))
