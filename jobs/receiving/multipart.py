"""Recordings in numbered parts, each sent to a link of its own, in any order and side by side.

Where storage is S3, the links lead straight to it and the parts are those of its own multipart
upload. Elsewhere they lead to this service, which keeps each part as a file. A client sees no
difference.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID

from django.conf import settings
from django.core import signing
from django.db import transaction
from django.db.models import Sum
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from accounts.models import ApiKey, Workspace
from config.errors import (
    NotFound,
    Unavailable,
    UploadGone,
    UploadInterrupted,
    UploadSizeMismatch,
    ValidationFailed,
    WrongParts,
    WrongPartSize,
    WrongState,
    filled,
)
from jobs.models import Ingest, IngestKind, IngestPart, IngestState
from jobs.outbox import ingest_ended
from jobs.queue import wake_imports
from jobs.receiving.rows import (
    receiving,
    upload_create,
    upload_get_alive,
    upload_get_receiving,
)
from jobs.receiving.spool import Body, Source, piece_remove, piece_store, spooled
from jobs.storage import storage_bucket

if TYPE_CHECKING:
    from jobs.receiving.bucket import BucketUpload

# S3 takes parts from 5 MiB on, but for the last, and 10,000 of them.
MIN_PART_BYTES: Final = 8 * 1024**2
MAX_PARTS: Final = 1000
_SALT = "jobs.receiving.part"
_FAILED_CODE = UploadSizeMismatch.code


@dataclass(frozen=True)
class PartPlan:
    """How a recording is cut: follows from its size alone."""

    size_bytes: int

    @property
    def part_size(self) -> int:
        return max(MIN_PART_BYTES, -(-self.size_bytes // MAX_PARTS))

    @property
    def n_parts(self) -> int:
        return -(-self.size_bytes // self.part_size)

    def size_of(self, number: int) -> int:
        return min(self.part_size, self.size_bytes - (number - 1) * self.part_size)


@dataclass(frozen=True)
class PartLink:
    number: int
    size_bytes: int
    url: str


@dataclass(frozen=True)
class SentPart:
    number: int
    etag: str


def plan_of(upload: Ingest) -> PartPlan:
    return PartPlan(int(upload.size_bytes or 0))


def multipart_create(
    *, workspace: Workspace, api_key: ApiKey | None, filename: str, size_bytes: int
) -> Ingest:
    upload = upload_create(
        workspace=workspace,
        api_key=api_key,
        kind=IngestKind.MULTIPART,
        filename=filename,
        size_bytes=size_bytes,
    )
    store = storage_bucket()
    if store is None:
        return upload
    from jobs.receiving.bucket import BucketUpload

    try:
        # The row came first: whatever a kill leaves in the bucket is found by it.
        upload.s3_upload_id = BucketUpload.start(store, _object_key(upload)).upload_id
    except OSError as error:
        _give_up(upload, Unavailable.code, "Storage did not answer.")
        raise Unavailable(_("Storage does not answer; try again a little later.")) from error
    upload.save(update_fields=["s3_upload_id"])
    return upload


def part_links(
    *,
    workspace: Workspace,
    upload_uuid: UUID,
    numbers: Sequence[int],
    own_url: Callable[[str], str],
) -> list[PartLink]:
    """Links that take these parts. `own_url` makes an address of this service of a token."""
    upload = upload_get_receiving(workspace=workspace, upload_uuid=upload_uuid)
    if upload.kind != IngestKind.MULTIPART:
        raise WrongState(_("This upload has no numbered parts."))
    plan = plan_of(upload)
    if any(not 1 <= number <= plan.n_parts for number in numbers):
        raise ValidationFailed(
            fields={"numbers": [filled(_("Parts have numbers 1 to %(most)s."), most=plan.n_parts)]}
        )
    return [
        PartLink(number, plan.size_of(number), _url(upload, number, plan, own_url))
        for number in numbers
    ]


def part_store(*, token: str, source: Source, length: int) -> str:
    """Keep a part that came to one of our own links; returns its ETag. A later one replaces it."""
    upload_uuid, number = _token_read(token)
    upload = upload_get_receiving(upload_uuid=upload_uuid)
    expected = plan_of(upload).size_of(number)
    if length != expected:
        raise WrongPartSize(
            filled(
                _("Part %(number)s has %(size)s bytes, not %(sent)s."),
                number=number,
                size=expected,
                sent=length,
            ),
            data={"size_bytes": expected},
        )
    body = Body(source, length=length)
    # MD5 as S3 has it: it tells parts apart and finds faults, no more.
    with spooled(body, max_bytes=length, algorithm="md5") as piece:
        if body.left:
            raise UploadInterrupted(_("The body ended early or came too slowly; send it again."))
        if not receiving(upload).exists():
            raise _closed()
        etag = piece.digest.hex()
        key = piece_store(piece, upload_uuid=upload.uuid, name=f"{number}.{etag}")
    replaced = _part_record(upload, number, length, key)
    if replaced:
        piece_remove(replaced)
    return etag


def multipart_complete(
    *, workspace: Workspace, upload_uuid: UUID, parts: Sequence[SentPart]
) -> Ingest:
    """Say that all parts are there. Saying it again changes nothing and answers the same."""
    upload = upload_get_alive(workspace=workspace, upload_uuid=upload_uuid)
    if upload.kind != IngestKind.MULTIPART:
        raise WrongState(_("This upload has no numbered parts."))
    if upload.state == IngestState.FAILED and upload.error_code == _FAILED_CODE:
        raise UploadSizeMismatch
    if upload.state == IngestState.RECEIVING:
        sent = sorted(parts, key=lambda part: part.number)
        if upload.s3_upload_id:
            _complete_in_bucket(upload, sent)
        else:
            _complete_here(upload, sent)
        # A call beside this one may have been first, or may have cancelled it.
        upload = upload_get_alive(workspace=workspace, upload_uuid=upload_uuid)
    return upload


@transaction.atomic
def _complete_here(upload: Ingest, sent: list[SentPart]) -> None:
    # Locked, so that no part is replaced between the look and the end.
    Ingest.objects.select_for_update(no_key=True).get(pk=upload.pk)
    _refuse_wrong_parts(
        upload,
        sent,
        {part.position: _etag(part.storage_key) for part in upload.parts.all()},
    )
    _finish_receiving(upload)


def _complete_in_bucket(upload: Ingest, sent: list[SentPart]) -> None:
    """Not in a transaction: storage may take its time."""
    in_bucket = _in_bucket(upload)
    try:
        found = in_bucket.parts()
        if found is not None:
            etags = {part.number: part.etag for part in found}
            _refuse_wrong_parts(upload, sent, etags)
            _refuse_wrong_size(upload, sum(part.size_bytes for part in found))
            in_bucket.finish(etags)
        # Where no parts were left, an earlier call got this far. What counts is the object.
        size_bytes = in_bucket.object_size()
    except OSError as error:
        raise Unavailable(_("Storage does not answer; try again a little later.")) from error
    if size_bytes is None:
        # Cancelled and swept beside this call; else somebody else threw the parts away.
        _give_up(upload, UploadGone.code, "Storage has no parts of it any more; begin anew.")
        return
    _refuse_wrong_size(upload, size_bytes)
    with transaction.atomic():
        if _finish_receiving(upload):
            IngestPart.objects.create(
                ingest=upload, position=1, size_bytes=size_bytes, storage_key=in_bucket.key
            )
            return
    upload.refresh_from_db()
    if upload.state == IngestState.CANCELLED:
        # It may have been swept before the parts were put together.
        piece_remove(in_bucket.key)


def _in_bucket(upload: Ingest) -> "BucketUpload":
    # Costs half a second, and is needed with a bucket only.
    from jobs.receiving.bucket import BucketUpload

    store = storage_bucket()
    if store is None:
        raise Unavailable(_("This upload was begun in a bucket, which is not used any more."))
    return BucketUpload(store, _object_key(upload), upload.s3_upload_id)


def _finish_receiving(upload: Ingest) -> bool:
    finished = receiving(upload).update(state=IngestState.WAITING, received_bytes=upload.size_bytes)
    if finished:
        wake_imports()
    return bool(finished)


def _refuse_wrong_parts(upload: Ingest, sent: list[SentPart], found: dict[int, str]) -> None:
    numbers = range(1, plan_of(upload).n_parts + 1)
    if [part.number for part in sent] != list(numbers):
        raise WrongParts(data={"n_parts": len(numbers)})
    wrong = [
        part.number
        for part in sent
        if found.get(part.number) is None or found[part.number] != part.etag.strip('"')
    ]
    if wrong:
        raise WrongParts(
            _("Some parts did not arrive, or have another ETag; send them again."),
            data={"numbers": wrong},
        )


def _refuse_wrong_size(upload: Ingest, size_bytes: int) -> None:
    if size_bytes != upload.size_bytes:
        error = UploadSizeMismatch(
            data={"size_bytes": upload.size_bytes, "received_bytes": size_bytes}
        )
        _give_up(upload, error.code, error.english)
        raise error


@transaction.atomic
def _give_up(upload: Ingest, code: str, message: str) -> None:
    """Nothing more is taken; what came is swept."""
    given_up = Ingest.objects.filter(pk=upload.pk, state=IngestState.RECEIVING).update(
        state=IngestState.FAILED, error_code=code, error_message=message, finished_at=Now()
    )
    if given_up:
        ingest_ended(upload)


def _part_record(upload: Ingest, number: int, size_bytes: int, key: str) -> str | None:
    """Note down a part; returns the key of the one that it replaces."""
    try:
        with transaction.atomic():
            taking = receiving(upload)
            if not taking.select_for_update(no_key=True).exists():
                raise _closed()
            old = upload.parts.filter(position=number).first()
            if old is not None:
                old.delete()
            IngestPart.objects.create(
                ingest=upload, position=number, size_bytes=size_bytes, storage_key=key
            )
            received = upload.parts.aggregate(total=Sum("size_bytes"))["total"]
            taking.update(received_bytes=received)
    except WrongState:
        piece_remove(key)
        raise
    return old.storage_key if old is not None else None


def _closed() -> WrongState:
    return WrongState(_("The upload takes no parts any more."))


def _etag(key: str) -> str:
    """ingests/<upload>/<number>.<md5>-<random>"""
    return key.rpartition("/")[2].partition(".")[2].partition("-")[0]


def _object_key(upload: Ingest) -> str:
    return f"ingests/{upload.uuid}/recording"


def _url(upload: Ingest, number: int, plan: PartPlan, own_url: Callable[[str], str]) -> str:
    if upload.s3_upload_id:
        return _in_bucket(upload).url(
            number, size_bytes=plan.size_of(number), seconds=settings.UPLOAD_URL_SECONDS
        )
    return own_url(signing.dumps([str(upload.uuid), number], salt=_SALT))


def _token_read(token: str) -> tuple[UUID, int]:
    try:
        uuid, number = signing.loads(token, salt=_SALT, max_age=settings.UPLOAD_URL_SECONDS)
    except signing.BadSignature:
        raise NotFound(_("This link is not valid or no longer valid.")) from None
    return UUID(uuid), int(number)
