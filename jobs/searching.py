"""Finding jobs among many: what pages filter, count and leaf through."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db.models import Count, Q, QuerySet

from accounts.models import Workspace
from jobs.id_ranges import ids_from
from jobs.models import Asset, AssetState, Job
from jobs.models.trigrams import has_part
from jobs.selectors import job_list

# More are not counted: nobody reads such a number to the digit, and it would be read each time.
COUNT_AT_MOST: Final = 10_000
# So many digits of an id are enough to look for one.
_ID_DIGITS_AT_LEAST: Final = 4


@dataclass(frozen=True, kw_only=True)
class JobSearch:
    """What is looked for; what is empty does not matter. `text` is part of the name of the job or
    of its recording, or how the id of the job begins."""

    states: Sequence[str] = ()
    service: str = ""
    key: UUID | None = None
    # The member who ordered it.
    person: UUID | None = None
    # Ordered by a person on the pages.
    is_without_key: bool = False
    text: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class JobPage:
    """Some of many jobs; the jobs whose ids lead to the pages beside it, if there are any."""

    jobs: Sequence[Job]
    before: UUID | None
    after: UUID | None


def job_search(*, workspace: Workspace, search: JobSearch) -> QuerySet[Job]:
    rows = _found(job_list(workspace=workspace), workspace, search)
    rows = rows.select_related("asset", "ingest", "api_key", "ordered_by")
    return rows.filter(state__in=search.states) if search.states else rows


def jobs_of(*, workspace: Workspace, job_uuids: Collection[UUID]) -> list[Job]:
    """Those of these jobs that are there, all read at once."""
    rows = job_list(workspace=workspace).filter(uuid__in=job_uuids)
    return list(rows.select_related("asset", "ingest")) if job_uuids else []


def job_counts(*, workspace: Workspace, search: JobSearch) -> dict[str, int]:
    """How many there are in each state, whatever states are looked for; of the newest."""
    rows = Job.objects.filter(workspace=workspace, deleted_at=None)
    found = _found(rows, workspace, search)
    newest = found.order_by("-pk").values("pk")[:COUNT_AT_MOST]
    counts = Job.objects.filter(pk__in=newest).values_list("state").annotate(n=Count("pk"))
    return dict(counts.order_by())


def job_page(
    *,
    workspace: Workspace,
    search: JobSearch,
    size: int,
    is_oldest_first: bool = False,
    before: UUID | None = None,
    after: UUID | None = None,
) -> JobPage:
    """The page that ends before one job, or begins after another; else the first one."""
    rows = job_search(workspace=workspace, search=search)
    forward = before is None
    turn = None if (edge := before or after) is None else _pk(workspace, edge)
    # Towards later rows as they are shown, or back.
    ascending = is_oldest_first == forward
    if turn is not None:
        rows = rows.filter(pk__gt=turn) if ascending else rows.filter(pk__lt=turn)
    found = list(rows.order_by("pk" if ascending else "-pk")[: size + 1])
    is_more, found = len(found) > size, found[:size]
    if not forward:
        found.reverse()
    if not found:
        return JobPage([], None, None)
    has_before, has_after = (turn is not None, is_more) if forward else (is_more, turn is not None)
    return JobPage(
        found, found[0].uuid if has_before else None, found[-1].uuid if has_after else None
    )


def _found(rows: QuerySet[Job], workspace: Workspace, search: JobSearch) -> QuerySet[Job]:
    """Whatever their state."""
    given = {
        "service": search.service or None,
        "api_key__uuid": search.key,
        "ordered_by__uuid": search.person,
        "created_at__gte": search.since,
        "created_at__lt": search.until,
    }
    rows = rows.filter(**{name: value for name, value in given.items() if value is not None})
    if search.is_without_key:
        rows = rows.filter(api_key=None)
    return rows.filter(pk__in=_with_text(search.text, workspace)) if search.text else rows


def _with_text(text: str, workspace: Workspace) -> QuerySet[Job, int]:
    """Each way to find one by an index of its own, which a condition of several ways has not."""
    jobs = Job.objects.filter(workspace=workspace).order_by().values_list("pk", flat=True)
    recordings = (
        Asset.objects.filter(workspace=workspace, state=AssetState.READY)
        .filter(has_part("filename", text))
        .values("pk")
    )
    # Of a recording that is still being fetched, its address is all that is known.
    coming = Q(ingest__filename__icontains=text) | Q(ingest__url__icontains=text)
    return (
        jobs.exclude(name="")
        .filter(has_part("name", text))
        .union(
            jobs.filter(asset__in=recordings),
            jobs.filter(coming, asset=None),
            jobs.filter(uuid__range=span) if (span := _ids(text)) else jobs.none(),
        )
    )


def _ids(start: str) -> tuple[UUID, UUID] | None:
    is_enough = len(start.replace("-", "")) >= _ID_DIGITS_AT_LEAST
    return ids_from(start) if is_enough else None


def _pk(workspace: Workspace, job_uuid: UUID) -> int | None:
    # Also of one that was deleted since: the page beside it is still where it was.
    rows = Job.objects.filter(workspace=workspace, uuid=job_uuid)
    return rows.values_list("pk", flat=True).first()
