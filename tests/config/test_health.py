from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import InterfaceError, OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from config import health

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_is_migrated", False)


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


@pytest.mark.parametrize("method", ["save", "open", "delete"])
def test_any_failure_of_storage_is_seen(
    client: Client, monkeypatch: pytest.MonkeyPatch, method: str
):
    def fail(*args: Any) -> Any:
        raise StrangeStorageError

    monkeypatch.setattr(f"django.core.files.storage.FileSystemStorage.{method}", fail)
    response = client.get("/readyz")
    assert (response.status_code, response.json()["storage"]) == (503, False)
    assert "Strange" not in response.text


def test_storage_that_gives_back_something_else_is_seen(
    client: Client, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("django.core.files.base.ContentFile.chunks", lambda *_: iter([b"rea"]))
    assert client.get("/readyz").json()["storage"] is False


@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
@pytest.mark.parametrize("is_migrated", [True, False])
def test_a_database_that_is_away_is_seen(
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    error: type[Exception],
    is_migrated: bool,
):
    def fail() -> Any:
        raise error

    monkeypatch.setattr(health, "_is_migrated", is_migrated)
    monkeypatch.setattr(connection, "cursor", fail)
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json() == {"status": "unavailable", "database": False, "storage": True}


def test_missing_migrations_are_seen(client: Client, monkeypatch: pytest.MonkeyPatch):
    plan = "django.db.migrations.executor.MigrationExecutor.migration_plan"
    monkeypatch.setattr(plan, lambda *_: ["one"])
    assert client.get("/readyz").status_code == 503
    monkeypatch.undo()
    assert client.get("/readyz").status_code == 200


def test_migrations_are_looked_up_until_they_are_there(
    client: Client, monkeypatch: pytest.MonkeyPatch
):
    assert client.get("/readyz").status_code == 200
    monkeypatch.delattr(health, "MigrationExecutor")
    with CaptureQueriesContext(connection) as queries:
        assert client.get("/readyz").status_code == 200
    assert [query["sql"] for query in queries] == ["SELECT 1"]
