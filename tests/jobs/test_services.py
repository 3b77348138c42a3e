from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.core.files.storage import FileSystemStorage
from django.db import connection

from billing.models import Hold, Price
from billing.selectors import ledger_discrepancies, wallet_get
from config.errors import IdempotencyConflict, NotFound, Unavailable, WrongState
from jobs.cleaning import storage_clean
from jobs.models import Asset, AssetState, Job
from jobs.scheduling import job_claim
from jobs.selectors import asset_get_for_workspace
from jobs.services import Order, asset_create, asset_delete, job_cancel, job_create, job_delete
from jobs.speaker_options import SpeakerOptions
from tests.makers import make_asset, make_job, make_wav, make_workspace, run_jobs

pytestmark = pytest.mark.django_db

Stored = Callable[[], list[str]]


def test_an_upload_whose_storing_fails_leaves_nothing(
    alice: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stored: Stored
):
    path = tmp_path / "song.wav"
    path.write_bytes(make_wav())

    def save(*args: Any, **kwargs: Any) -> str:
        raise OSError("No space left on device")

    monkeypatch.setattr(FileSystemStorage, "save", save)
    with pytest.raises(OSError, match="No space"):
        asset_create(workspace=alice, filename="song.wav", path=path)
    assert Asset.objects.get().state == AssetState.DELETED
    storage_clean()
    assert Asset.objects.get().state == AssetState.PURGED
    assert stored() == []


def test_a_name_with_folders_is_only_a_name(alice: Any, tmp_path: Path, stored: Stored):
    asset = make_asset(alice, tmp_path, name="../../etc/passwd")
    assert asset.filename == "passwd"
    assert stored() == [f"uploads/{asset.uuid}"]


def test_deleting_an_asset_removes_its_file(alice: Any, tmp_path: Path, stored: Stored):
    asset = make_asset(alice, tmp_path)
    asset_delete(workspace=alice, asset_uuid=asset.uuid)
    with pytest.raises(NotFound):
        asset_get_for_workspace(workspace=alice, asset_uuid=asset.uuid)
    assert storage_clean() == 1
    assert stored() == []
    assert storage_clean() == 0


def test_an_asset_at_work_cannot_be_deleted(
    alice: Any, tmp_path: Path, fake_separation: list[Any], stored: Stored
):
    asset = make_asset(alice, tmp_path)
    make_job(alice, asset)
    with pytest.raises(WrongState):
        asset_delete(workspace=alice, asset_uuid=asset.uuid)
    assert stored() == [f"uploads/{asset.uuid}"]
    run_jobs()
    asset_delete(workspace=alice, asset_uuid=asset.uuid)


def test_a_price_change_does_not_touch_a_job_that_was_ordered(
    alice: Any, tmp_path: Path, fake_separation: list[Any]
):
    job = make_job(alice, make_asset(alice, tmp_path))
    Price.objects.update(amount_mcr=1_000_000)
    run_jobs()
    job.refresh_from_db()
    assert (job.price_mcr, job.charged_mcr) == (2_500, 2_500)


def test_a_workspace_may_have_a_price_of_its_own(alice: Any, charlie: Any, tmp_path: Path):
    Price.objects.create(service="separation", unit="per_call", amount_mcr=7, workspace=alice)
    assert make_job(alice, make_asset(alice, tmp_path)).price_mcr == 7
    assert make_job(charlie, make_asset(charlie, tmp_path)).price_mcr == 2_500


def test_a_waiting_job_is_cancelled_at_once(alice: Any, tmp_path: Path):
    job = make_job(alice, make_asset(alice, tmp_path))
    for _ in range(2):
        assert job_cancel(workspace=alice, job_uuid=job.uuid).state == "cancelled"
    assert job_claim() is None
    assert Hold.objects.get().state == "released"


def test_a_running_job_is_asked_to_stop_once(alice: Any, tmp_path: Path):
    job = make_job(alice, make_asset(alice, tmp_path))
    job_claim()
    first = job_cancel(workspace=alice, job_uuid=job.uuid).cancel_requested_at
    assert first is not None
    assert job_cancel(workspace=alice, job_uuid=job.uuid).cancel_requested_at == first
    assert [event.kind for event in job.events.order_by("pk")] == [
        "queued",
        "started",
        "cancel_requested",
    ]


def test_an_ended_job_cannot_be_cancelled(alice: Any, tmp_path: Path, fake_separation: list[Any]):
    job = make_job(alice, make_asset(alice, tmp_path))
    run_jobs()
    with pytest.raises(WrongState):
        job_cancel(workspace=alice, job_uuid=job.uuid)


def test_deleting_a_job_removes_its_stems_but_not_the_recording(
    alice: Any, tmp_path: Path, fake_separation: list[Any], stored: Stored
):
    job = make_job(alice, make_asset(alice, tmp_path))
    with pytest.raises(WrongState):
        job_delete(workspace=alice, job_uuid=job.uuid)
    run_jobs()
    job_delete(workspace=alice, job_uuid=job.uuid)
    storage_clean()
    assert stored() == [f"uploads/{job.recording.uuid}"]
    with pytest.raises(NotFound):
        job_delete(workspace=alice, job_uuid=job.uuid)


def test_a_stem_that_another_job_works_on_cannot_be_deleted(
    alice: Any, tmp_path: Path, fake_separation: list[Any]
):
    first = make_job(alice, make_asset(alice, tmp_path))
    run_jobs()
    stem = first.stem_assets.get()
    second = make_job(alice, stem, stems=("drums",))
    with pytest.raises(WrongState):
        job_delete(workspace=alice, job_uuid=first.uuid)
    with pytest.raises(WrongState):
        asset_delete(workspace=alice, asset_uuid=stem.uuid)
    first.refresh_from_db()
    assert first.deleted_at is None
    run_jobs()
    second.refresh_from_db()
    assert second.state == "succeeded"
    job_delete(workspace=alice, job_uuid=first.uuid)


def test_an_upload_that_took_too_long_is_refused(
    alice: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stored: Stored
):
    path = tmp_path / "song.wav"
    path.write_bytes(make_wav())
    real = FileSystemStorage.save

    def save_for_hours(self: FileSystemStorage, name: str, content: Any) -> str:
        Asset.objects.update(created_at="2026-01-01T00:00:00Z")
        storage_clean()
        return str(real(self, name, content))

    monkeypatch.setattr(FileSystemStorage, "save", save_for_hours)
    with pytest.raises(Unavailable):
        asset_create(workspace=alice, filename="song.wav", path=path)
    storage_clean()
    assert stored() == []


def order_once(
    workspace: Any, asset: Any, *, key: str, stems: tuple[str, ...] = ("vocals",)
) -> Job:
    order = Order(
        asset_uuid=asset.uuid, service="separation", stems=stems, model=None, output_format="wav"
    )
    return job_create(workspace=workspace, api_key=None, order=order, idempotency_key=key)


def test_the_same_order_under_the_same_key_is_one_job(alice: Any, charlie: Any, tmp_path: Path):
    asset = make_asset(alice, tmp_path)
    first = order_once(alice, asset, key="k")
    assert order_once(alice, asset, key="k") == first
    assert order_once(alice, asset, key="other") != first
    # Keys of one workspace mean nothing in another.
    assert order_once(charlie, make_asset(charlie, tmp_path), key="k") != first
    assert wallet_get(workspace=alice).held_mcr == 5_000


def test_another_order_under_the_same_key_is_refused(alice: Any, tmp_path: Path):
    asset = make_asset(alice, tmp_path)
    order_once(alice, asset, key="k")
    with pytest.raises(IdempotencyConflict):
        order_once(alice, asset, key="k", stems=("drums",))
    assert wallet_get(workspace=alice).held_mcr == 2_500


@pytest.mark.django_db(transaction=True)
def test_the_same_order_in_parallel_is_one_job(tmp_path: Path):
    workspace = make_workspace(credits=100)
    asset = make_asset(workspace, tmp_path)

    def order(_: int) -> Job:
        try:
            return order_once(workspace, asset, key="k")
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(order, range(16)))) == 1
    assert Job.objects.count() == 1
    assert wallet_get(workspace=workspace).held_mcr == 2_500
    assert ledger_discrepancies() == []


def test_orders_of_before_keep_their_hash():
    """Else an order that is repeated after an upgrade would be a conflict."""
    asset_uuid = UUID("00000000-0000-4000-8000-000000000001")
    old = [
        Order(asset_uuid, "separation", ("vocals",), None, "wav"),
        Order(asset_uuid, "separation", None, "htdemucs", "flac", "https://example.org/x"),
    ]
    assert [order.sha256 for order in old] == [
        "433fd2d8f351d7737f59a5b441b67661221c12d52ead7bd2fe2e55cde25d82b2",
        "aa64537bad3c423b0958af7ed7285522f385493a6a659950652dafd917f3682d",
    ]
    options = [None, SpeakerOptions(), SpeakerOptions(num_speakers=2)]
    orders = [
        Order(asset_uuid, "speaker_extraction", None, None, "wav", speakers=one) for one in options
    ]
    assert len({order.sha256 for order in orders}) == 3
