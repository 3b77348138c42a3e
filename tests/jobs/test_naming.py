"""What jobs are called, and their files after them."""

from pathlib import Path
from typing import Any

import pytest
from django.db.models.functions import Now

from accounts.models import Role, Workspace
from config.errors import NotFound, ValidationFailed
from jobs.archives import archive_get_for_workspace
from jobs.leases import job_succeed
from jobs.models import Asset, AssetState, Job, JobState
from jobs.naming import filename_retitled, job_name, job_rename, job_title
from jobs.scheduling import job_claim
from jobs.selectors import job_get_for_workspace
from jobs.services import job_cancel, job_delete, job_retry
from tests.makers import make_asset, make_job, make_member, make_workspace, run_jobs

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice(db: None) -> Workspace:
    return make_workspace("Alice's", credits=500)


def filenames(job: Job) -> list[str]:
    return list(Asset.objects.filter(job=job).order_by("pk").values_list("filename", flat=True))


def test_files_are_called_after_the_job(alice: Workspace, tmp_path: Path, fake_separation: Any):
    job = make_job(alice, make_asset(alice, tmp_path, name="song (live).wav"))
    run_jobs()
    assert filenames(job) == ["song (live) (vocals).wav"]
    for given, name, made in [
        ("  Zu\u0308rich\t v1.2 ", "Zürich v1.2", "Zürich v1.2 (vocals).wav"),
        ("mine.wav", "mine.wav", "mine (vocals).wav"),
        ("AC/DC", "AC/DC", "AC_DC (vocals).wav"),
        ("n" * 255, "n" * 255, "n" * 150 + " (vocals).wav"),
        ("", "song (live).wav", "song (live) (vocals).wav"),
        ("song (live).wav", "song (live).wav", "song (live) (vocals).wav"),
    ]:
        renamed = job_rename(workspace=alice, job_uuid=job.uuid, name=given)
        assert job_name(renamed) == name
        assert filenames(job) == [made]
        archive = archive_get_for_workspace(workspace=alice, job_uuid=job.uuid)
        assert archive.filename == f"{made.removesuffix(' (vocals).wav')[:150]}.zip"
        archive.content.close()
    job.refresh_from_db()
    # That of its recording is not written down twice: it goes with the recording.
    assert job.name == ""


@pytest.mark.parametrize("name", ["n" * 256, "a\0b", "a\u202eb"])
def test_what_cannot_be_shown_is_no_name(alice: Workspace, tmp_path: Path, name: str):
    job = make_job(alice, make_asset(alice, tmp_path))
    with pytest.raises(ValidationFailed) as refusal:
        job_rename(workspace=alice, job_uuid=job.uuid, name=name)
    assert list(refusal.value.fields) == ["name"]
    assert job_name(job_get_for_workspace(workspace=alice, job_uuid=job.uuid)) == "song.wav"


def test_a_job_that_is_renamed_while_it_runs_names_its_files_so(alice: Workspace, tmp_path: Path):
    asset = make_asset(alice, tmp_path)
    make_job(alice, asset)
    job = job_claim()
    assert job is not None
    made = Asset(
        **{
            field.attname: getattr(asset, field.attname)
            for field in Asset._meta.concrete_fields
            if field.attname not in ("id", "uuid", "stem", "storage_key", "filename", "job_id")
        },
        job=job,
        stem="vocals",
        storage_key="made",
        filename=f"{job_title(job)} (vocals).wav",
    )
    job_rename(workspace=alice, job_uuid=job.uuid, name="Encore")
    job_succeed(job, outputs=[made])
    assert filenames(job) == ["Encore (vocals).wav"]


def test_names_go_on_and_end_with_the_job(alice: Workspace, tmp_path: Path):
    bob = make_workspace("Bob's")
    job = make_job(alice, make_asset(alice, tmp_path))
    with pytest.raises(NotFound):
        job_rename(workspace=bob, job_uuid=job.uuid, name="Mine")
    job_rename(workspace=alice, job_uuid=job.uuid, name="Encore")
    job_cancel(workspace=alice, job_uuid=job.uuid)
    person = make_member(alice, Role.DEVELOPER)
    again = job_retry(workspace=alice, api_key=None, person=person, job_uuid=job.uuid)
    assert (again.name, again.ordered_by) == ("Encore", person)
    job_delete(workspace=alice, job_uuid=job.uuid)
    job.refresh_from_db()
    assert job.name == ""
    with pytest.raises(NotFound):
        job_rename(workspace=alice, job_uuid=job.uuid, name="Again")
    assert Job.objects.filter(state=JobState.QUEUED).get().name == "Encore"


def test_where_the_name_of_the_recording_is_gone_the_end_of_the_file_is_kept():
    assert filename_retitled("song (vocals).wav", old="", new="New") == "New (vocals).wav"
    assert filename_retitled("song.24bit.flac", old="", new="New") == "New.flac"
    assert filename_retitled("s" * 150 + " (Bob).wav", old="s" * 200, new="N") == "N (Bob).wav"
    long = "s" * 180 + " (vocals).wav"
    assert filename_retitled(long, old="s" * 200, new="N") == "N (vocals).wav"


def test_a_recording_that_was_deleted_names_nothing(alice: Workspace, tmp_path: Path):
    job = make_job(alice, make_asset(alice, tmp_path))
    job_cancel(workspace=alice, job_uuid=job.uuid)
    Asset.objects.update(state=AssetState.PURGED, filename="", expires_at=Now())
    read = job_get_for_workspace(workspace=alice, job_uuid=job.uuid)
    assert (job_name(read), job_title(read)) == ("", "")
