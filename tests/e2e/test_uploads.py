"""An upload by tus to a real web server, through everything that can end a connection."""

import hashlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from jobs.models import Ingest, IngestPart, IngestState
from jobs.receiving import ingest_collect
from tests.e2e.processes import ROOT, service_environment, wait_until
from tests.makers import make_key, make_workspace

pytestmark = pytest.mark.django_db(transaction=True)

MB = 1024**2
SLICE = 2 * MB


@contextmanager
def web(port: int, environ: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = f"-m gunicorn -c config/gunicorn.py config.wsgi:application -b 127.0.0.1:{port}"
    command += " --workers 2 --threads 8"
    metrics = log.parent / "metrics"
    metrics.mkdir(exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, *command.split()],
            cwd=ROOT,
            env={**environ, "PROMETHEUS_MULTIPROC_DIR": str(metrics)},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            wait_until(lambda: is_up(port), timeout_s=60, log=log)
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def is_up(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/livez", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


class TusClient:
    """As clients in browsers do it: announce, ask how far it came, send what follows."""

    def __init__(self, port: int, key: str, content: bytes) -> None:
        self.port, self.content = port, content
        self.headers = {"X-API-Key": key, "Tus-Resumable": "1.0.0"}
        answer = self._call("POST", "/v1/uploads", {"Upload-Length": str(len(content))})
        assert answer.status_code == 201
        self.path = urlsplit(answer.headers["Location"]).path

    def offset(self) -> int:
        answer = self._call("HEAD", self.path)
        assert answer.status_code == 200
        return int(answer.headers["Upload-Offset"])

    def state(self) -> dict[str, Any]:
        body: dict[str, Any] = self._call("GET", self.path).json()
        return body

    def send(self, start: int, size_bytes: int) -> httpx.Response:
        content = self.content[start : start + size_bytes]
        return self._call("PATCH", self.path, self._chunk_headers(start), content)

    def send_part_of(self, announced_bytes: int, sent_bytes: int) -> socket.socket:
        """A connection on which less has been sent than was announced."""
        start = self.offset()
        headers = {**self.headers, **self._chunk_headers(start)}
        lines = [
            f"PATCH {self.path} HTTP/1.1",
            "Host: 127.0.0.1",
            f"Content-Length: {announced_bytes}",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        connection.sendall(self.content[start : start + sent_bytes])
        return connection

    def _call(
        self, method: str, path: str, headers: dict[str, str] | None = None, content: bytes = b""
    ) -> httpx.Response:
        # A connection of its own for each, so that any of the web processes may get it.
        return httpx.request(
            method,
            f"http://127.0.0.1:{self.port}{path}",
            headers={**self.headers, **(headers or {})},
            content=content,
            trust_env=False,
            timeout=60,
        )

    def _chunk_headers(self, start: int) -> dict[str, str]:
        return {
            "Content-Type": "application/offset+octet-stream",
            "Upload-Offset": str(start),
        }


def test_an_upload_survives_what_ends_its_connections(
    tmp_path: Path, media_dir: Path, unused_port: int
):
    key = make_key(make_workspace(credits=0))
    log = tmp_path / "web.log"
    temporary = tmp_path / "arriving"
    temporary.mkdir()
    environ = service_environment(
        media_dir,
        STEMWRIGHT_UPLOAD_SLICE_BYTES=str(SLICE),
        STEMWRIGHT_UPLOAD_IDLE_SECONDS="3",
        STEMWRIGHT_UPLOAD_TEMP_DIR=str(temporary),
    )
    content = os.urandom(30 * MB)
    with web(unused_port, environ, log) as server:
        client = TusClient(unused_port, key, content)
        assert client.send(0, 5 * MB).headers["Upload-Offset"] == str(5 * MB)

        # The client goes away in the middle of a chunk: all that arrived is kept.
        client.send_part_of(10 * MB, 5 * MB + 77).close()
        wait_until(lambda: client.offset() == 10 * MB + 77, timeout_s=30, log=log)

        # Its network is gone: nothing comes any more, and the connection stays.
        with client.send_part_of(10 * MB, MB) as connection:
            refusal = connection.recv(4096).decode()
        assert refusal.startswith("HTTP/1.1 503")
        assert f"Upload-Offset: {11 * MB + 77}" in refusal
        assert client.offset() == 11 * MB + 77

        # The same during a direct upload, of which nothing is kept.
        with socket.create_connection(("127.0.0.1", unused_port), timeout=60) as connection:
            lines = (
                "POST /v1/assets HTTP/1.1",
                "Host: 127.0.0.1",
                f"X-API-Key: {key}",
                "Content-Type: multipart/form-data; boundary=b",
                "Content-Length: 1000",
            )
            connection.sendall(("\r\n".join([*lines, "", ""]) + "--b\r\n").encode())
            assert connection.recv(4096).startswith(b"HTTP/1.1 503")

        # Two copies of it send the same chunk.
        start = client.offset()
        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(lambda _: client.send(start, SLICE), range(2)))
        assert sorted(answer.status_code for answer in answers) == [204, 409]
        start += SLICE
        assert {answer.headers["Upload-Offset"] for answer in answers} == {str(start)}

        # The server is killed in the middle of a chunk: no more than a slice is lost.
        with client.send_part_of(10 * MB, 5 * MB):
            wait_until(lambda: client.offset() >= start + 2 * SLICE, timeout_s=30, log=log)
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()
        assert list(temporary.iterdir()) == []
    with web(unused_port, environ, log):
        start += 2 * SLICE
        assert client.offset() == start
        answer = client.send(start, len(content))
        assert answer.headers["Upload-Offset"] == str(len(content))
        state = client.state()
        assert (state["state"], state["received_bytes"]) == ("waiting", len(content))

    upload = Ingest.objects.get()
    assert upload.state == IngestState.WAITING
    ingest_collect(upload, path=tmp_path / "recording")
    with (tmp_path / "recording").open("rb") as recording:
        digest = hashlib.file_digest(recording, "sha256").hexdigest()
    assert digest == hashlib.sha256(content).hexdigest()
    stored = {path.name for path in media_dir.rglob("*") if path.is_file()}
    kept = {
        key.rpartition("/")[2] for key in IngestPart.objects.values_list("storage_key", flat=True)
    }
    assert kept <= stored
    # Besides, at most what was being stored as the server died.
    assert len(stored - kept) <= 1


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
