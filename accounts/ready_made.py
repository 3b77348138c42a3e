"""Statements whose text is put together once, for what every call asks.

The ORM compiles a query anew each time, which takes longer than the database needs to answer it.
"""

import json
from typing import Any, Generic, TypeVar

from django.db import connection
from django.db.backends.utils import CursorWrapper
from django.db.models import NOT_PROVIDED, JSONField, Model

M = TypeVar("M", bound=Model)


def prepared_cursor() -> CursorWrapper:
    """A cursor whose statements the database plans once for each connection (config/postgresql)."""
    ours: Any = connection
    cursor: CursorWrapper = ours.prepared_cursor()
    return cursor


class ReadyMade(Generic[M]):
    """Reads rows of a model. `{columns}` in the text stands for all of its columns, in order.

    What a row has beyond them comes beside it.
    """

    def __init__(self, model: type[M], text: str) -> None:
        self._model = model
        self._template = text
        self._text = ""
        self._names: list[str] = []
        self._json: list[int] = []

    def rows(self, *values: Any) -> list[tuple[M, tuple[Any, ...]]]:
        if not self._text:
            self._prepare()
        with prepared_cursor() as cursor:
            cursor.execute(self._text, values)
            return [self._row(row) for row in cursor.fetchall()]

    def all(self, *values: Any) -> list[M]:
        return [row for row, _ in self.rows(*values)]

    def first(self, *values: Any) -> M | None:
        return next(iter(self.all(*values)), None)

    def _prepare(self) -> None:
        # Not when it is made: the models may not be ready.
        fields = self._model._meta.concrete_fields
        self._names = [field.attname for field in fields]
        self._json = [n for n, field in enumerate(fields) if isinstance(field, JSONField)]
        table = self._model._meta.db_table
        columns = ", ".join(f'"{table}"."{field.column}"' for field in fields)
        self._text = self._template.format(columns=columns)

    def _row(self, row: tuple[Any, ...]) -> tuple[M, tuple[Any, ...]]:
        n = len(self._names)
        values = list(row[:n])
        # Django has the driver leave it as text.
        for place in self._json:
            if values[place] is not None:
                values[place] = json.loads(values[place])
        return self._model.from_db(connection.alias, self._names, values), row[n:]


class ReadyMadeInsert(Generic[M]):
    """Makes rows of a model, as `objects.create` does, but sends no signals.

    What only the database knows, such as when a row was made, is not to be given.
    """

    def __init__(self, model: type[M]) -> None:
        self._model = model
        self._text = ""
        self._given: list[Any] = []
        self._returned: list[str] = []

    def create(self, **values: Any) -> M:
        if not self._text:
            self._prepare()
        row = self._model(**values)
        given = [
            field.get_db_prep_save(field.pre_save(row, add=True), connection)
            for field in self._given
        ]
        with prepared_cursor() as cursor:
            cursor.execute(self._text, given)
            returned = cursor.fetchone()
        for name, value in zip(self._returned, returned, strict=True):
            setattr(row, name, value)
        row._state.adding = False
        row._state.db = connection.alias
        return row

    def _prepare(self) -> None:
        options = self._model._meta
        of_database = [
            field
            for field in options.concrete_fields
            if field.primary_key or field.db_default is not NOT_PROVIDED and not field.has_default()
        ]
        self._returned = [field.attname for field in of_database]
        self._given = [field for field in options.concrete_fields if field not in of_database]
        columns = ", ".join(f'"{field.column}"' for field in self._given)
        places = ", ".join(["%s"] * len(self._given))
        returning = ", ".join(f'"{field.column}"' for field in of_database)
        self._text = (
            f'INSERT INTO "{options.db_table}" ({columns}) VALUES ({places}) RETURNING {returning}'  # noqa: S608  (names of ours)
        )
