"""Which conversions there are, as callers ask for them."""

import base64
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from uuid import UUID

from django.db.models import QuerySet
from django.utils.dateparse import parse_date, parse_datetime
from rest_framework.request import Request

from accounts.models import Workspace
from api.musicgpt.dialect import DIALECT, NO_FIELD
from api.musicgpt.ids import task_id_of
from api.musicgpt.names import KINDS, OTHER_TYPES, type_of
from config.errors import NotFound, ValidationFailed
from jobs.models import Job
from jobs.selectors import job_get_for_workspace, job_list

LIMIT: Final = 20
LIMIT_AT_MOST: Final = 100


@dataclass(frozen=True)
class Wanted:
    """A page of conversions, from `start` to before `end`."""

    type: str | None
    start: datetime | None
    end: datetime | None
    is_oldest_first: bool
    limit: int
    # The row that the page before ended with.
    after: int | None


def conversion_get(*, workspace: Workspace, type: str, task_id: UUID) -> Job:
    try:
        job = job_get_for_workspace(workspace=workspace, job_uuid=task_id)
    except NotFound:
        raise _unknown() from None
    if job.dialect != DIALECT.name or job.dialect_data["conversion_type"] != type:
        raise _unknown()
    return job


def conversions_page(*, workspace: Workspace, wanted: Wanted) -> tuple[list[Job], str | None]:
    """The conversions, and what to ask for the next page with; None at the end."""
    jobs = _filtered(job_list(workspace=workspace).filter(dialect=DIALECT.name), wanted)
    page = list(jobs[: wanted.limit + 1])
    if len(page) <= wanted.limit:
        return page, None
    page.pop()
    return page, base64.urlsafe_b64encode(f"after={page[-1].pk}".encode()).decode()


def _filtered(jobs: QuerySet[Job], wanted: Wanted) -> QuerySet[Job]:
    if wanted.type is not None:
        jobs = jobs.filter(dialect_data__conversion_type=wanted.type)
    if wanted.start is not None:
        jobs = jobs.filter(created_at__gte=wanted.start)
    if wanted.end is not None:
        jobs = jobs.filter(created_at__lt=wanted.end)
    if wanted.after is not None:
        after = {"pk__gt" if wanted.is_oldest_first else "pk__lt": wanted.after}
        jobs = jobs.filter(**after)
    return jobs.order_by("pk" if wanted.is_oldest_first else "-pk")


def by_id_read(request: Request) -> tuple[str, UUID]:
    """The kind of conversion and the id of its task."""
    type = _type(request)
    if type is None:
        raise _wrong("conversionType", f"Send one of {', '.join(KINDS)}.")
    task, conversion = (_text(request, name) for name in ("task_id", "conversion_id"))
    if bool(task) == bool(conversion):
        raise _wrong(NO_FIELD, "Send exactly one of task_id and conversion_id.")
    if task:
        return type, _id("task_id", task)
    return type, task_id_of(_id("conversion_id", conversion))


def by_user_read(request: Request) -> Wanted:
    order = _text(request, "sortOrder").upper() or "DESC"
    if order not in ("ASC", "DESC"):
        raise _wrong("sortOrder", "Send ASC or DESC.")
    end = _time(request, "endDate")
    if isinstance(end, date) and not isinstance(end, datetime):
        # The whole of that day.
        end += timedelta(days=1)
    return Wanted(
        type=_type(request),
        start=_moment(_time(request, "startDate")),
        end=_moment(end),
        is_oldest_first=order == "ASC",
        limit=_limit(request),
        after=_after(request),
    )


def _text(request: Request, name: str) -> str:
    return str(request.query_params.get(name, "")).strip()


def _type(request: Request) -> str | None:
    text = _text(request, "conversionType")
    if not text:
        return None
    type = type_of(text)
    if type is None:
        known = ", ".join((*KINDS, *OTHER_TYPES))
        raise _wrong("conversionType", f"There is no such type; there are {known}.")
    return type


def _id(name: str, text: str) -> UUID:
    # UUID() takes more: "urn:uuid:…", braces, and dashes anywhere.
    if not re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text):
        raise _wrong(name, "This must be an id as it was given out.")
    return UUID(text)


def _limit(request: Request) -> int:
    text = _text(request, "limit")
    if not text:
        return LIMIT
    if not re.fullmatch(r"0*[1-9][0-9]{0,8}", text):
        raise _wrong("limit", "This must be a whole number from 1 on.")
    return min(int(text), LIMIT_AT_MOST)


def _after(request: Request) -> int | None:
    text = _text(request, "LastEvaluatedKey")
    if not text:
        return None
    try:
        plain = base64.urlsafe_b64decode(text.encode()).decode()
    except ValueError:
        plain = ""
    found = re.fullmatch(r"after=([0-9]{1,18})", plain)
    if found is None:
        raise _wrong("LastEvaluatedKey", "Take it from the page before.")
    return int(found[1])


def _time(request: Request, name: str) -> date | None:
    """A day or a moment, in ISO 8601."""
    text = _text(request, name)
    if not text:
        return None
    try:
        # In an address, the plus of a time zone is a blank unless it is escaped.
        found = parse_date(text) or parse_datetime(re.sub(r" (?=\d\d:?\d\d$)", "+", text))
    except ValueError:
        found = None
    if found is None or not 1970 <= found.year < 9999:
        raise _wrong(name, "Send a day or a time, such as 2026-01-31 or 2026-01-31T12:00:00Z.")
    return found


def _moment(found: date | None) -> datetime | None:
    """Without a time zone, UTC is meant."""
    if found is None:
        return None
    if not isinstance(found, datetime):
        return datetime.combine(found, time(), UTC)
    # PostgreSQL knows no time zone as far away as Python does.
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def _unknown() -> NotFound:
    return NotFound("There is no such conversion.")


def _wrong(name: str, problem: str) -> ValidationFailed:
    return ValidationFailed(fields={name: [problem]})
