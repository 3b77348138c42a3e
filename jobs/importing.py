"""Recordings that are fetched from an address, as their owners see them."""

from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from accounts.models import ApiKey, Workspace
from accounts.workspaces import workspace_lock
from config.errors import LimitReached, NotFound, WrongState
from jobs.arrivals import jobs_give_up
from jobs.filenames import plain_filename
from jobs.logs import request_id
from jobs.models import INGEST_ENDED, Ingest, IngestKind, IngestState
from jobs.outbound import outbound_check
from jobs.queue import wake_cleaning, wake_imports


@transaction.atomic
def import_create(
    *, workspace: Workspace, api_key: ApiKey | None, url: str, filename: str = ""
) -> Ingest:
    """Have a worker fetch a recording. An address that can never be used is refused at once."""
    outbound_check(url)
    # Locked, so that imports that are ordered side by side are counted one after the other.
    workspace_lock(workspace)
    if import_list(workspace=workspace).exclude(state__in=INGEST_ENDED).count() >= (
        settings.IMPORTS_OPEN
    ):
        raise LimitReached(
            _("There are too many open imports; wait for some to end."),
            data={"max_imports": settings.IMPORTS_OPEN},
        )
    ingest = Ingest.objects.create(
        workspace=workspace,
        api_key=api_key,
        kind=IngestKind.URL,
        state=IngestState.WAITING,
        url=url,
        filename=plain_filename(filename),
        request_id=request_id(),
        # It waits for no client; this only fills the column.
        expires_at=Now() + timedelta(hours=settings.UPLOAD_HOURS),
    )
    wake_imports()
    ingest.refresh_from_db()
    return ingest


def import_list(*, workspace: Workspace) -> QuerySet[Ingest]:
    return (
        Ingest.objects.filter(workspace=workspace)
        .filter(kind=IngestKind.URL)
        .select_related("asset")
        .order_by("-pk")
    )


def import_get_for_workspace(*, workspace: Workspace, import_uuid: UUID) -> Ingest:
    ingest = import_list(workspace=workspace).filter(uuid=import_uuid).first()
    if ingest is None:
        raise NotFound(_("There is no such import."))
    return ingest


@transaction.atomic
def import_cancel(*, workspace: Workspace, import_uuid: UUID) -> None:
    """End an import, also one that a worker is at: it will notice. Twice is as good as once."""
    ingest = import_get_for_workspace(workspace=workspace, import_uuid=import_uuid)
    ended = Ingest.objects.filter(
        pk=ingest.pk, state__in=[IngestState.WAITING, IngestState.RUNNING]
    ).update(state=IngestState.CANCELLED, lease_until=None, finished_at=Now())
    if ended:
        jobs_give_up(ingest, code="import_cancelled", message="The import was cancelled.")
        wake_cleaning()
    elif not Ingest.objects.filter(pk=ingest.pk, state=IngestState.CANCELLED).exists():
        raise WrongState(_("The import has ended already."))
