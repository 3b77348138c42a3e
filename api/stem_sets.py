"""Sets of stems that are ordered by one name."""

from collections.abc import Sequence

from config.errors import ModelUnavailable
from jobs.catalog import stems_possible


def stems_available(wanted: Sequence[str]) -> tuple[str, ...]:
    """As much of these as can be made here by one order, in their order: where the parts of a stem
    cannot be told apart, that stem takes their place."""
    found = stems_possible(wanted)
    if not found:
        raise ModelUnavailable(f"None of these stems can be made here: {', '.join(wanted)}.")
    return found
