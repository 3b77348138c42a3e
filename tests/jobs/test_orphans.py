import os
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from jobs.cleaning import storage_clean
from jobs.models import Asset, Ingest, Job
from jobs.services import asset_delete
from tests.makers import make_asset, make_job, run_command, run_jobs

pytestmark = pytest.mark.django_db


@pytest.fixture
def leave(media_dir: Path) -> Any:
    """Put a file into storage behind the back of everybody."""

    def leave(key: str) -> str:
        path = media_dir / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
        return key

    return leave


def grow_old(media_dir: Path) -> None:
    for path in media_dir.rglob("*"):
        os.utime(path, (1_700_000_000, 1_700_000_000))


def test_only_what_nobody_knows_of_is_found_and_deleted(
    alice: Any, tmp_path: Path, media_dir: Path, stored: Any, leave: Any, fake_separation: list[Any]
):
    kept, gone = make_asset(alice, tmp_path), make_asset(alice, tmp_path)
    waiting = make_job(alice, kept)
    done = make_job(alice, kept)
    Job.objects.filter(pk=waiting.pk).update(not_before="2100-01-01T00:00:00Z")
    assert run_jobs() == 1
    asset_delete(workspace=alice, asset_uuid=gone.uuid)
    while storage_clean():
        pass
    upload = Ingest.objects.create(
        workspace=alice, kind="tus", state="receiving", expires_at="2100-01-01T00:00:00Z"
    )
    leave(f"ingests/{upload.uuid}/0-1")
    leave(f"jobs/{waiting.uuid}/1/vocals.wav")
    leave("notes.txt")
    leave("uploads/notes.txt")
    known = stored()
    assert len(known) == 6
    orphans = sorted(
        [
            leave(f"uploads/{gone.uuid}"),
            leave(f"uploads/{uuid4()}"),
            leave(f"jobs/{done.uuid}/7/vocals.wav"),
            leave(f"jobs/{done.uuid}/parts/1/0.npy"),
            leave(f"jobs/{uuid4()}/1/vocals.wav"),
            leave(f"ingests/{uuid4()}/0-1"),
            leave(f"readyz-{uuid4()}"),
        ]
    )
    # Somebody may be at it.
    assert run_command("storage_orphans", "--delete") == ["Deleted 0 files that nobody knows of."]
    grow_old(media_dir)
    *found, summary = run_command("storage_orphans")
    assert sorted(found) == orphans
    assert summary == "Found 7 files that nobody knows of."
    assert len(stored()) == 13
    assert len(run_command("storage_orphans", "--delete", "--at-most", "2")) == 3
    assert len(stored()) == 11
    run_command("storage_orphans", "--delete")
    assert stored() == known
    assert Asset.objects.get(pk=kept.pk).state == "ready"
