import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import InterfaceError, OperationalError
from django.test import Client

from config import health
from jobs.stores.files import FileStore

# Committed rows only, and connections of its own: the checks run in threads.
pytestmark = pytest.mark.django_db

CURSOR = "django.db.backends.base.base.BaseDatabaseWrapper.cursor"


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_is_migrated", False)
    forget()


def forget() -> None:
    for check in health._CHECKS:
        check._run = None


@pytest.fixture
def hung(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Storage that hangs until the test ends; counts who asked it."""
    asked: list[int] = []
    release = threading.Event()

    def hang(*_: Any) -> None:
        asked.append(1)
        release.wait(60)

    monkeypatch.setattr(FileStore, "probe", hang)
    monkeypatch.setattr(health, "_LIMIT_S", 0.2)
    yield asked
    release.set()
    for check in health._CHECKS:
        if check._run is not None:
            check._run._thread.join()


def test_it_is_ready_and_leaves_nothing_behind(client: Client, stored: Callable[[], list[str]]):
    response = client.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {"status": "ok", "database": True, "storage": True}
    assert stored() == []


def test_storage_that_cannot_be_written_is_seen(client: Client, settings: Any, tmp_path: Path):
    (tmp_path / "file").write_bytes(b"")
    settings.MEDIA_ROOT = tmp_path / "file" / "media"
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json() == {"status": "unavailable", "database": True, "storage": False}


class StrangeStorageError(Exception):
    """As those of object stores, which have no common base."""


def test_any_failure_of_storage_is_seen(client: Client, monkeypatch: pytest.MonkeyPatch):
    def fail(*args: Any) -> Any:
        raise StrangeStorageError

    monkeypatch.setattr(FileStore, "probe", fail)
    response = client.get("/readyz")
    assert (response.status_code, response.json()["storage"]) == (503, False)
    assert "Strange" not in response.text


def test_storage_that_hangs_hangs_nothing_else(client: Client, hung: list[int]):
    for _ in range(5):
        response = client.get("/readyz")
        assert response.status_code == 503
        assert response.json() == {"status": "unavailable", "database": True, "storage": False}
    assert len(hung) == 1
    assert client.get("/livez").json() == {"status": "ok"}


def test_an_answer_holds_for_a_moment(client: Client, monkeypatch: pytest.MonkeyPatch):
    asked: list[int] = []
    monkeypatch.setattr(FileStore, "probe", lambda _: asked.append(1))
    threads = [threading.Thread(target=Client().get, args=["/readyz"]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(asked) == 1
    later = time.monotonic() + health._HOLDS_S + 1
    monkeypatch.setattr("config.health.time.monotonic", lambda: later)
    assert client.get("/readyz").status_code == 200
    assert len(asked) == 2


@pytest.mark.parametrize("is_well", [True, False])
def test_another_broker_than_the_database_is_told_of(
    client: Client, monkeypatch: pytest.MonkeyPatch, settings: Any, is_well: bool
):
    def queue_size() -> int:
        if not is_well:
            raise ConnectionError
        return 0

    settings.BROKER_URL = "redis://127.0.0.1:1/0"
    broker = SimpleNamespace(queue_size=queue_size)
    monkeypatch.setattr("jobs.queue._broker", lambda cluster: broker)
    response = client.get("/readyz")
    # Orders can be taken without it.
    assert response.status_code == 200
    assert response.json() == {
        "status": "ok" if is_well else "degraded",
        "database": True,
        "storage": True,
        "broker": is_well,
    }


@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
@pytest.mark.parametrize("is_migrated", [True, False])
def test_a_database_that_is_away_is_seen(
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    error: type[Exception],
    is_migrated: bool,
):
    def fail(*_: Any) -> Any:
        raise error

    monkeypatch.setattr(health, "_is_migrated", is_migrated)
    monkeypatch.setattr(CURSOR, fail)
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json() == {"status": "unavailable", "database": False, "storage": True}


def test_missing_migrations_are_seen(client: Client, monkeypatch: pytest.MonkeyPatch):
    plan = "django.db.migrations.executor.MigrationExecutor.migration_plan"
    with monkeypatch.context() as patch:
        patch.setattr(plan, lambda *_: ["one"])
        assert client.get("/readyz").status_code == 503
    forget()
    assert client.get("/readyz").status_code == 200


def test_migrations_are_looked_up_until_they_are_there(
    client: Client, monkeypatch: pytest.MonkeyPatch
):
    assert client.get("/readyz").status_code == 200
    monkeypatch.delattr(health, "MigrationExecutor")
    forget()
    assert client.get("/readyz").status_code == 200
