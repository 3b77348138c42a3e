"""Pages show times, and count days, in the time zone of their reader; programs are told UTC."""

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import Final

from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone

from accounts.models import User
from accounts.time_zones import time_zone_of
from web.locale import FOR_PROGRAMS

# What the browser says, for who has chosen none (static/js/shell.js).
COOKIE: Final = "time_zone"
_FIRST: Final = date(1970, 1, 2)
_LAST: Final = date(9000, 1, 1)


class TimeZoneMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path.startswith(FOR_PROGRAMS):
            return self._get_response(request)
        zone = time_zone_of(chosen_zone(request) or request.COOKIES.get(COOKIE, ""))
        with timezone.override(zone):
            return self._get_response(request)


def chosen_zone(request: HttpRequest) -> str:
    """What its reader has set; empty: nothing."""
    user = getattr(request, "user", None)
    return user.time_zone if isinstance(user, User) else ""


def midnight(day: date, *, days: int = 0) -> datetime:
    """When a day begins for the reader, or one so many days later."""
    # What is far off is as good as these, which all clocks and calendars know.
    day = min(max(day, _FIRST), _LAST) + timedelta(days=days)
    return datetime.combine(day, time(), timezone.get_current_timezone())
