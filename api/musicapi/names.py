"""Their stems and ours: the one table."""

from typing import Final

from api.stem_sets import stems_available

# Ours to what is shown of them. The last takes what the others leave, as theirs does.
TWELVE: Final = {
    "vocals": "Vocals",
    "backing_vocals": "Backing Vocals",
    "drums": "Drums",
    "bass": "Bass",
    "guitar": "Guitar",
    "keys": "Keyboard",
    "percussion": "Percussion",
    "strings": "Strings",
    "synth": "Synth",
    "brass": "Brass",
    "woodwinds": "Woodwinds",
    "other": "FX/Other",
}
BASIC: Final = {"vocals": "Vocals", "instrumental": "Instrumental"}
TITLES: Final = TWELVE | BASIC


def full_stems() -> tuple[str, ...]:
    return stems_available(tuple(TWELVE))
