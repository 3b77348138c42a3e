"""Ids of which only the beginning is known."""

from uuid import UUID


def ids_from(start: str) -> tuple[UUID, UUID] | None:
    """The first and the last id that begin so: a range along their index; None if none can."""
    start = start.lower()
    digits = start.replace("-", "")
    try:
        first, last = UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))
    except ValueError:
        return None
    return (first, last) if str(first).startswith(start) else None
