"""The words of this API and ours: stems, steps and kinds of conversion. Nothing else maps them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from jobs.catalog import set_stems
from jobs.models import Service

STEMS: Final[Mapping[str, str]] = {
    "vocals": "vocals",
    "male_vocal": "male_vocals",
    "female_vocal": "female_vocals",
    "lead_vocal": "lead_vocals",
    "back_vocal": "backing_vocals",
    "guitar": "guitar",
    "acoustic_guitar": "acoustic_guitar",
    "electric_guitar": "electric_guitar",
    "rhythm_guitar": "rhythm_guitar",
    "solo_guitar": "lead_guitar",
    "drums": "drums",
    "kick_drum": "kick",
    "snare_drum": "snare",
    "toms": "toms",
    "hi_hat": "hihat",
    "ride": "ride",
    "crash": "crash",
    "piano": "piano",
    "keys": "keys",
    "strings": "strings",
    "winds": "winds",
    "bass": "bass",
    "instrumental": "instrumental",
}
STEMS_BY_OURS: Final = {ours: theirs for theirs, ours in STEMS.items()}
# What is made where no stems are named.
FULL_BAND: Final = set_stems("full-band")

STEPS: Final[Mapping[str, str]] = {
    "Denoise": "denoise",
    "Deecho": "deecho",
    "Dereverb": "dereverb",
}

# "flac" and "wav" of `file_convert`, by the bits that are asked for.
FORMATS: Final[Mapping[tuple[str, int], str]] = {
    ("wav", 16): "wav16",
    ("wav", 24): "wav24",
    ("wav", 32): "wav32f",
    ("flac", 16): "flac16",
    ("flac", 24): "flac24",
}


@dataclass(frozen=True)
class Kind:
    """A kind of conversion: as `byId` names it, as messages do, and what it is here."""

    type: str
    title: str
    service: Service
    # The name of its price; that of the service without one.
    tariff: str = ""


EXTRACTION: Final = Kind("EXTRACTION", "Extraction", Service.SEPARATION, "stem_extraction")
DENOISING: Final = Kind("DENOISING", "Denoise", Service.ENHANCEMENT)
DEECHO: Final = Kind("DEECHO", "Deecho", Service.ENHANCEMENT)
DEREVERB: Final = Kind("DEREVERB", "Dereverb", Service.ENHANCEMENT)
KEY_BPM: Final = Kind("KEY_BPM_EXTRACTION", "Key BPM Extraction", Service.ANALYSIS)
AUDIO_TO_MIDI: Final = Kind("AUDIO_TO_MIDI", "Audio To Midi", Service.TRANSCRIPTION)
FILE_CONVERT: Final = Kind("FILE_CONVERT", "File Conversion", Service.CONVERSION)
AUDIO_CUTTER: Final = Kind("AUDIO_CUTTER", "Audio Cutter", Service.CONVERSION)

KINDS: Final = {
    kind.type: kind
    for kind in (
        *(EXTRACTION, DENOISING, DEECHO, DEREVERB),
        *(KEY_BPM, AUDIO_TO_MIDI, FILE_CONVERT, AUDIO_CUTTER),
    )
}
# Known to the other service, and not made here.
OTHER_TYPES: Final = (
    *("MUSIC_AI", "TEXT_TO_SPEECH", "VOICE_CONVERSION", "COVER", "STEMS_SEPARATION"),
    *("VOCAL_EXTRACTION", "SOUND_GENERATOR", "AUDIO_TRANSCRIPTION", "AUDIO_SPEED_CHANGER"),
    *("AUDIO_MASTERING", "REMIX", "EXTEND", "INPAINT", "SING_OVER_INSTRUMENTAL"),
    "LYRICS_GENERATOR",
)
# As clients spell some of them.
_ALIASES: Final = {
    "DENOISE": "DENOISING",
    "DEVERB": "DEREVERB",
    "EXTRACT_KEY_BPM": "KEY_BPM_EXTRACTION",
    "FILE_CONVERSION": "FILE_CONVERT",
    "VOICE_CHANGER": "VOICE_CONVERSION",
}


def type_of(text: str) -> str | None:
    """The kind of conversion that is meant, in any case and under any alias; None: unknown."""
    plain = text.strip().upper().replace("-", "_").replace(" ", "_")
    name = _ALIASES.get(plain, plain)
    return name if name in KINDS or name in OTHER_TYPES else None
