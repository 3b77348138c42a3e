"""Build the banks of notes once; later processes find them in the cache."""

from __future__ import annotations

from pathlib import Path

from separation.training import sources
from separation.training.instruments import soundfonts, synthesis
from separation.training.instruments.bank import Bank, BankWriter
from separation.training.instruments.programs import PACKS

# Grows with every change of what is in the bank.
_REVISION = 1
_SEED = 9


def open_bank(split: sources.Role) -> Bank:
    """Open the bank that `split` draws from, built first if it is not there yet.

    Raises
    ------
    ModelUnavailable
        If a package of samples cannot be fetched.
    """
    target = sources.training_dir() / "instruments" / f"bank-{_REVISION}-{split}"
    if not target.is_dir():
        with sources.private_folder(target.parent) as folder:
            built = folder / "bank"
            built.mkdir()
            _build(built, split)
            sources.put_in_place(built, target)
    return Bank.open(target)


def _build(folder: Path, split: sources.Role) -> None:
    writer = BankWriter(folder)
    for package in sources.packages("instruments", split):
        files = sources.fetch(package)
        if package.name in PACKS:
            kind = PACKS[package.name]
            writer.begin(package.name, kind)
            for note in soundfonts.pack(files, kind):
                writer.add(*note)
            continue
        for font in sorted(files.rglob("*.sf[23]")):
            for name, kind, notes in soundfonts.presets(font):
                writer.begin(f"{package.name}-{name}", kind)
                for note in notes:
                    writer.add(*note)
    # What is measured with stays free of the synthesizers that are learned from.
    if split == "train":
        _synthesize(writer)
    writer.close()


def _synthesize(writer: BankWriter) -> None:
    for name, instrument, rng in synthesis.instruments(_SEED):
        kind = instrument.kind
        writer.begin(f"own-{name}", kind)
        first = kind.low + int(rng.integers(soundfonts.KEY_STEP))
        for key in range(first, kind.high + 1, soundfonts.KEY_STEP):
            velocity = float(rng.uniform(0.4, 1.0))
            sound = instrument.render(rng, key, velocity)
            writer.add(float(key), velocity, soundfonts.trimmed(sound))
