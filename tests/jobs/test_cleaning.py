from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage

from jobs.cleaning import has_files_to_clean, storage_clean
from jobs.models import Asset, AssetState, Job
from jobs.services import asset_delete, job_cancel, job_delete
from tests.makers import make_asset, make_job, run_jobs

pytestmark = pytest.mark.django_db

Stored = Callable[[], list[str]]


def test_one_file_that_cannot_be_deleted_does_not_hold_up_the_others(
    alice: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    stuck, other = make_asset(alice, tmp_path), make_asset(alice, tmp_path)
    job = make_job(alice, make_asset(alice, tmp_path))
    job_cancel(workspace=alice, job_uuid=job.uuid)
    for asset in (stuck, other):
        asset_delete(workspace=alice, asset_uuid=asset.uuid)
    real = FileSystemStorage.delete

    def delete(self: FileSystemStorage, name: str) -> None:
        if name == stuck.storage_key:
            raise PermissionError(13, "Permission denied", name)
        real(self, name)

    monkeypatch.setattr(FileSystemStorage, "delete", delete)
    assert storage_clean() == 2
    assert storage_clean() == 0
    assert has_files_to_clean()
    assert dict(Asset.objects.filter(jobs=None).values_list("pk", "state")) == {
        stuck.pk: AssetState.DELETED,
        other.pk: AssetState.PURGED,
    }
    monkeypatch.undo()


def test_an_upload_that_was_killed_half_way_is_removed_after_some_hours(
    alice: Any, tmp_path: Path, stored: Stored
):
    asset = make_asset(alice, tmp_path)
    Asset.objects.filter(pk=asset.pk).update(state=AssetState.STORING)
    assert not has_files_to_clean()
    Asset.objects.filter(pk=asset.pk).update(created_at="2026-01-01T00:00:00Z")
    assert storage_clean() == 1
    assert stored() == []


def test_what_is_deleted_for_good_leaves_no_name_and_no_folder(
    alice: Any, tmp_path: Path, media_dir: Path, fake_separation: list[Any]
):
    job = make_job(alice, make_asset(alice, tmp_path, name="Secret.wav"))
    run_jobs()
    storage_clean()
    job_delete(workspace=alice, job_uuid=job.uuid)
    asset_delete(workspace=alice, asset_uuid=job.recording.uuid)
    while storage_clean():
        pass
    assert not (media_dir / "jobs" / str(job.uuid)).exists()
    assert set(Asset.objects.values_list("state", "filename", "sha256")) == {("purged", "", "")}
    assert Job.objects.get().swept_at is not None
