"""A database whose time stands still until it is told."""

from datetime import UTC, datetime, timedelta

from django.db import connection

START = datetime(2026, 1, 1, tzinfo=UTC)
# Found before the built-in one, for as long as the session has this search path.
_SQL = """
CREATE SCHEMA IF NOT EXISTS simulated;
CREATE OR REPLACE FUNCTION simulated.statement_timestamp() RETURNS timestamptz
  LANGUAGE sql STABLE AS $$ SELECT current_setting('simulated.now')::timestamptz $$;
SET search_path = simulated, pg_catalog, public;
SET synchronous_commit = off;
"""


def replace_clock() -> None:
    with connection.cursor() as cursor:
        cursor.execute(_SQL)
    set_clock(0)


def restore_clock() -> None:
    connection.close()


def set_clock(seconds: float) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('simulated.now', %s, false)", [at(seconds).isoformat()])


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)
