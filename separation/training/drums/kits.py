"""What the sounds of a drum kit are called, and which files hold them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from separation.training.sources import DataPackage, Role, packages

CLASSES = ("kick", "snare", "toms", "hihat", "ride", "crash", "percussion")

# Every voice that a groove can play -> the stem that it belongs to. A china or a splash is a kind
# of crash; a stick on the snare's rim is the snare drum; hands and small things are percussion.
VOICES: Mapping[str, str] = {
    "kick": "kick",
    "snare": "snare",
    "rimshot": "snare",
    "sidestick": "snare",
    "tom_high": "toms",
    "tom_mid": "toms",
    "tom_low": "toms",
    "hat_closed": "hihat",
    "hat_half": "hihat",
    "hat_open": "hihat",
    "hat_pedal": "hihat",
    "ride": "ride",
    "ride_bell": "ride",
    "crash": "crash",
    "splash": "crash",
    "china": "crash",
    "clap": "percussion",
    "cowbell": "percussion",
    "tambourine": "percussion",
    "shaker": "percussion",
    "conga": "percussion",
    "block": "percussion",
    "bell": "percussion",
    "other": "percussion",
}


@dataclass(frozen=True, slots=True)
class SoundfontKits:
    """Kits of a soundfont: its presets, and the voice of each key."""

    package: DataPackage
    bank: int
    presets: tuple[int, ...]
    voices: Mapping[int, str]

    def name_of(self, preset: int) -> str:
        """Return what a kit of this soundfont is called."""
        is_held = self.package.role == "held"
        return self.package.name if is_held else f"{self.package.name}-{preset}"


@dataclass(frozen=True, slots=True)
class SampledKit:
    """A kit of files: patterns below `folder`, and the voice of each.

    The files of a pattern are one sound at several strengths, or, with `each`, as many sounds.
    """

    name: str
    package: DataPackage
    folder: str
    each: bool
    sounds: tuple[tuple[str, str], ...]


def soundfont_kits(role: Role) -> tuple[SoundfontKits, ...]:
    """Return the soundfonts of a role."""
    table, known = _tables(), _packages(role)
    return tuple(
        SoundfontKits(
            known[entry["package"]],
            entry["bank"],
            tuple(entry["presets"]),
            {int(key): voice for key, voice in table["keys"][entry["keys"]].items()},
        )
        for entry in table["soundfonts"]
        if entry["package"] in known
    )


def sampled_kits(role: Role) -> tuple[SampledKit, ...]:
    """Return the kits of files of a role."""
    known = _packages(role)
    return tuple(
        SampledKit(
            entry["name"],
            known[entry["package"]],
            entry["folder"],
            entry.get("each", False),
            tuple((pattern, voice) for pattern, voice in entry["sounds"]),
        )
        for entry in _tables()["kits"]
        if entry["package"] in known
    )


def held_kits() -> tuple[str, ...]:
    """Return the names of the kits that no training example uses and that have all of a kit."""
    names = [kit.name for kit in sampled_kits("held") if _is_whole(kit)]
    return (*names, *(font.package.name for font in soundfont_kits("held")))


def _is_whole(kit: SampledKit) -> bool:
    made = {VOICES[voice] for _, voice in kit.sounds}
    return made >= {"kick", "snare", "toms", "hihat", "ride", "crash"}


def _packages(role: Role) -> Mapping[str, DataPackage]:
    return {package.name: package for package in packages("drums", role)}


@cache
def _tables() -> dict[str, Any]:
    text = resources.files(__package__).joinpath("kits.toml").read_text("utf-8")
    return tomllib.loads(text)
