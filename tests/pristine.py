"""The tables as the migrations leave them, again after each test that commits.

Django's own way truncates all of a hundred tables and makes the permissions anew, which takes half
a second; few tests touch more than ten tables. What the migrations put there (prices, packs,
plans) is kept aside and put back.
"""

from functools import cache

from django.db import connection, transaction
from django.test import TransactionTestCase
from psycopg import sql

# No test changes these.
_STAY = {"django_content_type", "auth_permission"}
_KEPT = "pristine"


def keep() -> None:
    """Once, of a database that is fresh from its migrations."""
    with connection.cursor() as cursor:
        for statement in ("DROP SCHEMA IF EXISTS {} CASCADE", "CREATE SCHEMA {}"):
            cursor.execute(sql.SQL(statement).format(sql.Identifier(_KEPT)))
        for table in _with_rows():
            cursor.execute(
                sql.SQL("CREATE TABLE {} AS TABLE {}").format(
                    sql.Identifier(_KEPT, table), sql.Identifier(table)
                )
            )
    _kept.cache_clear()
    TransactionTestCase._fixture_teardown = _restore  # type: ignore[attr-defined]


def _restore(_test: TransactionTestCase) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        dirty = _with_rows()
        for table in dirty:
            # The ledger and the audit trail forbid it to everybody.
            _switch_triggers("DISABLE", table)
        for table in dirty:
            cursor.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
        for table in _kept():
            cursor.execute(
                sql.SQL("INSERT INTO {} TABLE {}").format(
                    sql.Identifier(table), sql.Identifier(_KEPT, table)
                )
            )
        # Foreign keys are looked at when a transaction ends, and no table is altered before.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for table in dirty:
            _switch_triggers("ENABLE", table)


def _switch_triggers(verb: str, table: str) -> None:
    if table not in _with_triggers():
        return
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL("ALTER TABLE {} {} TRIGGER USER").format(sql.Identifier(table), sql.SQL(verb))
        )


def _with_rows() -> list[str]:
    looks = sql.SQL(" UNION ALL ").join(
        sql.SQL("SELECT {} WHERE EXISTS (SELECT FROM {})").format(table, sql.Identifier(table))
        for table in _tables()
    )
    with connection.cursor() as cursor:
        cursor.execute(looks)
        return [table for (table,) in cursor.fetchall()]


@cache
def _tables() -> list[str]:
    names = connection.introspection.django_table_names(only_existing=True, include_views=False)
    return sorted(set(names) - _STAY)


@cache
def _kept() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", [_KEPT])
        return [table for (table,) in cursor.fetchall()]


@cache
def _with_triggers() -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT tgrelid::regclass::text FROM pg_trigger WHERE NOT tgisinternal"
        )
        return {table for (table,) in cursor.fetchall()}
