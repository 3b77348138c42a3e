"""A real cluster of the imports, its real children, and SIGTERM in the middle of a fetch."""

import signal
import socket
import threading
from pathlib import Path

import pytest

from jobs.importing import import_create
from jobs.models import Asset, Ingest, IngestState
from tests.e2e.processes import manage, service_environment, wait_until
from tests.fakes.http import Server, says
from tests.jobs import bombs
from tests.makers import make_wav, make_workspace


@pytest.mark.django_db(transaction=True)
def test_imports_end_in_a_real_cluster_and_survive_its_stop(media_dir: Path, tmp_path: Path):
    log = tmp_path / "imports.log"
    wav = make_wav(seconds=0.2)
    is_slow = threading.Event()
    is_slow.set()

    def answer(connection: socket.socket) -> None:
        if b"GET /bomb" in server.requests[-1]:
            says("200 OK", body=bombs.silent_flac(1000))(connection)
        elif not is_slow.is_set() or b"GET /quick" in server.requests[-1]:
            says("200 OK", body=wav)(connection)
        else:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            while not server.stopping.wait(0.05):
                connection.sendall(b"x")

    server = Server(answer)
    with server.running():
        environ = service_environment(
            media_dir,
            STEMWRIGHT_OUTBOUND_ALLOW="127.0.0.0/8",
            STEMWRIGHT_OUTBOUND_PORTS=str(server.port),
            STEMWRIGHT_RECORDING_MAX_SECONDS="60",
            STEMWRIGHT_JOB_STOP_GRACE_SECONDS="0",
        )
        workspace = make_workspace()
        quick, bomb, slow = (
            # Ordered where this very address is not open: the name is looked at by the worker.
            import_create(workspace=workspace, api_key=None, url=f"http://media.example.org/{name}")
            for name in ("quick.wav", "bomb.flac", "slow.wav")
        )
        for ingest in (quick, bomb, slow):
            url = ingest.url.replace("media.example.org", f"127.0.0.1:{server.port}")
            Ingest.objects.filter(pk=ingest.pk).update(url=url)

        def row(ingest: Ingest) -> Ingest:
            return Ingest.objects.get(pk=ingest.pk)

        with manage("cluster", "imports", environ=environ, log=log) as cluster:
            # The rows were committed before it ran; their wake-ups may be gone.
            wait_until(lambda: row(bomb).finished_at is not None, timeout_s=60, log=log)
            wait_until(lambda: row(slow).received_bytes > 0, timeout_s=60, log=log)
            assert (row(bomb).state, row(bomb).error_code) == (IngestState.FAILED, "too_long")
            assert row(quick).state == IngestState.READY
            cluster.send_signal(signal.SIGTERM)
            assert cluster.wait(60) == 0
        handed_back = row(slow)
        assert (handed_back.state, handed_back.losses) == (IngestState.WAITING, 0)
        is_slow.clear()
        with manage("cluster", "imports", environ=environ, log=log):
            wait_until(lambda: row(slow).finished_at is not None, timeout_s=60, log=log)
    assert (row(slow).state, row(slow).attempt) == (IngestState.READY, 2)
    assert Asset.objects.count() == 2
