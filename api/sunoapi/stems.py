"""Their stems and ours: the one table."""

from dataclasses import dataclass

from api.stem_sets import stems_available


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
    if mode == SEPARATE_VOCAL:
        return tuple(stem.ours for stem in TWO)
    return stems_available([stem.ours for stem in TWELVE])
