"""In which time people live: names such as `Europe/Berlin`, as browsers and IANA have them."""

from datetime import UTC, tzinfo
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

# The others are older names, and numbers of hours.
_AREAS: Final = (
    "Africa/",
    "America/",
    "Antarctica/",
    "Asia/",
    "Atlantic/",
    "Australia/",
    "Europe/",
    "Indian/",
    "Pacific/",
)


def time_zone_of(name: str) -> tzinfo | None:
    """None for what is no name of one."""
    if name == "UTC":
        return UTC
    # Any other text would be looked up as a file.
    return ZoneInfo(name) if name in _known() else None


def time_zone_names() -> list[str]:
    """To choose from."""
    return ["UTC", *sorted(name for name in _known() if name.startswith(_AREAS))]


@cache
def _known() -> frozenset[str]:
    return frozenset(available_timezones())
