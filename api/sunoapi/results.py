"""What came of a task, in the words of its record and of its callback."""

from collections.abc import Callable, Mapping
from typing import Any

from api.sunoapi.stems import ALL, SEPARATE_VOCAL, TWELVE, TWO, StemName
from jobs.models import Asset, AssetState, Job, OutputKind

# Ours is that of MIDI, theirs is between 0 and 1.
_VELOCITY_MAX = 127
Link = Callable[[Asset], str]


def separation_response(job: Job, link: Link) -> dict[str, Any]:
    """Of the record: null for stems that were not made, or are no longer kept."""
    made = _stems(job)
    return {
        "originUrl": _origin(job, link),
        **{stem.field: link(made[stem]) if stem in made else None for stem in ALL},
        "originData": [
            {
                "id": str(asset.uuid),
                "stem_type_group_name": stem.title,
                "audio_url": link(asset),
                "duration": round(asset.duration_s, 2),
            }
            for stem, asset in made.items()
        ],
    }


def separation_info(job: Job, link: Link) -> dict[str, Any]:
    """Of the callback: empty for what there is not."""
    made = _stems(job)
    is_split = job.dialect_data["type"] != SEPARATE_VOCAL
    # The recording itself comes with a split only.
    info = {"origin_url": (is_split and _origin(job, link)) or ""}
    for stem in TWELVE if is_split else TWO:
        info[stem.callback_field] = link(made[stem]) if stem in made else ""
    return info


def wav_url(job: Job, link: Link) -> str | None:
    asset = next((one for one in _outputs(job) if one.kind == OutputKind.RECORDING), None)
    return None if asset is None else link(asset)


def midi_data(job: Job, link: Link) -> dict[str, Any]:
    """The notes, and where the MIDI file is, which theirs does not give."""
    file = next((one for one in _outputs(job) if one.kind == OutputKind.NOTES), None)
    return {
        "state": "complete",
        "instruments": [_instrument(one) for one in job.result.get("instruments", ())],
        "midiUrl": None if file is None else link(file),
    }


def _instrument(instrument: Mapping[str, Any]) -> dict[str, Any]:
    notes = [
        {
            "pitch": note["pitch"],
            "start": note["start"],
            "end": note["end"],
            "velocity": round(note["velocity"] / _VELOCITY_MAX, 4),
        }
        for note in instrument["notes"]
    ]
    return {"name": instrument["name"], "notes": notes}


def _stems(job: Job) -> dict[StemName, Asset]:
    outputs = {asset.stem: asset for asset in _outputs(job) if asset.kind == OutputKind.STEM}
    names = {stem: next((name for name in stem.names if name in outputs), None) for stem in ALL}
    return {stem: outputs[name] for stem, name in names.items() if name is not None}


def _outputs(job: Job) -> list[Asset]:
    outputs: list[Asset] = job.outputs  # type: ignore[attr-defined]
    return outputs


def _origin(job: Job, link: Link) -> str | None:
    asset = job.recording
    return link(asset) if asset.state == AssetState.READY else None
