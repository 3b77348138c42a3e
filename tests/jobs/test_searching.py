"""Jobs are found by what they are called, however many there are."""

from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

import pytest
from django.db import connection
from django.db.models.functions import Now

from accounts.models import Workspace
from jobs.models import Asset, AssetState, Ingest, IngestState, Job, JobState
from jobs.searching import JobSearch, job_counts, job_page, job_search
from tests.makers import make_asset, make_job, make_workspace

pytestmark = pytest.mark.django_db

INDEXES = ["asset_by_name", "job_by_name"]


@pytest.fixture
def alice(db: None) -> Workspace:
    return make_workspace("Alice's", credits=500)


def found(workspace: Workspace, text: str) -> list[Job]:
    return list(job_search(workspace=workspace, search=JobSearch(text=text)))


def test_a_part_of_a_name_is_enough(alice: Workspace, tmp_path: Path):
    song = make_job(alice, make_asset(alice, tmp_path, name="100% Übermut_(live).wav"))
    other = make_job(alice, make_asset(alice, tmp_path, name="talk.wav"))
    for text in ("100% über", "ÜBERMUT", "t_(l", "e", "0%"):
        assert song in found(alice, text), text
    for text in ("100_", "mut%", "übermut live", "\\", "talk"):
        assert song not in found(alice, text), text
    Job.objects.filter(pk=song.pk).update(name="Encore")
    assert found(alice, "core") == [song]
    assert found(alice, "übermut") == [song]
    assert found(alice, "wav") == [other, song]
    assert job_counts(workspace=alice, search=JobSearch(text="core")) == {JobState.QUEUED: 1}


def test_jobs_of_others_are_not_found(alice: Workspace, tmp_path: Path):
    bob = make_workspace("Bob's", credits=500)
    asset = make_asset(bob, tmp_path, name="song.wav")
    job = make_job(bob, asset)
    Job.objects.filter(pk=job.pk).update(name="Encore")
    for text in ("song", "encore", str(job.uuid), str(job.uuid)[:6]):
        assert found(bob, text) == [job], text
        assert found(alice, text) == [], text


def test_the_name_of_a_recording_that_is_gone_finds_nothing(alice: Workspace, tmp_path: Path):
    job = make_job(alice, make_asset(alice, tmp_path, name="song.wav"))
    Asset.objects.update(state=AssetState.DELETED)
    assert found(alice, "song") == []
    assert found(alice, str(job.uuid)[:4].upper()) == [job]


def test_an_id_is_found_by_how_it_begins(alice: Workspace, tmp_path: Path):
    job = make_job(alice, make_asset(alice, tmp_path))
    whole = str(job.uuid)
    for text in (whole, whole[:4], whole[:9], whole[:13], whole.upper()):
        assert found(alice, text) == [job], text
    for text in (whole[:3], whole[4:12], whole[:5] + "-", whole + "0", str(uuid4())):
        assert found(alice, text) == [], text


def test_a_recording_that_is_on_its_way_is_found_by_its_address(alice: Workspace, tmp_path: Path):
    job = make_job(alice, make_asset(alice, tmp_path, name="song.wav"))
    ingest = Ingest.objects.create(
        workspace=alice,
        kind="url",
        url="https://example.org/Live/track.flac",
        state=IngestState.RECEIVING,
        expires_at=Now(),
    )
    Job.objects.filter(pk=job.pk).update(asset=None, ingest=ingest, state=JobState.WAITING)
    assert found(alice, "/live/") == [job]
    assert found(alice, "song") == []


def test_it_reads_no_more_than_the_index_names(alice: Workspace, tmp_path: Path):
    asset = make_asset(alice, tmp_path, name="needle in the haystack.wav")
    job = make_job(alice, asset)
    new = {
        "uuid": "GEN_RANDOM_UUID()",
        "storage_key": "GEN_RANDOM_UUID()",
        "filename": "'hay ' || MD5(n::text)",
        "name": "'hay ' || MD5(n::text)",
        "asset_id": "n",
    }
    make_copies(asset, "GENERATE_SERIES(1, 4000) n", new)
    make_copies(job, f"(SELECT id FROM jobs_asset WHERE id > {asset.pk}) t(n)", new)
    with connection.cursor() as cursor:
        # As VACUUM does.
        cursor.execute("SELECT GIN_CLEAN_PENDING_LIST(i) FROM UNNEST(%s::regclass[]) i", [INDEXES])
        cursor.execute("ANALYZE jobs_asset, jobs_job")
    rows = job_search(workspace=alice, search=JobSearch(text="Haystack"))
    plan = rows.prefetch_related(None)[:26].explain()
    for index in INDEXES:
        assert f"Bitmap Index Scan on {index}" in plan, plan
    assert "Seq Scan on jobs_job" not in plan
    assert "Seq Scan on jobs_asset" not in plan
    page = job_page(workspace=alice, search=JobSearch(text="Haystack"), size=25)
    assert page.jobs == [job]


def make_copies(row: Asset | Job, source: str, new: Mapping[str, str]) -> None:
    table = row._meta.db_table
    columns = [str(one.column) for one in row._meta.concrete_fields if not one.primary_key]
    listed = ", ".join(f'"{column}"' for column in columns)
    values = ", ".join(new.get(column, f'"{column}"') for column in columns)
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {table} ({listed}) SELECT {values} FROM {table}, {source}")  # noqa: S608
