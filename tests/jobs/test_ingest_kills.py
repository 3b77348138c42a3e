"""A worker that is killed leaves nothing half done, at whatever line."""

import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now

from jobs.cleaning import storage_clean
from jobs.importing import import_create
from jobs.ingest_leases import ingests_reap
from jobs.ingesting import run_next_ingest
from jobs.models import Asset, AssetState, Ingest, IngestState
from tests.e2e.processes import ROOT, service_environment
from tests.fakes.http import Server
from tests.makers import make_wav, make_workspace

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
WAV = make_wav(seconds=0.2)

pytestmark = pytest.mark.usefixtures("no_beats")


def make_import(workspace: Any, url: str = "http://media.example.org/a.wav") -> Ingest:
    return import_create(workspace=workspace, api_key=None, url=url)


def run(ingest: Ingest) -> Ingest:
    assert run_next_ingest()
    ingest.refresh_from_db()
    return ingest


KILLED = """
import os, signal
from jobs import ingesting, services
from jobs.tasks import ingests_run
def die(*args, **values):
    os.kill(os.getpid(), signal.SIGKILL)
real_save = services.storage_save
def save_and_die(**values):
    real_save(**values)
    die()
{patch}
ingests_run()
"""


def wait_until_alone() -> None:
    """Until the database, too, has noticed the death; then nothing of it is locked any more."""
    others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    others += " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with connection.cursor() as cursor:
            cursor.execute(others)
            if cursor.fetchone() == (0,):
                return
        time.sleep(0.02)
    raise AssertionError("the killed worker's connections are still there")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("patch", "n_left"),
    [
        ("ingesting.outbound_download = die", 0),
        ("services.recording_probe = die", 0),
        ("services.storage_save = die", 1),
        ("services.storage_save = save_and_die", 1),
        ("ingesting.ingest_succeed = die", 1),
    ],
)
def test_a_kill_leaves_no_file_without_a_row_and_no_second_asset(
    media_server: Server, media_dir: Path, stored: Callable[[], list[str]], patch: str, n_left: int
):
    workspace = make_workspace()
    ingest = make_import(workspace, f"{media_server.url}/a.wav")
    environ = service_environment(
        media_dir,
        STEMWRIGHT_OUTBOUND_ALLOW="127.0.0.0/8",
        STEMWRIGHT_OUTBOUND_PORTS=str(media_server.port),
    )
    worker = subprocess.run(
        [sys.executable, "manage.py", "shell", "--no-imports", "-c", KILLED.format(patch=patch)],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert worker.returncode == -9, worker.stderr.decode()
    wait_until_alone()
    ingest.refresh_from_db()
    assert (ingest.state, ingest.attempt) == (IngestState.RUNNING, 1)
    # What was stored has a row, though it is nobody's.
    assert Asset.objects.filter(state=AssetState.STORING).count() == n_left
    assert set(stored()) <= set(Asset.objects.values_list("storage_key", flat=True))

    Ingest.objects.update(lease_until=LONG_AGO)
    assert ingests_reap() == 1
    Ingest.objects.update(not_before=None)
    run(ingest)
    asset = Asset.objects.get(state=AssetState.READY)
    assert (ingest.state, ingest.attempt, ingest.asset) == (IngestState.READY, 2, asset)
    # In time, what the killed worker left is removed.
    Asset.objects.filter(state=AssetState.STORING).update(created_at=Now() - timedelta(hours=7))
    storage_clean()
    assert stored() == [asset.storage_key]


# --- Who wakes workers ---
