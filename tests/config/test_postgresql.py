import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings as configured
from django.db import OperationalError, connection, connections
from django.db.backends.postgresql import base
from django.test.utils import CaptureQueriesContext

from accounts.models import Workspace
from accounts.ready_made import ReadyMade, ReadyMadeInsert, prepared_cursor

# Connections end here, which a test within a transaction would not survive.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def fresh() -> Iterator[None]:
    """A connection on which nothing was done before, nor is afterwards."""
    connection.close()
    yield
    connection.close()


def _take_up_again() -> None:
    """As at the start of a call."""
    connection.close_if_unusable_or_obsolete()


def _plans() -> list[tuple[str, int, int]]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement, generic_plans, custom_plans FROM pg_prepared_statements")
        return list(cursor.fetchall())


@pytest.mark.usefixtures("fresh")
def test_a_statement_that_comes_often_is_planned_once():
    for number in range(20):
        with prepared_cursor() as cursor:
            cursor.execute("SELECT %s::bigint + 1", [number])
            assert cursor.fetchone() == (number + 1,)
    ((statement, generic, custom),) = _plans()
    assert statement == "SELECT $1::bigint + 1"
    assert generic + custom == 15


@pytest.mark.usefixtures("fresh")
def test_other_statements_stay_as_they_are():
    for number in range(20):
        assert not Workspace.objects.filter(pk=number).exists()
    assert _plans() == []


@pytest.mark.usefixtures("fresh")
def test_what_is_logged_has_its_values():
    with CaptureQueriesContext(connection) as seen, prepared_cursor() as cursor:
        cursor.execute("SELECT %s", [17])
    assert [query["sql"] for query in seen.captured_queries] == ["SELECT 17"]


def test_a_ready_made_row_is_the_one_that_django_would_have_made():
    made = ReadyMadeInsert(Workspace).create(name="Ready made")
    row = Workspace.objects.get(pk=made.pk)
    values = [field.attname for field in Workspace._meta.concrete_fields]
    assert [getattr(made, name) for name in values] == [getattr(row, name) for name in values]
    assert not made._state.adding
    assert row in ReadyMade(Workspace, "SELECT {columns} FROM accounts_workspace").all()


@pytest.mark.usefixtures("fresh")
def test_a_connection_that_was_used_just_now_is_not_asked(monkeypatch: pytest.MonkeyPatch):
    connection.ensure_connection()
    monkeypatch.setattr(connection, "_seen_well_at", -float("inf"))
    asked: list[Any] = []
    usable = base.DatabaseWrapper.is_usable

    def ask(self: Any) -> bool:
        asked.append(self)
        return usable(self)

    monkeypatch.setattr(base.DatabaseWrapper, "is_usable", ask)
    for _ in range(3):
        _take_up_again()
        assert Workspace.objects.count() == 0
    assert len(asked) == 1


@pytest.mark.usefixtures("fresh")
def test_a_connection_that_the_server_closed_is_made_anew():
    for _ in range(2):
        _take_up_again()
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            backend = cursor.fetchone()[0]
    other = connections.create_connection("default")
    try:
        with other.cursor() as cursor:
            # Waits for its end.
            cursor.execute("SELECT pg_terminate_backend(%s, 10_000)", [backend])
            assert cursor.fetchone() == (True,)
    finally:
        other.close()
    _take_up_again()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        assert cursor.fetchone()[0] != backend


@pytest.mark.usefixtures("fresh")
def test_within_a_call_a_lost_connection_is_an_error():
    with prepared_cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        with pytest.raises(OperationalError):
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")


@pytest.mark.parametrize(("value", "threshold"), [("True", 5), ("False", None)])
def test_behind_a_pooler_nothing_is_prepared(value: str, threshold: int | None):
    program = (
        "from config import settings\n"
        "print(settings.DATABASES['default']['OPTIONS']['prepare_threshold'])"
    )
    environ = {
        **os.environ,
        "DATABASE_URL": "postgresql://unused/unused",
        "STEMWRIGHT_DATABASE_PREPARES": value,
    }
    run = subprocess.run(
        [sys.executable, "-c", program],
        cwd=configured.BASE_DIR,
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == str(threshold)
