"""The mix of a job as somebody set it in the player, as one file: free, and for a day."""

import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from pathlib import Path, PurePath
from typing import Any, Final, Self
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from accounts.models import Workspace
from accounts.workspaces import workspace_lock
from config.errors import (
    LimitReached,
    NotFound,
    RecordingGone,
    ValidationFailed,
    WrongState,
    filled,
)
from jobs.heartbeat import Heartbeat
from jobs.listening import playing_assets
from jobs.models import Asset, AssetState, DerivedState, Job, Mix, OutputKind
from jobs.naming import job_title
from jobs.queue import wake_cleaning, wake_deriving
from jobs.selectors import job_get_for_workspace
from jobs.separating import asset_info, translated_errors
from jobs.storage import local_copy, sha256_of, storage_save
from jobs.stored_files import StoredFile, content_type_of
from separation import catalog
from separation.audio.formats import OutputFormat
from separation.audio.mix import FORMATS, Mixed, Voice, mix_format, write_mix
from separation.audio.stem_mp4 import STEMS, StemTrack, check_stem_mp4, write_stem_mp4
from separation.errors import UnsupportedFormat

GAIN_AT_MOST: Final = 4.0
LANES_AT_MOST: Final = 64
# Of a workspace, that are being made or wait.
_OPEN_AT_MOST: Final = 4
# Of a job; older ones go.
_KEPT_AT_MOST: Final = 10
_KEPT: Final = timedelta(days=1)
# The form of all stems in one file, which is nothing that could be set in a player.
_STEM_MP4: Final = "stem.mp4"
# As the pages show them on a light ground.
_COLORS: Final = {
    "drums": "#A84B08",
    "bass": "#5646C2",
    "other": "#0B7268",
    "vocals": "#B02A63",
}


@dataclass(frozen=True)
class MixLane:
    """One file of the job, as it is heard: mute and solo are in the gain."""

    asset_uuid: str
    gain: float
    pan: float


@dataclass(frozen=True)
class MixOrder:
    lanes: Sequence[MixLane]
    form: str
    master: float = 1.0
    # Samples; None: all.
    start: int | None = None
    end: int | None = None
    is_normalised: bool = False

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        lanes = [MixLane(**lane) for lane in values["lanes"]]
        return cls(**{**values, "lanes": lanes})


@transaction.atomic
def mix_create(*, workspace: Workspace, job_uuid: UUID, order: MixOrder) -> Mix:
    """Have a mix made; it can be asked for until it is ready."""
    job = job_get_for_workspace(workspace=workspace, job_uuid=job_uuid)
    assets = _assets(job, order)
    start, end = _range(job, order)
    form = _form(order, assets)
    # Locked, so that those that are ordered side by side are counted one after the other.
    workspace_lock(workspace)
    order = replace(order, start=start, end=end)
    return _create(job, order, ending=f" (mix).{form.extension}")


@transaction.atomic
def stem_mix_create(*, workspace: Workspace, job_uuid: UUID) -> Mix:
    """Have all stems of a job put into one file; the same as before, while that is kept."""
    job = job_get_for_workspace(workspace=workspace, job_uuid=job_uuid)
    stems = stem_mix_assets(job)
    if not stems:
        raise WrongState(_("Only drums, bass, other and vocals together make a file of stems."))
    workspace_lock(workspace)
    known = stem_mix_of(job)
    if known is not None and known.state != DerivedState.FAILED:
        return known
    lanes = [MixLane(str(stem.uuid), 1, 0) for stem in stems]
    order = MixOrder(lanes, _STEM_MP4, start=0, end=job.n_samples)
    return _create(job, order, ending=f".{_STEM_MP4}")


def stem_mix_assets(job: Job) -> list[Asset]:
    """The stems of a job, read with its outputs, that add up to its recording and are of the kinds
    that such a file holds; none if it did not make exactly these."""
    found = {one.stem: one for one in playing_assets(job) if one.kind == OutputKind.STEM}
    whole = {stem.name for stem in catalog.stems() if not stem.parent and not stem.is_derived}
    if found.keys() & whole != set(STEMS):
        return []
    stems = [found[name] for name in STEMS]
    try:
        check_stem_mp4(stems[0].sample_rate, [stem.channels for stem in stems])
    except UnsupportedFormat:
        return []
    return stems


def stem_mix_of(job: Job) -> Mix | None:
    """The latest one that is kept, however far it is."""
    kept = Mix.objects.filter(job=job, order__form=_STEM_MP4, expires_at__gt=Now())
    return kept.order_by("-pk").first()


def mix_get(*, workspace: Workspace, job_uuid: UUID, mix_uuid: UUID) -> Mix:
    mix = (
        Mix.objects.filter(workspace=workspace, uuid=mix_uuid)
        .filter(job__uuid=job_uuid, job__deleted_at=None)
        .filter(expires_at__gt=Now())
        .first()
    )
    if mix is None:
        raise NotFound(_("There is no such mix, or it is no longer kept."))
    return mix


def mix_file(mix: Mix) -> StoredFile:
    """To be sent; of a mix that is ready."""
    if not mix.is_ready:
        raise NotFound(_("The mix is not ready."))
    return StoredFile(
        key=mix.key,
        size_bytes=mix.size_bytes,
        version=mix.sha256,
        content_type=content_type_of(PurePath(mix.filename).suffix.removeprefix(".")),
        filename=mix.filename,
    )


def mix_make(mix: Mix, heartbeat: Heartbeat, folder: Path) -> dict[str, Any]:
    """Write the file and store it; returns the values of the row."""
    order = MixOrder.from_json(mix.order)
    kept = Asset.objects.filter(job=mix.job, state=AssetState.READY)
    assets = {str(asset.uuid): asset for asset in kept}
    if not all(lane.asset_uuid in assets for lane in order.lanes):
        raise RecordingGone
    chosen = [assets[lane.asset_uuid] for lane in order.lanes]
    output = folder / f"mix{PurePath(mix.filename).suffix}"
    with ExitStack() as files, translated_errors():
        paths = []
        for number, asset in enumerate(chosen):
            place = folder / str(number)
            place.mkdir()
            # What we made ourselves may be decoded in this process.
            paths.append(files.enter_context(local_copy(key=asset.storage_key, folder=place)))
            heartbeat.check()
        if order.form == _STEM_MP4:
            mixed = _write_stems(mix, chosen, paths, output, heartbeat)
        else:
            mixed = _write_mix(mix, order, chosen, paths, output, heartbeat)
    heartbeat.check()
    storage_save(key=mix.key, path=output)
    return {
        "size_bytes": output.stat().st_size,
        "sha256": sha256_of(output),
        "peak": mixed.peak,
        "clipped_samples": mixed.clipped_samples,
    }


def _write_mix(
    mix: Mix,
    order: MixOrder,
    assets: Sequence[Asset],
    paths: Sequence[Path],
    output: Path,
    heartbeat: Heartbeat,
) -> Mixed:
    lanes = zip(paths, order.lanes, strict=True)
    return write_mix(
        [Voice(path, lane.gain, lane.pan) for path, lane in lanes],
        output,
        form=_form(order, assets),
        start=order.start or 0,
        end=order.end or mix.n_samples,
        master=order.master,
        normalise=order.is_normalised,
        on_progress=heartbeat.report,
    )


def _write_stems(
    mix: Mix, assets: Sequence[Asset], paths: Sequence[Path], output: Path, heartbeat: Heartbeat
) -> Mixed:
    tracks = [
        StemTrack(path, catalog.stem(asset.stem).title, _COLORS[asset.stem])
        for path, asset in zip(paths, assets, strict=True)
    ]
    return write_stem_mp4(tracks, output, n_samples=mix.n_samples, on_progress=heartbeat.report)


def _create(job: Job, order: MixOrder, *, ending: str) -> Mix:
    """Of a workspace that is locked."""
    if _open(job.workspace).count() >= _OPEN_AT_MOST:
        raise LimitReached(_("There are mixes being made already; wait for one to be ready."))
    # So that it is not deleted, with all that was made of it, in between.
    if not Job.objects.select_for_update().filter(pk=job.pk, deleted_at=None).exists():
        raise NotFound(_("There is no such job."))
    _forget_old(job)
    title = job_title(job)[:180] or "recording"
    mix = Mix.objects.create(
        workspace=job.workspace,
        job=job,
        order=asdict(order),
        filename=f"{title}{ending}",
        n_samples=(order.end or 0) - (order.start or 0),
        expires_at=Now() + _KEPT,
    )
    wake_deriving()
    mix.refresh_from_db()
    return mix


def _assets(job: Job, order: MixOrder) -> list[Asset]:
    playable = {str(asset.uuid): asset for asset in playing_assets(job)}
    uuids = [lane.asset_uuid for lane in order.lanes]
    if not 1 <= len(uuids) <= LANES_AT_MOST or len(set(uuids)) < len(uuids):
        text = filled(_("Name 1 to %(most)s lanes, none of them twice."), most=LANES_AT_MOST)
        raise ValidationFailed(text, fields={"lanes": [text]})
    if not set(uuids) <= set(playable):
        text = _("Only what the job made can be mixed, as long as it is kept.")
        raise ValidationFailed(text, fields={"lanes": [text]})
    for lane in order.lanes:
        _check(lane.gain, 0, GAIN_AT_MOST, "gain")
        _check(lane.pan, -1, 1, "pan")
    _check(order.master, 0, GAIN_AT_MOST, "master")
    return [playable[uuid] for uuid in uuids]


def _check(value: float, least: float, most: float, name: str) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or not least <= value <= most:
        text = filled(
            _("%(name)s must be a number from %(least)s to %(most)s."),
            name=name,
            least=least,
            most=most,
        )
        raise ValidationFailed(text, fields={name: [text]})


def _range(job: Job, order: MixOrder) -> tuple[int, int]:
    start = 0 if order.start is None else order.start
    end = job.n_samples if order.end is None else order.end
    if not 0 <= start < end <= job.n_samples:
        text = _("The range must lie within the recording.")
        raise ValidationFailed(text, fields={"range": [text]})
    return start, end


def _form(order: MixOrder, assets: Sequence[Asset]) -> OutputFormat:
    if order.form not in FORMATS:
        text = filled(_("This must be one of: %(names)s."), names=", ".join(FORMATS))
        raise ValidationFailed(text, fields={"format": [text]})
    # The one with the most channels, and the most bits, says what fits.
    widest = max(assets, key=lambda asset: (asset.channels, asset.bits_per_sample or 32))
    with translated_errors():
        return mix_format(
            order.form, asset_info(widest), panned=any(lane.pan for lane in order.lanes)
        )


def _open(workspace: Workspace) -> QuerySet[Mix]:
    making = (DerivedState.QUEUED, DerivedState.RUNNING)
    return Mix.objects.filter(workspace=workspace, state__in=making, expires_at__gt=Now())


def _forget_old(job: Job) -> None:
    ended = Mix.objects.filter(job=job, state__in=(DerivedState.READY, DerivedState.FAILED))
    old = list(ended.order_by("-pk").values_list("pk", flat=True)[_KEPT_AT_MOST - 1 :])
    if old:
        Mix.objects.filter(pk__in=old).update(expires_at=Now())
        wake_cleaning()
