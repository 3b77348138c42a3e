"""Their stems and ours: the one table."""

from typing import Final

from api.stem_sets import stems_available
from jobs.catalog import set_stems

# Ours to what is shown of them. The last takes what the others leave, as theirs does.
TWELVE: Final = {
    "lead_vocals": "Vocals",
    "backing_vocals": "Backing Vocals",
    "drum_kit": "Drums",
    "bass": "Bass",
    "guitar": "Guitar",
    "keyboard": "Keyboard",
    "percussion": "Percussion",
    "strings": "Strings",
    "synth": "Synth",
    "brass": "Brass",
    "woodwinds": "Woodwinds",
    "fx": "FX/Other",
}
# Where the parts of a stem cannot be told apart here.
_WHOLE: Final = {"vocals": "Vocals", "drums": "Drums", "other": "FX/Other"}
BASIC: Final = {"vocals": "Vocals", "instrumental": "Instrumental"}
TITLES: Final = TWELVE | _WHOLE | BASIC


def full_stems() -> tuple[str, ...]:
    """As many of the twelve as can be made here; they add up to the song."""
    return stems_available(set_stems("full-split"))
