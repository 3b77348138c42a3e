"""What people order by one choice, of what can be made here and now."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from accounts.models import Workspace
from jobs.catalog import (
    StemOffer,
    service_offers,
    set_stems,
    stem_offers,
    stems_possible,
    step_offers,
)
from jobs.models import Service

_FOUR = ("vocals", "drums", "bass", "other")
_TWO = ("vocals", "instrumental")
_KIT = ("kick", "snare", "toms", "hihat", "ride", "crash", "percussion")
# The set of the catalogue that most of a studio's work begins with.
_TWELVE = "full-split"


@dataclass(frozen=True)
class Preset:
    """An order but for its recording; options of the order may change it."""

    code: str
    title: str | Promise
    description: str | Promise
    icon: str
    service: str
    stems: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    # Seldom wanted: shown behind a disclosure.
    is_minor: bool = False


def presets(*, workspace: Workspace | None = None) -> list[Preset]:
    """Those that can be ordered here and now; the first is the one that most people want."""
    stems = [stem for stem in stem_offers() if stem.available]
    able = {offer.name for offer in service_offers(workspace=workspace) if offer.available}
    found = [*_of_stems(stems), *_of_speech(), *_OF_MUSIC, *_MINOR]
    offered = [preset for preset in found if preset.service in able]
    return sorted(offered, key=lambda preset: preset.is_minor)


def _of_stems(stems: Sequence[StemOffer]) -> list[Preset]:
    names = {stem.name for stem in stems}
    found = []
    if names.issuperset(_FOUR):
        found.append(
            Preset(
                "stems-4",
                _("4 stems"),
                _("Vocals, drums, bass and the rest"),
                "layers",
                Service.SEPARATION,
                _FOUR,
            )
        )
    if names.issuperset(_TWO):
        found.append(
            Preset(
                "vocals",
                _("Vocals and instrumental"),
                _("For karaoke, remixes and transcripts"),
                "mic",
                Service.SEPARATION,
                _TWO,
            )
        )
    twelve = set_stems(_TWELVE)
    if names.issuperset(twelve):
        found.append(
            Preset(
                "stems-12",
                _("12 stems"),
                _("Lead and backing voices, each kind of instrument"),
                "sliders-horizontal",
                Service.SEPARATION,
                twelve,
            )
        )
    if names.issuperset(_KIT):
        found.append(
            Preset(
                "drum-kit",
                _("Drum kit"),
                _("Kick, snare, toms and each cymbal"),
                "split",
                Service.SEPARATION,
                _KIT,
            )
        )
    every = _most(stems)
    if len(every) > len(_FOUR):
        description = ngettext_lazy(
            "%(count)d file, with backing tracks",
            "%(count)d files, with backing tracks",
            len(every),
        ) % {"count": len(every)}
        found.append(
            Preset(
                "stems-all",
                _("Every stem"),
                description,
                "audio-lines",
                Service.SEPARATION,
                tuple(every),
                is_minor=len(every) > len(twelve),
            )
        )
    return found


def _most(stems: Sequence[StemOffer]) -> list[str]:
    """As many as one order can make: it has one model that takes the recording apart."""
    names = [stem.name for stem in stems]
    return [name for name in stems_possible(names) if name in names] if names else []


def _of_speech() -> list[Preset]:
    steps = tuple(step.name for step in step_offers() if step.available)
    speakers = Preset(
        "speakers",
        _("Speakers"),
        _("A track for each voice"),
        "users",
        Service.SPEAKER_EXTRACTION,
    )
    speech = Preset(
        "speech",
        _("Clean up speech"),
        _("Noise goes, voices stay"),
        "headphones",
        Service.ENHANCEMENT,
        steps=steps,
    )
    return [speakers, speech] if steps else [speakers]


_OF_MUSIC = (
    Preset(
        "tempo-key",
        _("Tempo and key"),
        _("Beats a minute, bars and the key"),
        "gauge",
        Service.ANALYSIS,
    ),
    Preset("notes", _("Notes"), _("A MIDI file of what is played"), "music", Service.TRANSCRIPTION),
)
_MINOR = (
    Preset(
        "turns",
        _("Who speaks when"),
        _("The turns of each speaker, without tracks"),
        "clock",
        Service.SPEAKER_DIARIZATION,
        is_minor=True,
    ),
    Preset(
        "conversion",
        _("Other format"),
        _("The recording, or a part of it, as another kind of file"),
        "file-audio",
        Service.CONVERSION,
        is_minor=True,
    ),
)
