"""What services, and what other APIs sell as such, are called on pages."""

from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

_NAMES: Final[dict[str, str | Promise]] = {
    "separation": _("Separation into stems"),
    "speaker_extraction": _("Speaker extraction"),
    "speaker_diarization": _("Who speaks when"),
    "enhancement": _("Enhancement"),
    "analysis": _("Tempo and key"),
    "transcription": _("Notes as MIDI"),
    "conversion": _("Conversion"),
    # Priced apart, since the APIs that are understood here sell them so.
    "stem_extraction": _("Stems, by stem and second"),
    "separation_by_mode": _("Separation by mode"),
    "speech_denoising": _("Speech without noise"),
    "two_stem_separation": _("Two stems of a clip"),
    "full_split": _("All stems of a clip"),
    "vocal_range_extraction": _("Vocals of a part of a clip"),
    "two_stem_set": _("Set of two stems"),
    "all_stem_set": _("Set of all stems"),
    "tempo_of_clip": _("Tempo of a clip"),
    "notes_of_clip": _("Notes of a clip"),
    "wav_of_clip": _("WAV of a clip"),
}


def service_name(service: str) -> str:
    """A service that a plug-in or an operator added is called as it is written."""
    return str(_NAMES.get(service) or service.replace("_", " ").capitalize())
