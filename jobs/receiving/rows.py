"""The rows of uploads: announcing, finding and cancelling them."""

from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import BooleanField, ExpressionWrapper, Q, QuerySet, Sum
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from accounts.models import ApiKey, Workspace
from accounts.workspaces import workspace_lock
from config.errors import (
    EmptyFile,
    LimitReached,
    NotFound,
    TooLarge,
    UploadGone,
    WrongState,
    filled,
)
from jobs.filenames import plain_filename
from jobs.logs import request_id
from jobs.models import Ingest, IngestKind, IngestState

_KINDS = (IngestKind.TUS, IngestKind.MULTIPART)


@transaction.atomic
def upload_create(
    *,
    workspace: Workspace,
    api_key: ApiKey | None,
    kind: IngestKind,
    filename: str,
    size_bytes: int,
) -> Ingest:
    """Announce a recording; its bytes follow until `expires_at`."""
    if size_bytes == 0:
        raise EmptyFile
    if size_bytes > settings.UPLOAD_MAX_BYTES:
        raise TooLarge(
            filled(_("The file is larger than %(most)s bytes."), most=settings.UPLOAD_MAX_BYTES),
            data={"max_bytes": settings.UPLOAD_MAX_BYTES},
        )
    # Locked, so that uploads that are announced side by side are counted one after the other.
    workspace_lock(workspace)
    _refuse_above_limits(workspace, size_bytes)
    ingest = Ingest.objects.create(
        workspace=workspace,
        api_key=api_key,
        kind=kind,
        state=IngestState.RECEIVING,
        filename=plain_filename(filename) or "recording",
        size_bytes=size_bytes,
        request_id=request_id(),
        expires_at=Now() + timedelta(hours=settings.UPLOAD_HOURS),
    )
    ingest.refresh_from_db()
    return ingest


def upload_list(*, workspace: Workspace) -> QuerySet[Ingest]:
    return (
        Ingest.objects.filter(workspace=workspace)
        .filter(kind__in=_KINDS)
        .select_related("asset")
        .order_by("-pk")
    )


def upload_get_for_workspace(*, workspace: Workspace, upload_uuid: UUID) -> Ingest:
    return _found(upload_list(workspace=workspace).filter(uuid=upload_uuid))


def upload_get_alive(*, workspace: Workspace, upload_uuid: UUID) -> Ingest:
    """An upload that was neither cancelled nor expires: it takes bytes, or has them all."""
    uploads = upload_list(workspace=workspace).filter(uuid=upload_uuid)
    return _alive(uploads)


def upload_get_receiving(*, upload_uuid: UUID, workspace: Workspace | None = None) -> Ingest:
    """An upload that takes bytes. Holders of a signed link need no workspace."""
    uploads = Ingest.objects.filter(uuid=upload_uuid, kind__in=_KINDS)
    if workspace is not None:
        uploads = uploads.filter(workspace=workspace)
    upload = _alive(uploads)
    if upload.state != IngestState.RECEIVING:
        raise WrongState(_("The upload is complete."))
    return upload


@transaction.atomic
def upload_cancel(*, workspace: Workspace, upload_uuid: UUID) -> None:
    """Give an upload up, also one that a worker is at: it will notice. What came is thrown away."""
    upload = upload_get_for_workspace(workspace=workspace, upload_uuid=upload_uuid)
    cancelled = Ingest.objects.filter(
        pk=upload.pk,
        state__in=[IngestState.RECEIVING, IngestState.WAITING, IngestState.RUNNING],
    ).update(state=IngestState.CANCELLED, lease_until=None, finished_at=Now())
    if not cancelled:
        upload.refresh_from_db()
        if upload.state == IngestState.CANCELLED:
            raise UploadGone
        raise WrongState(_("The upload has ended already; delete the asset that was made of it."))


def receiving(upload: Ingest) -> QuerySet[Ingest]:
    """The row, if it takes bytes at this moment."""
    return Ingest.objects.filter(pk=upload.pk, state=IngestState.RECEIVING, expires_at__gt=Now())


def _refuse_above_limits(workspace: Workspace, size_bytes: int) -> None:
    # One that has expired takes nothing more, whether or not that has been noted down.
    taking = Q(state=IngestState.RECEIVING, expires_at__gt=Now())
    under_way = Ingest.objects.filter(workspace=workspace, kind__in=_KINDS).filter(
        taking | Q(state__in=[IngestState.WAITING, IngestState.RUNNING])
    )
    if under_way.count() >= settings.UPLOADS_OPEN:
        raise LimitReached(
            _("There are too many open uploads; finish or cancel some."),
            data={"max_uploads": settings.UPLOADS_OPEN},
        )
    announced = under_way.aggregate(total=Sum("size_bytes"))["total"] or 0
    if announced + size_bytes > settings.UPLOADS_OPEN_BYTES:
        raise LimitReached(
            _("The open uploads come to too many bytes; finish or cancel some."),
            data={"max_bytes": settings.UPLOADS_OPEN_BYTES, "open_bytes": announced},
        )


def _alive(uploads: QuerySet[Ingest]) -> Ingest:
    has_expired = ExpressionWrapper(
        Q(state=IngestState.RECEIVING, expires_at__lte=Now()), output_field=BooleanField()
    )
    upload = _found(uploads.annotate(has_expired=has_expired))
    if upload.has_expired or upload.state == IngestState.CANCELLED:  # type: ignore[attr-defined]
        raise UploadGone
    return upload


def _found(uploads: QuerySet[Ingest]) -> Ingest:
    upload = uploads.first()
    if upload is None:
        raise NotFound(_("There is no such upload."))
    return upload
