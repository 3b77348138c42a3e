"""What every page of the console looks up: of any workspace, for operators only."""

from uuid import UUID

from django.utils.translation import gettext_lazy as _

from accounts.models import Workspace
from config.errors import NotFound, ValidationFailed, filled
from jobs.models import Job
from web.paging import uuid_of

_MAX_REASON = 150
_MAX_REFERENCE = 40


def workspace_get(workspace_uuid: UUID) -> Workspace:
    workspace = Workspace.objects.filter(uuid=workspace_uuid).first()
    if workspace is None:
        raise NotFound(_("There is no such workspace."))
    return workspace


def id_of(text: str) -> UUID:
    """What was typed or sent as an id."""
    uuid = uuid_of(text.strip())
    if uuid is None:
        raise ValidationFailed(_("This is no id: it has 32 letters and digits, in five groups."))
    return uuid


def job_get(job_uuid: UUID) -> Job:
    """Also one that its owner deleted: what was charged for it may still be asked about."""
    jobs = Job.objects.select_related("workspace", "asset", "ingest", "api_key", "retry_of")
    job = jobs.filter(uuid=job_uuid).first()
    if job is None:
        raise NotFound(_("There is no such job."))
    return job


def reason_of(values: dict[str, str]) -> str:
    """Why, with the number of a ticket or the like; nothing is done by hand without it."""
    reason = values.get("reason", "").strip()
    reference = values.get("reference", "").strip()
    if not reason:
        raise ValidationFailed(_("Say why: the reason is kept."))
    if len(reason) > _MAX_REASON or len(reference) > _MAX_REFERENCE or "\x00" in reason + reference:
        raise ValidationFailed(
            filled(_("A reason has at most %(most)s characters."), most=_MAX_REASON)
        )
    return f"{reason} [{reference}]" if reference else reason
