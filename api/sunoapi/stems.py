"""Their stems and ours: the one table."""

from dataclasses import dataclass

from api.stem_sets import stems_available
from jobs.catalog import set_stems


@dataclass(frozen=True)
class StemName:
    # In the catalogue.
    ours: str
    # In their answers: a field of record-info, one of callbacks, a title.
    field: str
    callback_field: str
    title: str
    # In the catalogue too: what is given where the parts of it cannot be told apart here.
    whole: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """Ours of what may be given, the better one first."""
        return (self.ours, self.whole) if self.whole else (self.ours,)


INSTRUMENTAL = StemName("instrumental", "instrumentalUrl", "instrumental_url", "Instrumental")
# Together they are the recording, none of it twice.
TWELVE = (
    StemName("lead_vocals", "vocalUrl", "vocal_url", "Vocals", "vocals"),
    StemName("backing_vocals", "backingVocalsUrl", "backing_vocals_url", "Backing Vocals"),
    StemName("drum_kit", "drumsUrl", "drums_url", "Drums", "drums"),
    StemName("bass", "bassUrl", "bass_url", "Bass"),
    StemName("guitar", "guitarUrl", "guitar_url", "Guitar"),
    StemName("keyboard", "keyboardUrl", "keyboard_url", "Keyboard"),
    StemName("strings", "stringsUrl", "strings_url", "Strings"),
    StemName("brass", "brassUrl", "brass_url", "Brass"),
    StemName("woodwinds", "woodwindsUrl", "woodwinds_url", "Woodwinds"),
    StemName("percussion", "percussionUrl", "percussion_url", "Percussion"),
    StemName("synth", "synthUrl", "synth_url", "Synth"),
    # Theirs holds what is left besides effects, and so does ours.
    StemName("fx", "fxUrl", "fx_url", "FX/Other", "other"),
)
ALL = (*TWELVE, INSTRUMENTAL)
# Of the other mode: all voices, and the rest.
TWO = (TWELVE[0], INSTRUMENTAL)
SEPARATE_VOCAL, SPLIT_STEM = "separate_vocal", "split_stem"
MODES = (SEPARATE_VOCAL, SPLIT_STEM)
TARIFFS = {SEPARATE_VOCAL: "two_stem_separation", SPLIT_STEM: "full_split"}


def stems_of_mode(mode: str) -> tuple[str, ...]:
    """Our names of what a mode makes here."""
    if mode == SEPARATE_VOCAL:
        return set_stems("two-stems")
    return stems_available(set_stems("full-split"))
