"""Their stems and ours: the one table."""

from dataclasses import dataclass

from config.errors import IncompatibleStems
from jobs.catalog import model_offers, stem_offers
from jobs.separating import separation_plan


@dataclass(frozen=True)
class StemName:
    # In the catalogue.
    ours: str
    # In their answers: a field of record-info, one of callbacks, a title.
    field: str
    callback_field: str
    title: str


VOCALS = StemName("vocals", "vocalUrl", "vocal_url", "Vocals")
INSTRUMENTAL = StemName("instrumental", "instrumentalUrl", "instrumental_url", "Instrumental")
TWO = (VOCALS, INSTRUMENTAL)
TWELVE = (
    VOCALS,
    StemName("backing_vocals", "backingVocalsUrl", "backing_vocals_url", "Backing Vocals"),
    StemName("drums", "drumsUrl", "drums_url", "Drums"),
    StemName("bass", "bassUrl", "bass_url", "Bass"),
    StemName("guitar", "guitarUrl", "guitar_url", "Guitar"),
    StemName("keys", "keyboardUrl", "keyboard_url", "Keyboard"),
    StemName("strings", "stringsUrl", "strings_url", "Strings"),
    StemName("brass", "brassUrl", "brass_url", "Brass"),
    StemName("woodwinds", "woodwindsUrl", "woodwinds_url", "Woodwinds"),
    StemName("percussion", "percussionUrl", "percussion_url", "Percussion"),
    StemName("synth", "synthUrl", "synth_url", "Synth"),
    # Theirs holds what is left besides effects, which ours named "fx" does not.
    StemName("other", "fxUrl", "fx_url", "FX/Other"),
)
ALL = (*TWELVE, INSTRUMENTAL)
SEPARATE_VOCAL, SPLIT_STEM = "separate_vocal", "split_stem"
MODES = (SEPARATE_VOCAL, SPLIT_STEM)
TARIFFS = {SEPARATE_VOCAL: "two_stem_separation", SPLIT_STEM: "full_split"}


def stems_of_mode(mode: str) -> tuple[str, ...]:
    """Our names of what a mode makes here."""
    return tuple(stem.ours for stem in TWO) if mode == SEPARATE_VOCAL else _split()


def _split() -> tuple[str, ...]:
    """As many of the twelve as there are models for; all of them where there are none."""
    available = {offer.name for offer in stem_offers() if offer.available}
    wanted = tuple(stem.ours for stem in TWELVE if stem.ours in available)
    if not wanted:
        return tuple(stem.ours for stem in TWELVE)
    try:
        separation_plan(stems=wanted, model=None)
    except IncompatibleStems:
        sets = [
            tuple(name for name in wanted if name in offer.stems)
            for offer in model_offers()
            if offer.available
        ]
        return max(sets, key=len)
    return wanted
