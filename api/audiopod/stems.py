"""AudioPod's names of stems, modes and packages, and what they are here."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from api.audiopod.base import parameter_error
from jobs.catalog import set_stems

# Their name, ours, what people call it, and their group. Nothing else here lists stems.
_STEMS: Final = (
    ("vocals", "vocals", "Vocals", "core"),
    ("drums", "drums", "Drums", "core"),
    ("bass", "bass", "Bass", "core"),
    ("guitar", "guitar", "Guitar", "core"),
    ("piano", "piano", "Piano", "core"),
    ("other", "other", "Other", "core"),
    ("instrumental", "instrumental", "Instrumental", "core"),
    ("lead_vocals", "lead_vocals", "Lead vocals", "vocals"),
    ("backing_vocals", "backing_vocals", "Backing vocals", "vocals"),
    ("male_vocals", "male_vocals", "Male vocals", "vocals"),
    ("female_vocals", "female_vocals", "Female vocals", "vocals"),
    ("acoustic_guitar", "acoustic_guitar", "Acoustic guitar", "instruments"),
    ("electric_guitar", "electric_guitar", "Electric guitar", "instruments"),
    ("rhythm_guitar", "rhythm_guitar", "Rhythm guitar", "instruments"),
    ("lead_guitar", "lead_guitar", "Lead guitar", "instruments"),
    ("kick", "kick", "Kick drum", "instruments"),
    ("snare", "snare", "Snare drum", "instruments"),
    ("toms", "toms", "Toms", "instruments"),
    ("hihat", "hihat", "Hi-hat", "instruments"),
    ("ride", "ride", "Ride cymbal", "instruments"),
    ("crash", "crash", "Crash cymbal", "instruments"),
    ("percussion", "percussion", "Percussion", "instruments"),
    ("keys", "keys", "Keys", "instruments"),
    ("synth", "synth", "Synthesizer", "instruments"),
    ("organ", "organ", "Organ", "instruments"),
    ("strings", "strings", "Strings", "instruments"),
    ("winds", "winds", "Winds", "instruments"),
    ("brass", "brass", "Brass", "instruments"),
    ("woodwinds", "woodwinds", "Woodwinds", "instruments"),
    ("fx", "fx", "Effects", "instruments"),
    # What a split in two leaves; not in their catalogue.
    ("no_vocals", "instrumental", "Without vocals", ""),
    ("no_drums", "no_drums", "Without drums", ""),
    ("no_bass", "no_bass", "Without bass", ""),
    ("no_other", "no_other", "Without other", ""),
)
_OURS: Final[Mapping[str, str]] = {theirs: ours for theirs, ours, _, _ in _STEMS}


@dataclass(frozen=True)
class Mode:
    name: str
    description: str
    # As they call them; of `single`, the one that is asked for.
    stems: tuple[str, ...]

    @property
    def n_stems(self) -> int:
        return len(self.stems) or 1


# Ours of what a mode calls "other": what the others of its set leave. Which stems the last two have
# is not documented; these are ours of that number.
_SETS: Final = {
    "two": ("two-stems", "Vocals and everything else"),
    "four": ("four-stems", "Vocals, drums, bass and other"),
    "six": ("six-stems", "Vocals, drums, bass, guitar, piano and other"),
    "producer": ("eight-stems", "Eight stems with the parts of the drum kit"),
    "studio": ("twelve-stems", "Twelve stems for mixing"),
    "mastering": ("sixteen-stems", "Sixteen stems, the finest split"),
}
_THEIRS: Final = {"instrumental": "no_vocals"}


def _theirs(ours: str) -> str:
    """Of a stem in a mode."""
    if ours not in _OURS.values():
        return "other"
    return _THEIRS.get(ours, ours)


MODES: Final[Mapping[str, Mode]] = {
    "single": Mode("single", "One stem of your choice", ()),
    **{
        name: Mode(name, description, tuple(_theirs(ours) for ours in set_stems(of_catalog)))
        for name, (of_catalog, description) in _SETS.items()
    },
}
# What a list of names means that is a mode's.
_OURS_TOGETHER: Final = {
    frozenset(MODES[name].stems): dict(zip(MODES[name].stems, set_stems(of_catalog), strict=True))
    for name, (of_catalog, _) in _SETS.items()
}
# Of the endpoint for choices in detail: what is left over is named in "Without …".
_TWO: Final = {name: (name, f"no_{name}") for name in ("vocals", "drums", "bass", "other")}
_BY_COUNT: Final = {mode.n_stems: mode for mode in MODES.values() if mode.stems}
# Of the endpoint that came first. Which model it is follows from the stems here.
LEGACY_MODELS: Final = ("htdemucs", "htdemucs_6s", "htdemucs_ft")


@dataclass(frozen=True)
class CatalogStem:
    name: str
    ours: str
    label: str
    group: str


CATALOG: Final = tuple(CatalogStem(*row) for row in _STEMS if row[3])


def mode_stems(mode: str, stem: str | None) -> tuple[str, ...]:
    """What a mode makes, in their words."""
    if mode != "single":
        return MODES[mode].stems
    if not stem:
        raise parameter_error("stem", "Mode single needs the name of a stem.")
    return (stem,)


def two_stems(name: str) -> tuple[str, ...]:
    if name not in _TWO:
        raise parameter_error("two_stems_mode", f"This must be one of: {', '.join(_TWO)}.")
    return _TWO[name]


def stems_of_count(count: int) -> tuple[str, ...]:
    if count not in _BY_COUNT:
        counts = ", ".join(map(str, sorted(_BY_COUNT)))
        raise parameter_error("multi_stem_count", f"This must be one of: {counts}.")
    return _BY_COUNT[count].stems


def package_stems(name: str, target: str | None) -> tuple[str, ...]:
    if name == "isolation":
        if not target:
            problem = "The package isolation needs the name of an instrument."
            raise parameter_error("target_instrument", problem)
        return two_stems(target) if target in _TWO else (target,)
    if name not in MODES or not MODES[name].stems:
        names = ", ".join([*(mode.name for mode in MODES.values() if mode.stems), "isolation"])
        raise parameter_error("package", f"This must be one of: {names}.")
    return MODES[name].stems


def names_parse(text: str) -> list[str]:
    """A list of names, as JSON, as Python writes lists (so their client does), or with commas."""
    inner = re.sub(r"^\s*\[|\]\s*$", "", text)
    names = (name.strip().strip("'\"").strip().lower() for name in inner.split(","))
    return [name for name in names if name]


def ours_of(names: Sequence[str], *, field: str) -> list[tuple[str, str]]:
    """Each name with ours. Raises ValidationFailed for those that mean nothing here."""
    unknown = [name for name in names if name not in _OURS]
    if unknown:
        raise parameter_error(field, f"There is no stem '{unknown[0][:64]}'.")
    if not names:
        raise parameter_error(field, "Name at least one stem.")
    meant = _OURS_TOGETHER.get(frozenset(names), _OURS)
    pairs = [(name, meant[name]) for name in dict.fromkeys(names)]
    if len({ours for _, ours in pairs}) < len(pairs):
        raise parameter_error(field, "Two of these names are the same stem.")
    return pairs
