"""What a job made and found, as its page shows it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.utils.translation import ngettext

from jobs.models import OF_SPEAKERS, Asset, Job, OutputKind, Service
from jobs.separating import format_name
from web.app.jobs_rows import stem_name

# Beside the track of the same speaker.
_CLIP: Final = _lazy("sample, %(format)s")
_FORMATS: Final = {
    "wav": "WAV",
    "wav16": "WAV 16",
    "wav24": "WAV 24",
    "wav32f": "WAV 32f",
    "flac": "FLAC",
    "flac16": "FLAC 16",
    "flac24": "FLAC 24",
    "mp3": "MP3",
    "midi": "MIDI",
}


@dataclass
class Result:
    """A stem, or all of one speaker, in each of its formats."""

    title: str
    stem: str
    # Where speakers stand among each other; -1 for stems, which have colours of their own.
    lane: int = -1
    files: list[tuple[str, Asset]] = field(default_factory=list)


def results_of(job: Job, titles: dict[str, str]) -> list[Result]:
    """Of a job read with its outputs; `titles` are the names of speakers by their labels."""
    lanes = {label: lane for lane, label in enumerate(titles)}
    found: dict[str, Result] = {}
    outputs: Sequence[Asset] = job.outputs  # type: ignore[attr-defined]
    for asset in outputs:
        title = _title(job, asset, titles)
        result = Result(title, asset.stem, lanes.get(asset.stem, -1))
        name = format_name(asset)
        text = _FORMATS.get(name, name.upper())
        if asset.kind == OutputKind.CLIP:
            text = _CLIP % {"format": text}
        found.setdefault(title, result).files.append((text, asset))
    return list(found.values())


def _title(job: Job, asset: Asset, titles: dict[str, str]) -> str:
    if job.service in OF_SPEAKERS:
        return titles.get(asset.stem, asset.stem)
    return stem_name(asset.stem).capitalize() if asset.stem else asset.filename


def findings_of(job: Job) -> list[tuple[str, str]]:
    """What was found that is no file, each with what it is."""
    if job.service == Service.ANALYSIS and job.result:
        tempo, key = job.result.get("tempo", {}), job.result.get("key", {})
        return [(_("Tempo"), _tempo(tempo)), (_("Key"), _key(key))]
    if job.service == Service.TRANSCRIPTION and job.result:
        return [(_("Notes"), _notes(job.result))]
    return []


def _tempo(tempo: dict[str, Any]) -> str:
    if tempo.get("bpm") is None:
        return _("No beat was heard.")
    words = _("%(bpm)s beats a minute") % {"bpm": f"{tempo['bpm']:.1f}"}
    low, high = tempo.get("min_bpm"), tempo.get("max_bpm")
    if low is not None and high is not None and high - low > 1:
        words += " " + _("(from %(low)s to %(high)s)") % {
            "low": f"{low:.1f}",
            "high": f"{high:.1f}",
        }
    return f"{words}, {_sure(tempo.get('confidence'))}"


def _key(key: dict[str, Any]) -> str:
    if key.get("tonic") is None:
        return _("No key was found.")
    scale = _("major") if key.get("scale") == "major" else _("minor")
    camelot = f" ({key['camelot']})" if key.get("camelot") else ""
    return f"{key['tonic']} {scale}{camelot}, {_sure(key.get('confidence'))}"


def _sure(confidence: float | None) -> str:
    return _("%(percent)s %% sure") % {"percent": round(100 * (confidence or 0))}


def _notes(result: dict[str, Any]) -> str:
    n = int(result.get("notes", 0))
    if n == 0:
        return _("No notes were heard.")
    words = ngettext("%(n)s note", "%(n)s notes", n) % {"n": f"{n:,}"}
    names = [str(one.get("name", "")) for one in result.get("instruments", [])]
    return f"{words}: {', '.join(names)}" if any(names) else words
