from typing import cast

from django.db import connection
from django.db.backends.utils import CursorWrapper

from config.postgresql.base import DatabaseWrapper


def prepared_cursor() -> CursorWrapper:
    """A cursor whose statements are planned once for each connection (`DatabaseWrapper`)."""
    return cast(DatabaseWrapper, connection).prepared_cursor()
