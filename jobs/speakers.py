"""Who speaks when in a job's recording: reading it, naming the speakers, making several one."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from accounts.models import ApiKey, User, Workspace
from config.errors import (
    LimitReached,
    NotFound,
    RecordingGone,
    Text,
    ValidationFailed,
    WrongState,
    filled,
)
from jobs.filenames import speaker_filename_retitled
from jobs.models import (
    OF_SPEAKERS,
    Asset,
    AssetState,
    Job,
    JobState,
    JobTimeline,
    OutputKind,
    Service,
)
from jobs.naming import name_clean
from jobs.ordering import job_once, job_queue
from jobs.selectors import job_get_for_workspace
from jobs.separating import translated_errors
from jobs.speaker_options import SpeakerOptions
from separation.speakers import Timeline
from separation.speakers.edits import MAX_NAME_CHARACTERS

# Of the turns of one paid job: each costs us as much as the tracks of a new one.
MERGES_PER_JOB = 20


@dataclass(frozen=True)
class Speakers:
    """What is known of a job's speakers; `titles` says how each label is to be shown."""

    job: Job
    row: JobTimeline

    @property
    def timeline(self) -> Timeline:
        return Timeline.from_json(self.row.turns)

    @property
    def titles(self) -> dict[str, str]:
        return {label: self.row.names.get(label, label) for label in self.timeline.speakers}

    def output(self, label: str, kind: OutputKind) -> Asset | None:
        """A speaker's track or clip, if it is still kept; of a job read with its outputs."""
        outputs: Sequence[Asset] = self.job.outputs  # type: ignore[attr-defined]
        return next((one for one in outputs if (one.stem, one.kind) == (label, kind)), None)


def speakers_get_for_workspace(*, workspace: Workspace, job_uuid: UUID) -> Speakers:
    """The speakers of a job that succeeded."""
    job = job_get_for_workspace(workspace=workspace, job_uuid=job_uuid)
    if job.service not in OF_SPEAKERS:
        raise WrongState(_("This job looked for no speakers."))
    if job.state != JobState.SUCCEEDED:
        raise WrongState(_("The job has not succeeded; its speakers are not known."))
    row = JobTimeline.objects.filter(job=job).first()
    if row is None:
        # The job was deleted in this very moment.
        raise NotFound(_("There is no such job."))
    return Speakers(job, row)


def speakers_get_for_download(*, job_uuid: str) -> Speakers:
    """For holders of a signed link, who need no key."""
    row = (
        JobTimeline.objects.select_related("job__asset")
        .filter(job__uuid=job_uuid)
        .filter(job__state=JobState.SUCCEEDED)
        .filter(job__deleted_at=None)
        .first()
    )
    if row is None:
        raise NotFound(_("This file is no longer kept."))
    return Speakers(row.job, row)


@transaction.atomic
def speakers_rename(*, workspace: Workspace, job_uuid: UUID, names: Mapping[str, str]) -> Speakers:
    """Name some speakers; an empty name is the label again. Others keep theirs."""
    speakers = speakers_get_for_workspace(workspace=workspace, job_uuid=job_uuid)
    # Two calls at the same time must see each other's names, or both could give the same one.
    row = JobTimeline.objects.select_for_update().filter(pk=speakers.row.pk).first()
    if row is None:
        raise NotFound(_("There is no such job."))
    before = Speakers(speakers.job, row).titles
    _check_labels(names, known=before)
    given = {
        label: name_clean(name, most=MAX_NAME_CHARACTERS, field=f"names.{label}")
        for label, name in names.items()
    }
    titles = {**before, **{label: name or label for label, name in given.items()}}
    _check_unique(titles, changed=given)
    row.names = {label: title for label, title in titles.items() if title != label}
    row.save(update_fields=["names"])
    _files_rename(speakers.job, before, titles)
    return speakers_get_for_workspace(workspace=workspace, job_uuid=job_uuid)


def speakers_merge(
    *,
    workspace: Workspace,
    api_key: ApiKey | None,
    job_uuid: UUID,
    groups: Sequence[Sequence[str]],
    person: User | None = None,
    idempotency_key: str | None = None,
) -> Job:
    """Order a job that makes each group of speakers one, of turns that are known: for free."""
    order = json.dumps({"merge_of": str(job_uuid), "groups": groups})
    order_sha256 = hashlib.sha256(order.encode()).hexdigest()

    @transaction.atomic
    def make() -> Job:
        speakers = speakers_get_for_workspace(workspace=workspace, job_uuid=job_uuid)
        with translated_errors():
            merged = speakers.timeline.merged(groups)
        paid, n_left = _paid_job_locked(speakers.job)
        _check_recording(speakers.job)
        job = job_queue(
            workspace=workspace,
            api_key=api_key,
            person=person,
            asset=speakers.job.recording,
            price_mcr=0,
            source_job=paid,
            idempotency_key=idempotency_key,
            order_sha256=order_sha256,
            **_like(speakers.job),
        )
        if n_left < 1:
            # Not before the job stands: the same call beside this one may have taken the last
            # place, which only the key of the row tells.
            raise LimitReached(
                filled(
                    _("Speakers of one paid job can be merged %(n)s times; order it anew."),
                    n=MERGES_PER_JOB,
                )
            )
        names = _names_merged(speakers.row.names, groups, merged.speakers)
        JobTimeline.objects.create(job=job, turns=merged.to_json(), names=names)
        return job_get_for_workspace(workspace=workspace, job_uuid=job.uuid)

    if not groups:
        raise ValidationFailed(fields={"groups": [_("Name at least one group.")]})
    return job_once(
        workspace=workspace,
        order_sha256=order_sha256,
        idempotency_key=idempotency_key,
        make=make,
    )


def merges_left(job: Job) -> int:
    """How many more jobs may be made of these turns."""
    # What failed did nobody any good.
    made = Job.objects.filter(source_job=job.source_job_id or job.pk)
    return max(0, MERGES_PER_JOB - made.exclude(state=JobState.FAILED).count())


def _check_recording(job: Job) -> None:
    # Locked until the merge stands, and read anew: it may be deleted in this very moment.
    asset = Asset.objects.select_for_update(no_key=True).get(pk=job.recording.pk)
    if asset.state != AssetState.READY:
        raise RecordingGone


def _paid_job_locked(job: Job) -> tuple[Job, int]:
    """The job that paid for these turns, and how many more merges of them there may be."""
    # The lock keeps two calls from taking the last place.
    paid = Job.objects.select_for_update(no_key=True).get(pk=job.source_job_id or job.pk)
    return paid, merges_left(paid)


def _like(job: Job) -> dict[str, Any]:
    """What a job of the same turns has in common with another: the service, above all.

    Turns that were found without tracks do not become tracks for free.
    """
    options = SpeakerOptions.from_json(job.options).without_counts()
    return {
        "name": job.name,
        "service": Service(job.service),
        "stems": [],
        "model": job.model,
        "samples": _samples(job),
        "steps": job.steps,
        "output_format": job.output_format,
        "more_formats": job.more_formats,
        "options": options.to_json(),
    }


def _samples(job: Job) -> tuple[int, int] | None:
    if job.range_start is None or job.range_end is None:
        return None
    return job.range_start, job.range_end


def _names_merged(
    names: Mapping[str, str], groups: Sequence[Sequence[str]], labels: Sequence[str]
) -> dict[str, str]:
    """The names that go on: of a group, its first member's, or else the first that one has."""
    kept = {label: names[label] for label in labels if label in names}
    for group in groups:
        found = [names[label] for label in group if label in names]
        if found:
            kept[group[0]] = found[0]
    return kept


def _check_labels(names: Mapping[str, str], *, known: Mapping[str, str]) -> None:
    unknown = {f"names.{label}": [_("There is no such speaker.")] for label in names.keys() - known}
    if unknown:
        raise ValidationFailed(fields=unknown)


def _check_unique(titles: Mapping[str, str], *, changed: Mapping[str, str]) -> None:
    """Nobody may be called like another, nor like another's label, which would be no less odd."""
    problems: dict[str, list[Text]] = {}
    for label in changed:
        others = {text.casefold() for pair in titles.items() if pair[0] != label for text in pair}
        if titles[label].casefold() in others:
            problems[f"names.{label}"] = [_("Another speaker is called so.")]
    if problems:
        raise ValidationFailed(fields=problems)


def _files_rename(job: Job, before: Mapping[str, str], titles: Mapping[str, str]) -> None:
    changed = [label for label in titles if titles[label] != before[label]]
    files = Asset.objects.filter(job=job, state=AssetState.READY, stem__in=changed)
    for asset in files.select_for_update(no_key=True).order_by("pk"):
        asset.filename = speaker_filename_retitled(
            asset.filename, old=before[asset.stem], new=titles[asset.stem], kind=asset.kind
        )
        asset.save(update_fields=["filename"])
