"""Bytes that follow those that are there, as tus sends them."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F, QuerySet
from django.utils.translation import gettext_lazy as _

from accounts.models import Workspace
from config.errors import (
    ChecksumMismatch,
    LimitReached,
    OffsetConflict,
    TooLarge,
    UploadInterrupted,
    WrongState,
    filled,
)
from jobs.models import Ingest, IngestKind, IngestPart, IngestState
from jobs.queue import wake_imports
from jobs.receiving.rows import receiving, upload_get_receiving
from jobs.receiving.spool import Body, Piece, Source, piece_remove, piece_store, spooled

CHECKSUMS: Final = ("sha256", "sha1")
# Each is a row and an object in storage, however small.
MAX_PIECES: Final = 10_000


@dataclass(frozen=True)
class Checksum:
    algorithm: str
    digest: bytes


def upload_append(
    *,
    workspace: Workspace,
    upload_uuid: UUID,
    offset: int,
    source: Source,
    length: int,
    checksum: Checksum | None = None,
) -> Ingest:
    """Take the body of a request; `received_bytes` says up to where the recording is there.

    Whatever arrives of it is kept, even if the connection breaks - but for a body with a checksum,
    which says nothing of a part of it. Calls side by side write the same place only once.
    """
    ingest = upload_get_receiving(workspace=workspace, upload_uuid=upload_uuid)
    if ingest.kind != IngestKind.TUS:
        raise WrongState(_("This upload takes numbered parts."))
    if offset != ingest.received_bytes:
        raise _conflict(ingest)
    if length > int(ingest.size_bytes or 0) - offset:
        raise TooLarge(_("The body goes beyond the announced length."))
    body = Body(source, length=length)
    while body.left and not body.is_broken:
        offset += _append_slice(ingest, offset, body, checksum)
    if body.left:
        raise UploadInterrupted(headers={"Upload-Offset": str(offset)})
    ingest.refresh_from_db()
    return ingest


def _append_slice(ingest: Ingest, offset: int, body: Body, checksum: Checksum | None) -> int:
    # A slice that is stored is safe whatever becomes of this process; one with a checksum must
    # be looked at as a whole first.
    max_bytes = body.left if checksum else min(body.left, settings.UPLOAD_SLICE_BYTES)
    algorithm = checksum.algorithm if checksum else CHECKSUMS[0]
    with spooled(body, max_bytes=max_bytes, algorithm=algorithm) as piece:
        if checksum and body.left:
            raise UploadInterrupted(headers={"Upload-Offset": str(offset)})
        if checksum and piece.digest != checksum.digest:
            raise ChecksumMismatch
        if piece.size_bytes:
            _keep(ingest, offset, piece)
        return piece.size_bytes


def _keep(ingest: Ingest, offset: int, piece: Piece) -> None:
    # Looked at before: the body may have taken long, and others may have sent the same.
    if not _taking(ingest, offset).exists():
        raise _conflict(ingest)
    key = piece_store(piece, upload_uuid=ingest.uuid, name=str(offset))
    try:
        _record(ingest, offset, piece.size_bytes, key)
    except (OffsetConflict, LimitReached):
        # Not for other errors: one of the database's may come after the commit.
        piece_remove(key)
        raise


@transaction.atomic
def _record(ingest: Ingest, offset: int, size_bytes: int, key: str) -> None:
    end = offset + size_bytes
    is_complete = end == ingest.size_bytes
    taken = _taking(ingest, offset).update(
        received_bytes=F("received_bytes") + size_bytes,
        state=IngestState.WAITING if is_complete else IngestState.RECEIVING,
    )
    if not taken:
        raise _conflict(ingest)
    if not is_complete and ingest.parts.count() >= MAX_PIECES - 1:
        raise LimitReached(
            filled(
                _("An upload comes in at most %(most)s pieces; send larger ones."), most=MAX_PIECES
            )
        )
    IngestPart.objects.create(
        ingest=ingest, position=offset, size_bytes=size_bytes, storage_key=key
    )
    if is_complete:
        wake_imports()


def _taking(ingest: Ingest, offset: int) -> QuerySet[Ingest]:
    return receiving(ingest).filter(received_bytes=offset)


def _conflict(ingest: Ingest) -> OffsetConflict:
    ingest.refresh_from_db(fields=["received_bytes"])
    offset = ingest.received_bytes
    return OffsetConflict(headers={"Upload-Offset": str(offset)}, data={"offset": offset})
