from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.db.models import F
from django.db.models.functions import Now

from billing.models import Plan, Subscription
from config.errors import NotFound, WrongState
from jobs import cleaning, deletions
from jobs.cleaning import has_files_to_clean, storage_clean
from jobs.deletions import assets_expire
from jobs.heartbeat import Heartbeat
from jobs.models import Asset, AssetState, Deletion, Job, JobState
from jobs.services import asset_delete, job_cancel, job_delete
from tests.makers import make_asset, make_job, make_workspace, run_jobs
from tests.races import together

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_beats(monkeypatch: pytest.MonkeyPatch) -> None:
    """They come on a connection of their own, which sees nothing of a test's transaction."""
    monkeypatch.setattr(Heartbeat, "_beat", lambda self: None)


def states(**filters: Any) -> list[str]:
    return sorted(Asset.objects.filter(**filters).values_list("state", flat=True))


def let_expire(**filters: Any) -> None:
    Asset.objects.filter(**filters).update(expires_at=Now() - timedelta(seconds=1))


def days_kept(asset: Asset) -> timedelta:
    row = Asset.objects.annotate(kept=F("expires_at") - F("created_at")).get(pk=asset.pk)
    return timedelta(days=row.kept.days)


def test_files_are_kept_as_long_as_the_settings_say(
    alice: Any, tmp_path: Path, fake_separation: list[Any]
):
    job = make_job(alice, make_asset(alice, tmp_path))
    run_jobs()
    assert days_kept(job.recording) == timedelta(days=3)
    assert days_kept(job.stem_assets.get()) == timedelta(days=14)


def test_files_are_kept_as_long_as_the_plan_says(
    alice: Any, tmp_path: Path, fake_separation: list[Any]
):
    plan = Plan.objects.get(code="pro")
    Plan.objects.filter(pk=plan.pk).update(uploads_days=30, results_days=90)
    Subscription.objects.create(workspace=alice, plan=plan, status="active", stripe_id="sub_1")
    job = make_job(alice, make_asset(alice, tmp_path))
    run_jobs()
    assert days_kept(job.recording) == timedelta(days=30)
    assert days_kept(job.stem_assets.get()) == timedelta(days=90)


def test_older_files_get_their_time_too_but_some_notice(
    alice: Any, charlie: Any, tmp_path: Path, fake_separation: list[Any]
):
    plan = Plan.objects.get(code="pro")
    Subscription.objects.create(workspace=alice, plan=plan, status="active", stripe_id="sub_1")
    job, other = (make_job(owner, make_asset(owner, tmp_path)) for owner in (alice, charlie))
    run_jobs()
    recording, stem = job.recording, job.stem_assets.get()
    gone = make_asset(alice, tmp_path)
    asset_delete(workspace=alice, asset_uuid=gone.uuid)
    dated = make_asset(alice, tmp_path)
    Asset.objects.filter(pk=dated.pk).update(expires_at="2100-01-01T00:00:00Z")
    Asset.objects.exclude(pk=dated.pk).update(expires_at=None, created_at=Now() - timedelta(days=2))
    migration = import_module("jobs.migrations.0008_asset_expiry")
    with connection.schema_editor() as editor:
        migration.set_expiry(apps, editor)
    # 30 and 7 days by the plan, 14 and 3 without; and never sooner than in a week.
    assert days_kept(stem) == timedelta(days=30)
    assert days_kept(other.stem_assets.get()) == timedelta(days=14)
    assert days_kept(recording) == days_kept(other.recording) == timedelta(days=9)
    assert Asset.objects.get(pk=gone.pk).expires_at is None
    assert Asset.objects.get(pk=dated.pk).expires_at == datetime(2100, 1, 1, tzinfo=UTC)


def test_what_is_due_goes_in_slices(
    alice: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stored: Any
):
    monkeypatch.setattr(deletions, "_AT_ONCE", 2)
    kept = make_asset(alice, tmp_path)
    for _ in range(5):
        make_asset(alice, tmp_path)
    assert not has_files_to_clean()
    let_expire(pk__gt=kept.pk)
    assert has_files_to_clean()
    assert [assets_expire() for _ in range(4)] == [2, 2, 1, 0]
    while storage_clean():
        pass
    assert stored() == [kept.storage_key]
    reasons = Deletion.objects.exclude(verified_at=None).values_list("reason", flat=True)
    assert list(reasons) == ["retention"] * 5


def test_nothing_expires_under_a_job(alice: Any, tmp_path: Path, fake_separation: list[Any]):
    asset = make_asset(alice, tmp_path)
    make_job(alice, asset)
    let_expire()
    assert not has_files_to_clean()
    assert (assets_expire(), states()) == (0, ["ready"])
    assert run_jobs() == 1
    assert assets_expire() == 1
    assert states(job=None) == ["deleted"]
    assert states(job__isnull=False) == ["ready"]
    with pytest.raises(NotFound):
        make_job(alice, asset)


def test_stems_that_expire_leave_no_folder(
    alice: Any, tmp_path: Path, media_dir: Path, fake_separation: list[Any]
):
    job = make_job(alice, make_asset(alice, tmp_path), stems=("vocals", "drums"))
    run_jobs()
    let_expire(stem="vocals")
    while storage_clean():
        pass
    assert (media_dir / "jobs" / str(job.uuid) / "1" / "drums.wav").exists()
    let_expire(stem="drums")
    while storage_clean():
        pass
    assert list((media_dir / "jobs").iterdir()) == []


def test_a_job_that_was_made_since_the_look_is_seen_under_the_lock(
    alice: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    make_job(alice, make_asset(alice, tmp_path))
    let_expire()
    # The look as it was before the job.
    monkeypatch.setattr(deletions, "assets_due", lambda: Asset.objects.filter(state="ready"))
    assert assets_expire() == 0
    assert (states(), Deletion.objects.count()) == (["ready"], 0)


def test_an_upload_that_never_was_one_is_no_deletion(alice: Any, tmp_path: Path):
    asset = make_asset(alice, tmp_path)
    long_ago = "2026-01-01T00:00:00Z"
    Asset.objects.filter(pk=asset.pk).update(state=AssetState.STORING, created_at=long_ago)
    assert storage_clean() == 1
    assert (states(), Deletion.objects.count()) == (["purged"], 0)


def test_a_job_that_cannot_be_deleted_keeps_all_its_stems(
    alice: Any, tmp_path: Path, fake_separation: list[Any]
):
    job = make_job(alice, make_asset(alice, tmp_path), stems=("vocals", "drums"))
    run_jobs()
    again = make_job(alice, job.stem_assets.get(stem="drums"))
    with pytest.raises(WrongState):
        job_delete(workspace=alice, job_uuid=job.uuid)
    assert (states(job=job), Deletion.objects.count()) == (["ready"] * 2, 0)
    job_cancel(workspace=alice, job_uuid=again.uuid)
    job_delete(workspace=alice, job_uuid=job.uuid)
    assert (states(job=job), Deletion.objects.count()) == (["deleted"] * 2, 2)


class Killed(BaseException):
    """As SIGKILL: nothing of ours runs after it."""


@pytest.mark.parametrize("line", ["storage_delete", "storage_has"])
def test_a_kill_in_the_middle_proves_nothing(
    alice: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stored: Any, line: str
):
    asset = make_asset(alice, tmp_path)
    asset_delete(workspace=alice, asset_uuid=asset.uuid)

    def die(*, key: str) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(cleaning, line, die)
        with pytest.raises(Killed):
            storage_clean()
    # After the second of them the file is gone, and nobody says so yet.
    assert (stored() == []) == (line == "storage_has")
    deletion = Deletion.objects.get()
    assert (states(), deletion.removed_at, deletion.verified_at) == (["deleted"], None, None)
    assert (storage_clean(), storage_clean()) == (1, 0)
    deletion.refresh_from_db()
    assert (states(), stored()) == (["purged"], [])
    assert deletion.removed_at is not None
    assert deletion.verified_at is not None
    assert deletion.requested_at <= deletion.removed_at <= deletion.verified_at


def test_a_file_that_comes_back_is_not_proven(
    alice: Any, tmp_path: Path, media_dir: Path, monkeypatch: pytest.MonkeyPatch
):
    asset = make_asset(alice, tmp_path)
    asset_delete(workspace=alice, asset_uuid=asset.uuid)
    with monkeypatch.context() as patch:
        patch.setattr(cleaning, "storage_delete", lambda *, key: None)
        assert storage_clean() == 0
    assert (states(), Deletion.objects.get().verified_at) == (["deleted"], None)
    assert storage_clean() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("by", ["request", "retention"])
def test_a_recording_is_never_deleted_under_a_new_job(tmp_path: Path, by: str):
    workspace = make_workspace(credits=100)
    for _ in range(8):
        asset = make_asset(workspace, tmp_path)
        let_expire(pk=asset.pk)

        def order(asset: Asset = asset) -> Job:
            return make_job(workspace, asset)

        def delete(asset: Asset = asset) -> Any:
            if by == "request":
                return asset_delete(workspace=workspace, asset_uuid=asset.uuid)
            return assets_expire()

        together(4, order, delete)
        asset.refresh_from_db()
        is_deleted = asset.state == AssetState.DELETED
        assert is_deleted == Deletion.objects.filter(asset=asset, reason=by).exists()
        # One or the other: all orders of it stand, or none.
        assert Job.objects.filter(asset=asset).count() == (0 if is_deleted else 2)
        Job.objects.all().update(state=JobState.CANCELLED, finished_at=Now(), lease_until=None)


@pytest.mark.django_db(transaction=True)
def test_each_file_is_deleted_once(tmp_path: Path, stored: Any):
    workspace = make_workspace(credits=100)
    assets = [make_asset(workspace, tmp_path) for _ in range(6)]
    let_expire()
    asked = assets[0].uuid
    together(
        6, assets_expire, lambda: asset_delete(workspace=workspace, asset_uuid=asked), storage_clean
    )
    together(4, storage_clean)
    while storage_clean():
        pass
    assert states() == ["purged"] * 6
    assert Deletion.objects.exclude(verified_at=None).count() == 6
    assert stored() == []
