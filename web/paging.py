"""Pages of long lists that stay put while new rows arrive: `?after=` names the last row seen."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

SIZE = 50


@dataclass(frozen=True)
class ListPage:
    rows: list[Any]
    # Of the last row, if others follow.
    next: str | None
    is_first: bool


def page_newest_first(rows: QuerySet[Any], after: str, *, size: int = SIZE) -> ListPage:
    """A page of rows, which have a `uuid`; the first one where `after` names none of them."""
    last = rows.filter(uuid=uuid).first() if (uuid := uuid_of(after)) else None
    if last is not None:
        rows = rows.filter(pk__lt=last.pk)
    found = list(rows.order_by("-pk")[: size + 1])
    shown = found[:size]
    following = str(shown[-1].uuid) if len(found) > size else None
    return ListPage(shown, following, is_first=last is None)


def uuid_of(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
