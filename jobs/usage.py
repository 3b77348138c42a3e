"""What was worked and paid for, summed up by day, service or key.

A job counts on the day on which it succeeded, by the clock of who asks. What was deleted since
counts too; the ledger says the same of the credits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any, Final
from uuid import UUID

from django.contrib.postgres.fields import ArrayField
from django.db.models import (
    Count,
    DateTimeField,
    F,
    FloatField,
    Func,
    IntegerField,
    QuerySet,
    Sum,
    Value,
)
from django.db.models.functions import Cast, Coalesce
from django.utils.translation import gettext_lazy as _

from accounts.models import Workspace
from config.errors import ValidationFailed, filled
from jobs.models import Job, JobState

GROUPS: Final = ("day", "service", "key")
DAYS_AT_MOST: Final = 366

_AUDIO_S = Cast(
    Coalesce(F("range_end") - F("range_start"), F("asset__n_samples")), FloatField()
) / Cast(F("asset__sample_rate"), FloatField())
# Fields of jobs, and what is put together of them.
_BY: Final[dict[str, tuple[tuple[str, ...], dict[str, Any]]]] = {
    "day": ((), {"day_number": F("day_number")}),
    "service": (("service",), {}),
    "key": ((), {"key": F("api_key__uuid"), "key_name": F("api_key__name")}),
}


@dataclass(frozen=True)
class Usage:
    """Of one day, service or key, or in all."""

    jobs: int
    charged_mcr: int
    audio_s: float
    day: date | None = None
    service: str | None = None
    # None: ordered by a person who signed in, or with a key that is no more.
    key: UUID | None = None
    key_name: str | None = None


@dataclass(frozen=True)
class UsageReport:
    first: date
    last: date
    total: Usage
    groups: Sequence[Usage]


def usage_get(
    *,
    workspace: Workspace,
    group_by: str,
    first: date,
    last: date,
    by_day: bool = False,
    key: UUID | None = None,
    zone: tzinfo = UTC,
) -> UsageReport:
    """From the first day to the last, both included; days without any are left out.

    `by_day`: a group is of one day and service, or of one day and key. With `key`, only what was
    ordered with it. Days are those of `zone`.
    """
    if last < first:
        raise ValidationFailed(fields={"to": [_("This must not be before `from`.")]})
    if (last - first).days >= DAYS_AT_MOST:
        raise ValidationFailed(
            fields={"from": [filled(_("At most %(most)s days at once."), most=DAYS_AT_MOST)]}
        )
    n_days = (last - first).days + 1
    midnights = [
        datetime.combine(first + timedelta(days=n), time(), zone) for n in range(n_days + 1)
    ]
    jobs = Job.objects.filter(
        workspace=workspace,
        state=JobState.SUCCEEDED,
        finished_at__gte=midnights[0],
        finished_at__lt=midnights[-1],
    ).annotate(day_number=_place_among(midnights))
    if key is not None:
        jobs = jobs.filter(api_key__uuid=key)
    names = ("day", group_by) if by_day and group_by != "day" else (group_by,)
    groups = [_usage(row, first) for row in _grouped(jobs, names)]
    total = Usage(
        jobs=sum(one.jobs for one in groups),
        charged_mcr=sum(one.charged_mcr for one in groups),
        audio_s=sum(one.audio_s for one in groups),
    )
    return UsageReport(first, last, total, groups)


def _grouped(jobs: QuerySet[Job], names: Sequence[str]) -> QuerySet[Job, dict[str, Any]]:
    fields = [field for name in names for field in _BY[name][0]]
    named = {field: value for name in names for field, value in _BY[name][1].items()}
    grouped: QuerySet[Job, dict[str, Any]] = (
        jobs.order_by()
        .values(*fields, **named)
        .annotate(jobs=Count("pk"), charged_mcr=Sum("charged_mcr"), audio_s=Sum(_AUDIO_S))
    )
    days = ["day_number" for name in names if name == "day"]
    by_cost = [] if names == ("day",) else ["-charged_mcr"]
    return grouped.order_by(*days, *by_cost, *fields, *named)


def _place_among(moments: Sequence[datetime]) -> Func:
    """After how many of them a job succeeded. PostgreSQL need not know the time zone for that."""
    listed = Value(list(moments), ArrayField(DateTimeField()))
    return Func("finished_at", listed, function="WIDTH_BUCKET", output_field=IntegerField())


def _usage(row: dict[str, Any], first: date) -> Usage:
    number = row.pop("day_number", None)
    return Usage(**row, day=None if number is None else first + timedelta(days=number - 1))
