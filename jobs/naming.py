"""What jobs are called: as people named them, or else as their recordings."""

import unicodedata
from collections.abc import Iterable
from pathlib import PurePath, PurePosixPath
from typing import Final
from urllib.parse import unquote, urlsplit
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from accounts.models import Workspace
from config.errors import NotFound, ValidationFailed, filled
from jobs.models import Asset, AssetState, Job
from jobs.selectors import job_get_for_workspace

NAME_CHARS_MAX: Final = 255
# What of a title is in names of files, which have room for 255 characters; those of speakers have
# longer ends.
_TITLE_CHARS: Final = (180, 150)


def job_name(job: Job) -> str:
    """Empty where nobody knows: the name of a recording goes with it."""
    if job.name:
        return job.name
    if job.asset is not None:
        return job.asset.filename
    if job.ingest is not None:
        path = PurePosixPath(unquote(urlsplit(job.ingest.url).path))
        return job.ingest.filename or path.name or urlsplit(job.ingest.url).netloc
    return ""


def job_title(job: Job) -> str:
    """The same without the ending of a file, to name files by."""
    recording = PurePath(job.asset.filename if job.asset is not None else "")
    title = job.name.removesuffix(recording.suffix) if job.name else recording.stem
    # Slashes divide folders.
    return title.replace("/", "_").replace("\\", "_").strip()


@transaction.atomic
def job_rename(*, workspace: Workspace, job_uuid: UUID, name: str) -> Job:
    """Call a job otherwise, and the files that it made; without a name, as its recording again."""
    job = job_get_for_workspace(workspace=workspace, job_uuid=job_uuid)
    name = name_clean(name, most=NAME_CHARS_MAX, field="name")
    if job.asset is not None and name == job.asset.filename:
        name = ""
    # Locked: what it makes may appear in this very moment (jobs/leases.py).
    row = Job.objects.select_for_update(no_key=True).filter(pk=job.pk, deleted_at=None).first()
    if row is None:
        raise NotFound(_("There is no such job."))
    job.name = row.name
    files = Asset.objects.filter(job=job, state=AssetState.READY)
    outputs = list(files.select_for_update(no_key=True).order_by("pk"))
    outputs_retitle(job, outputs, name=name)
    Asset.objects.bulk_update(outputs, ["filename"])
    Job.objects.filter(pk=job.pk).update(name=name)
    return job_get_for_workspace(workspace=workspace, job_uuid=job_uuid)


def outputs_retitle(job: Job, outputs: Iterable[Asset], *, name: str) -> None:
    """Give a job its new name, and files that were named after the old one theirs."""
    old = job_title(job)
    job.name = name
    new = job_title(job)
    for asset in outputs:
        asset.filename = filename_retitled(asset.filename, old=old, new=new)


def filename_retitled(filename: str, *, old: str, new: str) -> str:
    starts = [old[:chars] for chars in _TITLE_CHARS if old and filename.startswith(old[:chars])]
    if starts:
        end = filename.removeprefix(starts[0])
    else:
        # The name of the recording is not kept any more; "(vocals).wav" or so is all that is known.
        at = filename.rfind(" (")
        end = filename[at:] if at >= 0 else PurePath(filename).suffix
    return new[: _TITLE_CHARS[-1]] + end


def name_clean(name: str, *, most: int, field: str) -> str:
    """The name in one way of writing it; spaces of any kind are single ones."""
    name = " ".join(unicodedata.normalize("NFC", name).split())
    if len(name) > most or not name.isprintable():
        problem = filled(_("A name is at most %(most)s characters that can be shown."), most=most)
        raise ValidationFailed(fields={field: [problem]})
    return name
