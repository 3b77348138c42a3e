"""What a player plays of a job: its lanes, all of one length, and how far their copies are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from accounts.models import Workspace
from config.errors import NotFound, WrongState
from jobs.deriving import derived_revive
from jobs.models import (
    Asset,
    AssetState,
    DerivedState,
    Job,
    JobState,
    JobTimeline,
    Listening,
    OutputKind,
    Service,
)
from jobs.queue import wake_deriving
from jobs.stored_files import StoredFile
from separation import catalog
from separation.audio.segments import LEVELS, SEGMENT_S
from separation.speakers import Timeline

_PLAYED: Final = (OutputKind.STEM, OutputKind.TRACK, OutputKind.RECORDING)
# Only who may have it may keep it; the address is of this content.
_FOR_EVER: Final = "private, max-age=31536000, immutable"
# Of these, no file is sound that could be played: what they found is heard in the recording.
_SILENT: Final = (Service.SPEAKER_DIARIZATION, Service.ANALYSIS, Service.TRANSCRIPTION)
# (start in seconds, end in seconds, confidence)
LaneTurn = tuple[float, float, float]


@dataclass(frozen=True)
class Lane:
    """One file beside others; `title` is a speaker's name where people gave one."""

    asset: Asset
    kind: OutputKind
    name: str
    range_start: int
    range_end: int
    title: str = ""
    is_original: bool = False
    turns: Sequence[LaneTurn] = ()
    listening: Listening | None = None

    @property
    def window(self) -> tuple[int, int, int]:
        return self.asset.pk, self.range_start, self.range_end


@dataclass(frozen=True)
class SpeakerTurns:
    """When somebody speaks in a recording of which no tracks were made."""

    label: str
    title: str
    turns: Sequence[LaneTurn]


@dataclass(frozen=True)
class PeakLevel:
    per_second: int
    offset: int
    count: int


@dataclass(frozen=True)
class Playing:
    """All that a player is told, but addresses and words."""

    state: str
    progress: float
    sample_rate: int
    n_samples: int
    lanes: Sequence[Lane] = ()
    original: Lane | None = None
    speakers: Sequence[SpeakerTurns] = ()
    segment_samples: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "segment_samples", SEGMENT_S * self.sample_rate)


def playing_of(job: Job) -> Playing:
    """What is to be played of a job, read with its outputs; what is missing is asked for."""
    if job.state != JobState.SUCCEEDED:
        raise WrongState(_("The job has not succeeded; there is nothing to play."))
    outputs: Sequence[Asset] = job.outputs  # type: ignore[attr-defined]
    lanes, original = _lanes(job, outputs)
    if not lanes:
        raise NotFound(_("No file of this job is kept any more."))
    wanted = [*lanes, *([original] if original else [])]
    found = {_window(row): row for row in _listenings(wanted)}
    if any(lane.window not in found or _is_stale(found[lane.window]) for lane in wanted):
        _ask_for(job.workspace, wanted)
        found = {_window(row): row for row in _listenings(wanted)}
    state, progress = _state([found.get(lane.window) for lane in wanted])
    return Playing(
        state=state,
        progress=progress,
        sample_rate=lanes[0].asset.sample_rate,
        n_samples=lanes[0].range_end - lanes[0].range_start,
        lanes=[_with(lane, found) for lane in lanes],
        original=_with(original, found) if original else None,
        speakers=_speakers(job) if lanes[0].is_original else (),
    )


def is_playable(job: Job) -> bool:
    """Whether a job, read with its outputs, has anything that `playing_of` would play."""
    outputs: Sequence[Asset] = job.outputs  # type: ignore[attr-defined]
    return job.state == JobState.SUCCEEDED and bool(_lanes(job, outputs)[0])


def playing_assets(job: Job) -> list[Asset]:
    """The files of a job, read with its outputs, that its lanes are made of."""
    outputs: Sequence[Asset] = job.outputs  # type: ignore[attr-defined]
    return list(_best(outputs).values())


def listenings_prepare(job: Job, outputs: Sequence[Asset]) -> None:
    """Have the copies of a job that succeeds in this very transaction made before anybody asks.

    Its recording cannot be deleted before the commit, since the job is at work until then.
    """
    lanes, original = _lanes(job, outputs)
    if lanes:
        _create(job.workspace, [*lanes, *([original] if original else [])])
        wake_deriving()


def listening_get(*, job: Job, listening_uuid: UUID) -> Listening:
    """One that is ready, of a lane of this job."""
    listening = (
        Listening.objects.select_related("asset")
        .filter(uuid=listening_uuid, state=DerivedState.READY)
        .filter(asset__state=AssetState.READY)
        .first()
    )
    if listening is None or job.pk != listening.asset.job_id and job.asset_id != listening.asset_id:
        raise NotFound(_("This file is no longer kept."))
    return listening


def listening_file(listening: Listening, part: str) -> StoredFile:
    """`audio` or `peaks`, to be sent; it never changes."""
    files = {
        "audio": (listening.audio_key, listening.offsets[-1]),
        "peaks": (listening.peaks_key, listening.peaks_bytes),
    }
    if part not in files:
        raise NotFound
    key, size_bytes = files[part]
    return StoredFile(
        key=key,
        size_bytes=size_bytes,
        version=f"{listening.uuid}.{listening.attempt}.{part}",
        cache_control=_FOR_EVER,
    )


def peak_levels(listening: Listening) -> list[PeakLevel]:
    levels, offset = [], 0
    for per_second, count in zip(LEVELS, listening.peak_counts, strict=True):
        levels.append(PeakLevel(per_second, offset, count))
        offset += 2 * count
    return levels


def _lanes(job: Job, outputs: Sequence[Asset]) -> tuple[list[Lane], Lane | None]:
    """What a job made, in the order in which it was asked for; and the recording beside it."""
    recording = job.recording
    start = job.range_start or 0
    original = Lane(
        recording,
        OutputKind.RECORDING,
        "original",
        start,
        start + job.n_samples,
        is_original=True,
    )
    best = _best(outputs)
    has_recording = recording.state == AssetState.READY
    if not best:
        # Speakers were found, or a tempo: what there is to be heard is the recording.
        made_sound = job.service not in _SILENT
        return ([] if made_sound or not has_recording else [original]), None
    has_tracks = any(kind == OutputKind.TRACK for kind, _ in best)
    speakers = {one.label: one for one in _speakers(job)} if has_tracks else {}
    lanes = [
        _lane(job, asset, speakers.get(asset.stem))
        for asset in sorted(best.values(), key=lambda asset: _place(job, asset))
    ]
    return lanes, original if has_recording else None


def _best(outputs: Sequence[Asset]) -> dict[tuple[str, str], Asset]:
    """One file of each stem or speaker: where there are several, one that lost nothing."""
    best: dict[tuple[str, str], Asset] = {}
    for asset in outputs:
        known = best.get((asset.kind, asset.stem))
        if asset.kind in _PLAYED and (known is None or (known.is_lossy and not asset.is_lossy)):
            best[asset.kind, asset.stem] = asset
    return best


def _place(job: Job, asset: Asset) -> tuple[int, int]:
    stems: Sequence[str] = job.stems or ()
    return (stems.index(asset.stem) if asset.stem in stems else len(stems), asset.pk or 0)


def _lane(job: Job, asset: Asset, speaker: SpeakerTurns | None) -> Lane:
    # Where pauses were closed, nothing lies where it lay in the recording.
    is_whole = asset.n_samples == job.n_samples
    return Lane(
        asset,
        OutputKind(asset.kind),
        asset.stem or "recording",
        0,
        # All lanes of a job are of one length; a shorter one ends with silence.
        job.n_samples,
        speaker.title if speaker else _stem_title(asset),
        turns=speaker.turns if speaker and is_whole else (),
    )


def _stem_title(asset: Asset) -> str:
    if asset.kind != OutputKind.STEM:
        return ""
    known = {stem.name: stem.title for stem in catalog.stems()}
    return known.get(asset.stem, asset.stem.replace("_", " ").capitalize())


def _speakers(job: Job) -> list[SpeakerTurns]:
    """In the order in which they first speak."""
    row = JobTimeline.objects.filter(job=job).first()
    if row is None:
        return []
    timeline = Timeline.from_json(row.turns)
    return [
        SpeakerTurns(
            label,
            row.names.get(label, ""),
            [(turn.start_s, turn.end_s, turn.confidence) for turn in timeline.of(label)],
        )
        for label in timeline.speakers
    ]


def _listenings(lanes: Sequence[Lane]) -> QuerySet[Listening]:
    return Listening.objects.filter(asset__in=[lane.asset for lane in lanes])


def _window(row: Listening) -> tuple[int, int, int]:
    return row.asset_id, row.range_start, row.range_end


def _is_stale(row: Listening) -> bool:
    """Whether it should be asked for once more."""
    if row.state == DerivedState.QUEUED:
        return not row.is_awaited
    return row.state == DerivedState.FAILED and not row.is_hopeless


@transaction.atomic
def _ask_for(workspace: Workspace, lanes: Sequence[Lane]) -> None:
    assets = {lane.asset.pk for lane in lanes}
    # Locked, so that none is deleted, and what was made of it forgotten, in between.
    kept = Asset.objects.filter(pk__in=assets, state=AssetState.READY).order_by("pk")
    locked = set(kept.select_for_update(no_key=True).values_list("pk", flat=True))
    _create(workspace, [lane for lane in lanes if lane.asset.pk in locked])
    rows = Listening.objects.filter(asset__in=locked)
    derived_revive(rows)
    rows.filter(state=DerivedState.QUEUED, is_awaited=False).update(is_awaited=True)
    wake_deriving()


def _create(workspace: Workspace, lanes: Sequence[Lane]) -> None:
    Listening.objects.bulk_create(
        [
            Listening(
                workspace=workspace,
                asset=lane.asset,
                range_start=lane.range_start,
                range_end=lane.range_end,
            )
            for lane in lanes
        ],
        ignore_conflicts=True,
    )


def _with(lane: Lane, found: Mapping[tuple[int, int, int], Listening]) -> Lane:
    return replace(lane, listening=found.get(lane.window))


def _state(rows: Sequence[Listening | None]) -> tuple[str, float]:
    """Of all together, in the words of the player's contract."""
    states = [row.state if row else DerivedState.QUEUED for row in rows]
    progress = sum(row.progress if row else 0.0 for row in rows) / len(rows)
    if all(state == DerivedState.READY for state in states):
        return "ready", 1.0
    return ("failed" if DerivedState.FAILED in states else "preparing"), progress
