"""What comes in becomes an asset, or says why not; whatever happens to its workers."""

import socket
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django_q.models import OrmQ
from structlog.testing import capture_logs

from config.errors import WrongState
from jobs import ingesting, services
from jobs.cleaning import storage_clean
from jobs.importing import import_cancel, import_create
from jobs.ingest_leases import (
    has_waiting_ingests,
    ingest_claim,
    ingest_fail,
    ingest_retry_or_fail,
    ingests_reap,
)
from jobs.ingesting import ingest_run, run_next_ingest
from jobs.instance import FOLDER_VARIABLE, stop_request
from jobs.management.commands.janitor import Command as Janitor
from jobs.models import Asset, AssetState, Ingest, IngestState
from jobs.outbound_network import OutboundFailed
from jobs.stores import StorageFailed
from jobs.tasks import ingests_run
from tests.fakes.http import Server, says
from tests.jobs import bombs
from tests.makers import make_wav, make_workspace
from tests.upload_makers import make_upload

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
WAV = make_wav(seconds=0.2)

pytestmark = pytest.mark.usefixtures("no_beats")


def make_import(workspace: Any, url: str = "http://media.example.org/a.wav") -> Ingest:
    return import_create(workspace=workspace, api_key=None, url=url)


def run(ingest: Ingest) -> Ingest:
    assert run_next_ingest()
    ingest.refresh_from_db()
    return ingest


def scratch(settings: Any) -> list[Path]:
    return list(settings.SCRATCH_DIR.iterdir()) if settings.SCRATCH_DIR.exists() else []


@pytest.mark.django_db
def test_a_recording_is_fetched_and_made_an_asset(
    alice: Any, media_server: Server, settings: Any, stored: Callable[[], list[str]]
):
    ingest = run(make_import(alice, f"{media_server.url}/takes/first%20take.wav?key=1"))
    asset = Asset.objects.get()
    assert (ingest.state, ingest.asset, ingest.error_code) == (IngestState.READY, asset, "")
    assert (ingest.filename, ingest.received_bytes, ingest.losses) == (
        "first take.wav",
        len(WAV),
        0,
    )
    assert ingest.finished_at is not None
    assert (asset.state, asset.workspace, asset.filename) == (
        AssetState.READY,
        alice,
        "first take.wav",
    )
    assert (asset.n_samples, asset.size_bytes) == (8820, len(WAV))
    # As any upload it is kept for a time only.
    assert asset.expires_at is not None
    assert stored() == [asset.storage_key]
    assert (settings.MEDIA_ROOT / asset.storage_key).read_bytes() == WAV
    assert scratch(settings) == []
    assert not run_next_ingest()


@pytest.mark.django_db
def test_an_upload_in_parts_is_made_an_asset_too(alice: Any, monkeypatch: Any):
    upload = make_upload(alice, size_bytes=len(WAV), state=IngestState.WAITING)
    collected: list[Any] = []

    def collect(ingest: Ingest, *, path: Path, on_tick: Callable[[], None]) -> None:
        on_tick()
        collected.append(ingest)
        path.write_bytes(WAV)

    monkeypatch.setattr(ingesting, "ingest_collect", collect)
    run(upload)
    assert collected == [upload]
    assert (upload.state, Asset.objects.get().filename) == (IngestState.READY, "song.wav")


@pytest.mark.django_db
def test_a_name_that_was_given_is_kept(alice: Any, media_server: Server):
    ingest = import_create(
        workspace=alice, api_key=None, url=media_server.url, filename="../My song.flac"
    )
    assert run(ingest).filename == Asset.objects.get().filename == "My song.flac"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("answer", "code", "message"),
    [
        (
            says("404 Not Found", body=b"page"),
            "bad_answer",
            "The server of this address answered 404 instead of a file.",
        ),
        (
            says("302 Found", "Location: http://127.0.0.1:1/"),
            "address_not_allowed",
            "This address cannot be used; give a public http or https address.",
        ),
        (says("200 OK", body=b"<html>"), "unsupported_media", None),
        (says("200 OK", body=bombs.playlists("http://x")["m3u8"]), "unsupported_media", None),
        (says("200 OK", body=bombs.silent_flac(12)), "too_long", None),
        (says("200 OK"), "empty_file", "The file is empty."),
        (says("200 OK", "Content-Length: 3000000000"), "too_large", "The file is too large."),
    ],
)
def test_what_will_not_change_ends_it(
    alice: Any,
    media_server: Server,
    settings: Any,
    stored: Callable[[], list[str]],
    answer: Any,
    code: str,
    message: str | None,
):
    settings.RECORDING_MAX_SECONDS = 1
    media_server.answer = answer
    ingest = run(make_import(alice, f"{media_server.url}/a.wav"))
    assert (ingest.state, ingest.error_code, ingest.attempt) == (IngestState.FAILED, code, 1)
    assert message is None or ingest.error_message == message
    assert (Asset.objects.count(), stored(), scratch(settings)) == (0, [], [])
    assert not run_next_ingest()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("busy", "bad_answer"),
        ("cut", "bad_answer"),
        ("gone", "connection_failed"),
        ("storage", "storage"),
        ("disk", "storage"),
    ],
)
def test_trouble_that_may_pass_is_tried_again_but_not_for_ever(
    alice: Any,
    media_server: Server,
    settings: Any,
    monkeypatch: Any,
    stored: Callable[[], list[str]],
    fault: str,
    code: str,
):
    match fault:
        case "busy":
            media_server.answer = says("503 Busy")
        case "cut":
            media_server.answer = says("200 OK", f"Content-Length: {len(WAV)}", body=WAV[:100])
        case "gone":
            failed = OutboundFailed("connection_failed")
            monkeypatch.setattr(ingesting, "outbound_download", _raising(failed))
        case "storage":
            monkeypatch.setattr(services, "storage_save", _raising(StorageFailed("down")))
        case "disk":
            monkeypatch.setattr(services, "storage_save", _raising(OSError(28, "full")))
    ingest = make_import(alice, f"{media_server.url}/a.wav")
    for attempt in (1, 2):
        run(ingest)
        assert (ingest.state, ingest.attempt, ingest.losses) == (
            IngestState.WAITING,
            attempt,
            attempt,
        )
        # Not at once.
        assert not run_next_ingest()
        assert not has_waiting_ingests()
        Ingest.objects.update(not_before=LONG_AGO)
    run(ingest)
    assert (ingest.state, ingest.attempt, ingest.error_code) == (IngestState.FAILED, 3, code)
    assert not Asset.objects.filter(state=AssetState.READY).exists()
    storage_clean()
    assert (stored(), scratch(settings)) == ([], [])


def _raising(error: Exception) -> Any:
    def fail(*args: Any, **values: Any) -> None:
        raise error

    return fail


@pytest.mark.django_db
def test_trouble_that_has_passed_is_forgotten(alice: Any, media_server: Server):
    ingest = make_import(alice, f"{media_server.url}/a.wav")
    media_server.answer = says("503 Busy")
    run(ingest)
    Ingest.objects.update(not_before=LONG_AGO)
    media_server.answer = says("200 OK", body=WAV)
    run(ingest)
    assert (ingest.state, ingest.attempt, ingest.losses) == (IngestState.READY, 2, 1)


@pytest.mark.django_db
def test_workspaces_take_turns_and_none_has_all_workers(alice: Any, charlie: Any, settings: Any):
    settings.PARALLEL_IMPORTS = 2
    of_alice = [make_import(alice) for _ in range(4)]
    of_charlie = make_import(charlie)
    claimed = [ingest_claim() for _ in range(4)]
    assert claimed == [of_alice[0], of_charlie, of_alice[1], None]
    assert not has_waiting_ingests()
    Ingest.objects.filter(pk=of_alice[1].pk).update(state=IngestState.CANCELLED, lease_until=None)
    assert ingest_claim() == of_alice[2]


@pytest.mark.django_db
def test_many_slow_imports_of_one_workspace_hold_up_nobody(alice: Any, charlie: Any):
    slow = [make_import(alice) for _ in range(20)]
    quick = [make_import(charlie) for _ in range(3)]
    claimed = []
    # A single worker; what alice asks for comes to nothing, and is tried again.
    for _ in range(6):
        ingest = ingest_claim()
        assert ingest is not None
        claimed.append(ingest)
        if ingest.workspace == alice:
            ingest_retry_or_fail(ingest, code="timeout", message="It took too long.")
        else:
            ingest_fail(ingest, code="timeout", message="It took too long.")
        # The time of a transaction stands still.
        Ingest.objects.filter(pk=ingest.pk).update(
            claimed_at=F("claimed_at") + timedelta(seconds=len(claimed))
        )
    expected = [item for pair in zip(slow[:3], quick, strict=True) for item in pair]
    assert claimed == expected


@pytest.mark.django_db(transaction=True)
def test_claims_side_by_side_take_each_once_and_keep_the_limit(settings: Any):
    settings.PARALLEL_IMPORTS = 3
    workspace = make_workspace()
    for _ in range(8):
        make_import(workspace)
    claimed: list[Ingest | None] = []
    start = threading.Barrier(8)

    def claim() -> None:
        start.wait()
        try:
            claimed.append(ingest_claim())
        finally:
            connection.close()

    threads = [threading.Thread(target=claim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken = [ingest.pk for ingest in claimed if ingest is not None]
    assert (len(taken), len(set(taken))) == (3, 3)
    assert Ingest.objects.filter(state=IngestState.RUNNING).count() == 3


@pytest.mark.django_db
def test_a_worker_that_lost_its_lease_makes_nothing(
    alice: Any, media_server: Server, stored: Callable[[], list[str]]
):
    ingest = make_import(alice, f"{media_server.url}/a.wav")
    slow = ingest_claim()
    assert slow is not None
    Ingest.objects.update(lease_until=LONG_AGO)
    assert ingests_reap() == 1
    ingest.refresh_from_db()
    assert (ingest.state, ingest.losses) == (IngestState.WAITING, 1)
    Ingest.objects.update(not_before=None)
    quick = ingest_claim()
    assert quick is not None
    # Both end, the first one late; in either order only one counts.
    ingest_run(slow)
    ingest.refresh_from_db()
    assert (ingest.state, ingest.attempt, ingest.asset) == (IngestState.RUNNING, 2, None)
    ingest_run(quick)
    ingest.refresh_from_db()
    asset = Asset.objects.get(state=AssetState.READY)
    assert (ingest.state, ingest.asset) == (IngestState.READY, asset)
    ingest_run(quick)
    storage_clean()
    assert Asset.objects.filter(state=AssetState.READY).get() == asset
    assert stored() == [asset.storage_key]


@pytest.mark.django_db
def test_workers_that_are_lost_again_and_again_end_it(alice: Any):
    ingest = make_import(alice)
    for _ in range(3):
        Ingest.objects.update(not_before=None)
        assert ingest_claim() is not None
        Ingest.objects.update(lease_until=LONG_AGO)
        assert ingests_reap() == 1
    ingest.refresh_from_db()
    assert (ingest.state, ingest.error_code) == (IngestState.FAILED, "worker_lost")
    # A lease that lasts is nobody's business.
    make_import(alice)
    assert ingest_claim() is not None
    assert ingests_reap() == 0


@pytest.mark.django_db
def test_a_worker_that_has_to_stop_hands_back(
    alice: Any, media_server: Server, settings: Any, monkeypatch: Any, tmp_path: Path
):
    ingest = make_import(alice, f"{media_server.url}/a.wav")
    settings.JOB_STOP_GRACE_SECONDS = 0
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    claimed = ingest_claim()
    assert claimed is not None
    stop_request(tmp_path)
    ingest_run(claimed)
    ingest.refresh_from_db()
    assert (ingest.state, ingest.losses, ingest.not_before) == (IngestState.WAITING, 0, None)
    assert Asset.objects.count() == 0
    # It claims nothing more.
    ingests_run()
    ingest.refresh_from_db()
    assert ingest.state == IngestState.WAITING


@pytest.mark.django_db
def test_a_bug_of_ours_ends_it_without_details(alice: Any, media_server: Server, monkeypatch: Any):
    monkeypatch.setattr(ingesting, "asset_create", _raising(KeyError("secret")))
    ingest = run(make_import(alice, f"{media_server.url}/a.wav"))
    assert (ingest.state, ingest.error_code) == (IngestState.FAILED, "internal")
    assert ingest.error_message == "Something went wrong on our side."


@pytest.mark.django_db
def test_an_address_is_in_no_line_of_the_log(alice: Any, media_server: Server):
    with capture_logs() as lines:
        for answer in (says("200 OK", body=WAV), says("503 Busy"), says("404 No")):
            media_server.answer = answer
            run(make_import(alice, f"{media_server.url}/private-folder/a.wav?token=hush"))
    assert len(lines) >= 6
    assert "hush" not in repr(lines)
    assert "private-folder" not in repr(lines)


# --- Cancelling ---


@pytest.mark.django_db
def test_a_waiting_import_is_cancelled_at_once(alice: Any, charlie: Any, media_server: Server):
    ingest = make_import(alice, media_server.url)
    import_cancel(workspace=alice, import_uuid=ingest.uuid)
    import_cancel(workspace=alice, import_uuid=ingest.uuid)
    ingest.refresh_from_db()
    assert (ingest.state, media_server.n_connections) == (IngestState.CANCELLED, 0)
    assert not run_next_ingest()
    done = run(make_import(alice, media_server.url))
    with pytest.raises(WrongState):
        import_cancel(workspace=alice, import_uuid=done.uuid)
    done.refresh_from_db()
    assert done.state == IngestState.READY


@pytest.mark.django_db(transaction=True)
def test_a_fetch_that_runs_is_given_up_when_it_is_cancelled(
    media_server: Server, settings: Any, stored: Callable[[], list[str]]
):
    """The server would drip for ever; the limit on its time is far away."""
    workspace = make_workspace()
    ingest = make_import(workspace, f"{media_server.url}/a.wav")

    def drip(connected: socket.socket) -> None:
        connected.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        import_cancel(workspace=workspace, import_uuid=ingest.uuid)
        connection.close()
        while not media_server.stopping.wait(0.02):
            connected.sendall(b"x")

    media_server.answer = drip
    assert run_next_ingest()
    ingest.refresh_from_db()
    assert (ingest.state, ingest.attempt) == (IngestState.CANCELLED, 1)
    assert (Asset.objects.count(), stored(), scratch(settings)) == (0, [], [])


@pytest.mark.django_db
def test_workers_are_woken(
    alice: Any, media_server: Server, django_capture_on_commit_callbacks: Any
):
    with django_capture_on_commit_callbacks(execute=True):
        ingest = make_import(alice, media_server.url)
    assert [task.key for task in OrmQ.objects.all()] == ["imports"]
    OrmQ.objects.all().delete()
    # One wake-up was lost, and so is a worker later.
    with django_capture_on_commit_callbacks(execute=True):
        Janitor().round()
    assert [task.key for task in OrmQ.objects.all()] == ["imports"]
    claimed = ingest_claim()
    assert claimed is not None
    Ingest.objects.update(lease_until=LONG_AGO)
    Janitor().round()
    ingest.refresh_from_db()
    assert (ingest.state, ingest.losses) == (IngestState.WAITING, 1)
