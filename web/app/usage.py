"""What was worked and paid for, as a chart, a table and a file."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import Workspace
from accounts.principal import Principal
from accounts.scopes import CREDITS_READ
from billing.pricing import credits_text, days_left
from billing.selectors import wallet_get
from config.errors import ValidationFailed
from jobs.stored import stored_sum
from jobs.usage import Usage, UsageReport, usage_get
from web.app.usage_csv import csv_response
from web.paging import uuid_of
from web.service_names import service_name
from web.views import app_page

_DAYS: Final = 30
_SPLITS: Final = ("service", "key", "day")
# As many as can be told apart by colour; the rest goes together.
_SERIES_AT_MOST: Final = 8


@dataclass(frozen=True)
class Wish:
    """What the address of the page asks for."""

    first: date
    last: date
    split: str
    key: UUID | None = None


@dataclass
class Series:
    """One service or key: in all, and of each day that has some."""

    name: str
    key: UUID | None = None
    jobs: int = 0
    charged_mcr: int = 0
    audio_s: float = 0.0
    days: dict[date, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, usage: Usage) -> None:
        assert usage.day is not None  # noqa: S101 - it was asked for by day
        self.jobs += usage.jobs
        self.charged_mcr += usage.charged_mcr
        self.audio_s += usage.audio_s
        self.days[usage.day] += usage.charged_mcr


@dataclass(frozen=True)
class Row:
    """A day of the table: what each series cost on it, and all together."""

    day: date
    amounts_mcr: Sequence[int]
    total_mcr: int


@app_page(CREDITS_READ)
def usage(request: HttpRequest, principal: Principal) -> HttpResponse:
    today = timezone.localdate()
    wish, error = _default(today), None
    workspace = principal.workspace
    try:
        wish = _wish(request.GET, today)
        report = _report(workspace, wish)
    except ValidationFailed as refusal:
        wish, error = _default(today), refusal
        report = _report(workspace, wish)
    series, keys = _series(report, wish.split), _keys(workspace, wish)
    context = {
        "wish": wish,
        "error": error,
        "report": report,
        "series": series,
        "rows": _rows(series),
        "keys": keys,
        "is_other_key": wish.key is not None and wish.key not in {one.key for one in keys},
        "ranges": _ranges(today),
        "stored": stored_sum(workspace=workspace),
        **_tiles(workspace, today),
    }
    return render(request, "app/usage.html", context, status=error.status if error else 200)


@app_page(CREDITS_READ)
def usage_csv(request: HttpRequest, principal: Principal) -> HttpResponse:
    wish = _wish(request.GET, timezone.localdate())
    rows = [
        [
            one.day,
            one.service or "",
            one.key_name or "",
            one.key or "",
            one.jobs,
            f"{one.audio_s:.3f}",
            credits_text(one.charged_mcr),
            one.charged_mcr,
        ]
        for one in _report(principal.workspace, wish).groups
    ]
    columns = ["day", "service", "key_name", "key", "jobs", "audio_s", "credits", "milli_credits"]
    return csv_response(f"usage-{wish.first}-{wish.last}.csv", columns, rows)


def _default(today: date) -> Wish:
    return Wish(today - timedelta(days=_DAYS - 1), today, "service")


def _wish(values: Mapping[str, str], today: date) -> Wish:
    last = _day(values, "to") or today
    first = _day(values, "from") or last - timedelta(days=_DAYS - 1)
    split = values.get("by", "") or "service"
    key = uuid_of(values["key"]) if values.get("key") else None
    if split not in _SPLITS or (values.get("key") and key is None):
        raise ValidationFailed(_("The usage cannot be shown this way."))
    return Wish(first, last, split, key)


def _day(values: Mapping[str, str], name: str) -> date | None:
    text = values.get(name, "")
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise ValidationFailed(_("Write a day like 2026-01-31.")) from None
    if not 2000 <= day.year < 2200:
        raise ValidationFailed(_("There is no usage that far away."))
    return day


def _report(workspace: Workspace, wish: Wish) -> UsageReport:
    try:
        return usage_get(
            workspace=workspace,
            group_by=wish.split,
            first=wish.first,
            last=wish.last,
            by_day=True,
            key=wish.key,
            zone=timezone.get_current_timezone(),
        )
    except ValidationFailed as error:
        texts = [text for texts in error.fields.values() for text in texts]
        raise ValidationFailed(" ".join(texts) or error.text) from error


def _series(report: UsageReport, split: str) -> list[Series]:
    """The dearest first, so that it is at the bottom of each bar."""
    found: dict[str | UUID | None, Series] = {}
    for one in report.groups:
        mark = {"service": one.service, "key": one.key}.get(split, "")
        if mark not in found:
            found[mark] = Series(_name(one, split), one.key)
        found[mark].add(one)
    ordered = sorted(found.values(), key=lambda series: (-series.charged_mcr, series.name))
    if len(ordered) <= _SERIES_AT_MOST:
        return ordered
    rest = Series(_("All others"))
    for series in ordered[_SERIES_AT_MOST - 1 :]:
        rest.jobs += series.jobs
        rest.charged_mcr += series.charged_mcr
        rest.audio_s += series.audio_s
        for day, amount_mcr in series.days.items():
            rest.days[day] += amount_mcr
    return [*ordered[: _SERIES_AT_MOST - 1], rest]


def _name(usage: Usage, split: str) -> str:
    if split == "service":
        return service_name(usage.service or "")
    if split == "key":
        return usage.key_name or _("Without a key")
    return _("All")


def _rows(series: Sequence[Series]) -> list[Row]:
    days = sorted({day for one in series for day in one.days})
    rows = []
    for day in days:
        amounts = [one.days.get(day, 0) for one in series]
        rows.append(Row(day, amounts, sum(amounts)))
    return rows


def _keys(workspace: Workspace, wish: Wish) -> list[Usage]:
    """The keys that something was ordered with in these days."""
    report = usage_get(
        workspace=workspace,
        group_by="key",
        first=wish.first,
        last=wish.last,
        zone=timezone.get_current_timezone(),
    )
    return [one for one in report.groups if one.key is not None]


def _ranges(today: date) -> list[dict[str, object]]:
    month = today.replace(day=1)
    last_month = month - timedelta(days=1)
    spans = [
        (_("7 days"), today - timedelta(days=6), today),
        (_("30 days"), today - timedelta(days=29), today),
        (_("90 days"), today - timedelta(days=89), today),
        (_("This month"), month, today),
        (_("Last month"), last_month.replace(day=1), last_month),
    ]
    return [{"name": name, "first": first, "last": last} for name, first, last in spans]


def _tiles(workspace: Workspace, today: date) -> dict[str, object]:
    wallet = wallet_get(workspace=workspace)
    month = usage_get(
        workspace=workspace,
        group_by="day",
        first=today - timedelta(days=_DAYS - 1),
        last=today,
        zone=timezone.get_current_timezone(),
    )
    return {
        "wallet": wallet,
        "month_mcr": month.total.charged_mcr,
        "days_left": days_left(
            available_mcr=wallet.available_mcr, used_mcr=month.total.charged_mcr, in_days=_DAYS
        ),
    }
