"""Finding rows by any part of a text: an index of all that stands in it, three letters at a time.

PostgreSQL's extension pg_trgm does the same, but not every PostgreSQL comes with it. The function
is made by the migrations.
"""

from typing import Any, Final

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.lookups import DataContains
from django.db.models import F, Func, Q, TextField, Value
from django.db.models.functions import Lower, StrIndex
from django.db.models.lookups import GreaterThan

# Of a shorter text, the index knows nothing.
_LENGTH: Final = 3


def trigrams(text: Any) -> Func:
    """Of a column, as the index has them."""
    return Func(text, function="jobs_trigrams", output_field=ArrayField(TextField()))


def has_part(column: str, text: str) -> Q:
    """For `filter`: whether a column holds a text, in capitals or not."""
    part = Value(text, TextField())
    found = Q(GreaterThan(StrIndex(Lower(F(column)), Lower(part)), 0))
    if len(text) >= _LENGTH:
        found &= Q(DataContains(trigrams(F(column)), trigrams(part)))
    return found
