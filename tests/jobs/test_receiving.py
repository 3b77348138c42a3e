import os
import tracemalloc
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from accounts.models import Workspace
from config.errors import AppError, LimitReached, OffsetConflict, UploadGone
from jobs.cleaning import storage_clean
from jobs.leases import LeaseLost
from jobs.models import Ingest, IngestPart, IngestState
from jobs.receiving import ingest_collect, ingests_expire, multipart, spool
from jobs.receiving.appending import upload_append
from jobs.receiving.multipart import SentPart, multipart_complete, part_store
from jobs.receiving.rows import upload_cancel
from tests.makers import make_workspace
from tests.races import together
from tests.upload_makers import make_multipart_upload, make_upload

Stored = Callable[[], list[str]]


@pytest.fixture
def committed_alice(transactional_db: None) -> Workspace:
    return make_workspace("Alice's", credits=0)


def append(upload: Ingest, offset: int, content: bytes) -> Ingest:
    return upload_append(
        workspace=upload.workspace,
        upload_uuid=upload.uuid,
        offset=offset,
        source=BytesIO(content),
        length=len(content),
    )


class Meeting(BytesIO):
    """A body whose end comes when all others have come to theirs."""

    def __init__(self, content: bytes, barrier: Barrier) -> None:
        super().__init__(content)
        self._barrier = barrier

    def read(self, size: int | None = -1, /) -> bytes:
        block = super().read(size)
        self._barrier.wait()
        return block


def test_of_calls_for_the_same_place_one_counts(
    committed_alice: Workspace, stored: Stored, tmp_path: Path
):
    upload = make_upload(committed_alice, size_bytes=6)
    append(upload, 0, b"ab")
    barrier = Barrier(4)
    contents = [bytes([65 + n]) * 4 for n in range(4)]

    def call(content: bytes) -> Callable[[], Any]:
        return lambda: upload_append(
            workspace=committed_alice,
            upload_uuid=upload.uuid,
            offset=2,
            source=Meeting(content, barrier),
            length=4,
        )

    answers = together(4, *map(call, contents))
    errors = [answer for answer in answers if isinstance(answer, AppError)]
    assert [type(error) for error in errors] == [OffsetConflict] * 3
    assert {error.headers["Upload-Offset"] for error in errors} == {"6"}
    upload.refresh_from_db()
    assert (upload.state, upload.received_bytes) == (IngestState.WAITING, 6)
    ingest_collect(upload, path=tmp_path / "recording")
    assert (tmp_path / "recording").read_bytes() in [b"ab" + content for content in contents]
    # The losers took their objects with them.
    assert sorted(IngestPart.objects.values_list("storage_key", flat=True)) == stored()
    assert len(stored()) == 2


def test_bytes_that_race_with_the_end_count_or_leave_nothing(
    committed_alice: Workspace, stored: Stored
):
    for _ in range(10):
        upload = make_upload(committed_alice, size_bytes=4)
        before = stored()
        _, answer = together(
            2,
            lambda upload=upload: upload_cancel(  # type: ignore[misc]
                workspace=committed_alice, upload_uuid=upload.uuid
            ),
            lambda upload=upload: append(upload, 0, b"ab"),  # type: ignore[misc]
        )
        upload.refresh_from_db()
        assert upload.state == IngestState.CANCELLED
        refused = isinstance(answer, OffsetConflict | UploadGone)
        assert upload.received_bytes == (0 if refused else 2)
        assert len(stored()) == len(before) + (0 if refused else 1)


def test_limits_hold_for_calls_at_the_same_time(committed_alice: Workspace, settings: Any):
    settings.UPLOADS_OPEN = 2
    answers = together(6, lambda: make_upload(committed_alice))
    assert sum(isinstance(answer, LimitReached) for answer in answers) == 4
    assert Ingest.objects.count() == 2


def test_a_completion_happens_once(
    committed_alice: Workspace, monkeypatch: pytest.MonkeyPatch, stored: Stored, tmp_path: Path
):
    monkeypatch.setattr(multipart, "MIN_PART_BYTES", 4)
    woken: list[None] = []
    monkeypatch.setattr(multipart, "wake_imports", lambda: woken.append(None))
    upload = make_multipart_upload(committed_alice, b"abcdef")
    parts = [SentPart(number, etag) for number, etag in upload.etags.items()]

    def complete() -> Ingest:
        return multipart_complete(workspace=committed_alice, upload_uuid=upload.uuid, parts=parts)

    def replace() -> str:
        return part_store(token=upload.token, source=BytesIO(b"ABCD"), length=4)

    answers = together(6, complete, complete, replace)
    row = Ingest.objects.get()
    ingest_collect(row, path=tmp_path / "recording")
    recording = (tmp_path / "recording").read_bytes()
    if row.state == IngestState.WAITING:
        # What was completed is what was listed.
        assert (recording, len(woken)) == (b"abcdef", 1)
    else:
        # The replacement was first, and every completion was refused for it.
        assert (row.state, recording, woken) == (IngestState.RECEIVING, b"ABCDef", [])
        assert sum(isinstance(answer, AppError) for answer in answers) == 4
    assert sorted(IngestPart.objects.values_list("storage_key", flat=True)) == stored()


def test_expiry_beside_itself_counts_each_once(committed_alice: Workspace):
    for _ in range(5):
        make_upload(committed_alice, expires_at="2026-01-01T00:00:00Z")
    assert sum(together(4, ingests_expire)) == 5


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("missing", "No such file"),
        ("short", "has 1 bytes"),
        ("gap", "leave a gap at 2"),
        ("incomplete", "has 4 bytes instead of 6"),
    ],
)
def test_what_storage_lost_is_not_passed_on(
    alice: Workspace, media_dir: Path, tmp_path: Path, damage: str, words: str
):
    upload = make_upload(alice, size_bytes=6)
    for offset, content in ((0, b"ab"), (2, b"cd"), (4, b"ef")):
        append(upload, offset, content)
    part = IngestPart.objects.get(position=4 if damage == "incomplete" else 2)
    path = media_dir / part.storage_key
    match damage:
        case "missing":
            path.unlink()
        case "short":
            os.truncate(path, 1)
        case _:
            part.delete()
    with pytest.raises(OSError, match=words):
        ingest_collect(upload, path=tmp_path / "recording")


@pytest.mark.django_db
def test_whoever_collects_may_stop(alice: Workspace, tmp_path: Path):
    upload = make_upload(alice, size_bytes=6)
    for offset, content in ((0, b"ab"), (2, b"cd"), (4, b"ef")):
        append(upload, offset, content)
    ticks = iter([None, LeaseLost()])

    def tick() -> None:
        if (stop := next(ticks)) is not None:
            raise stop

    with pytest.raises(LeaseLost):
        ingest_collect(upload, path=tmp_path / "recording", on_tick=tick)
    assert (tmp_path / "recording").read_bytes() == b"ab"


@pytest.mark.django_db
def test_an_upload_that_has_ended_is_swept_when_its_senders_are_done(
    alice: Workspace, stored: Stored
):
    cancelled, going_on = make_upload(alice), make_upload(alice)
    for upload in (cancelled, going_on):
        append(upload, 0, b"ab")
    # A process that is killed here leaves a file that no row knows.
    spool.piece_store(
        spool.Piece(Path("/etc/hostname"), 1, b""), upload_uuid=cancelled.uuid, name="2"
    )
    upload_cancel(workspace=alice, upload_uuid=cancelled.uuid)
    assert (storage_clean(), len(stored())) == (0, 3)
    Ingest.objects.filter(pk=cancelled.pk).update(finished_at="2026-01-01T00:00:00Z")
    assert (storage_clean(), len(stored())) == (1, 1)
    cancelled.refresh_from_db()
    assert cancelled.swept_at is not None
    assert IngestPart.objects.get().ingest == going_on
    assert storage_clean() == 0


@pytest.mark.django_db
def test_memory_stays_flat(alice: Workspace, tmp_path: Path, settings: Any):
    size_bytes = 40 * 1024**2
    settings.UPLOAD_SLICE_BYTES = 8 * 1024**2
    upload = make_upload(alice, size_bytes=size_bytes)
    tracemalloc.start()
    try:
        with Path("/dev/zero").open("rb", buffering=0) as zeros:
            upload_append(
                workspace=alice,
                upload_uuid=upload.uuid,
                offset=0,
                source=zeros,
                length=size_bytes,
            )
        ingest_collect(upload, path=tmp_path / "recording")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (tmp_path / "recording").stat().st_size == size_bytes
    assert IngestPart.objects.count() == 5
    assert peak < 5 * 1024**2
