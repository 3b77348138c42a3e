"""The client library against the real service over HTTP, and a worker beside it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from stemwright import Client, Retries

from jobs.ingesting import run_next_ingest
from jobs.runner import run_next_job
from tests.clients.proxy import Proxy
from tests.fakes.engine import separate_here
from tests.makers import make_key, make_wav

_LOOK_EVERY_S = 0.02


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever proxy and key the machine has, and no folder of its user."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    # Not XDG_CACHE_HOME: the service, in this process, finds its weights by it.
    monkeypatch.setattr("stemwright.cli.orders.resume_dir", lambda: tmp_path / "cache")
    for name in ("STEMWRIGHT_API_KEY", "STEMWRIGHT_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker of these tests needs no half second."""
    monkeypatch.setattr("stemwright._polling._FIRST_PAUSE_S", _LOOK_EVERY_S)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that the library wants to make; it makes none."""
    wanted: list[float] = []
    monkeypatch.setattr("stemwright._http.sleep", wanted.append)
    return wanted


@pytest.fixture
def workspace(transactional_db: None, alice: Any) -> Any:
    return alice


@pytest.fixture
def key(workspace: Any) -> str:
    return make_key(workspace)


@pytest.fixture
def client(live_server: Any, key: str) -> Iterator[Client]:
    with Client(key, live_server.url) as client:
        yield client


@pytest.fixture
def proxy(live_server: Any) -> Iterator[Proxy]:
    with Proxy(live_server.url).running() as proxy:
        yield proxy


@pytest.fixture
def through(proxy: Proxy, key: str, pauses: list[float]) -> Iterator[Client]:
    """A client that reaches the service through the proxy."""
    with Client(key, proxy.url, retries=Retries(attempts=4)) as client:
        yield client


@pytest.fixture
def worker(live_server: Any, fake_separation: Any, fake_diarization: Any) -> Iterator[None]:
    """Does what waits, by the real code but for the engine, as long as the test lasts."""
    with working():
        yield


@pytest.fixture
def real_worker(live_server: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """With the real engine, in this process."""
    monkeypatch.setattr("jobs.work.separation.engine_separate", separate_here)
    with working():
        yield


@contextmanager
def working() -> Iterator[None]:
    stop = threading.Event()

    def work() -> None:
        try:
            while not stop.is_set():
                if not (run_next_ingest() or run_next_job()):
                    stop.wait(_LOOK_EVERY_S)
        finally:
            connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.fixture
def song(tmp_path: Path) -> Path:
    path = tmp_path / "song.wav"
    path.write_bytes(make_wav(seconds=0.2))
    return path


@pytest.fixture
def long_song(tmp_path: Path) -> Path:
    """More than is sent in one call: 5.3 MB."""
    path = tmp_path / "long song.wav"
    path.write_bytes(make_wav(seconds=30.0))
    return path
