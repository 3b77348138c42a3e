"""Numbers that only grow, kept in the database: restarts and further machines do not disturb them.

What happened to jobs, ingests and webhook messages stands in rows with a time. The janitor adds
such rows up, each once (`tallies_roll_up`). So nobody has to count while working, no kill loses a
count, and a look is cheap with a million jobs.
"""

import json
import re
import threading
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

import structlog
from django.db import DatabaseError, connection, transaction

from jobs.models import Tally, TallyMark

log = structlog.get_logger(__name__)

# Name and labels; the labels as JSON with sorted keys.
Key: TypeAlias = tuple[str, str]
Counts: TypeAlias = defaultdict[Key, float]

# Upper ends of buckets. Never change one: what was counted cannot be sorted anew.
WAIT_BUCKETS_S = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14400)
RATIO_BUCKETS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10)

# The sums from which jobs/eta.py estimates: runs, their audio and work, and products of these.
FIT = "job_fit"

_BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
# Rows that one transaction of the roll-up adds up.
_AT_ONCE = 5_000
# The janitor has other duties: whatever is left comes in its next round.
_BATCHES = 4

_JOB_EVENTS = """
SELECT e.kind, e.detail, e.attempt, j.is_preview,
  EXTRACT(EPOCH FROM e.created_at - j.queued_at)::float8,
  EXTRACT(EPOCH FROM e.created_at - s.created_at)::float8,
  COALESCE(j.range_end - j.range_start, a.n_samples)::float8 / NULLIF(a.sample_rate, 0),
  j.service, jsonb_array_length(j.stems), j.source_job_id IS NULL
FROM jobs_jobevent e
JOIN jobs_job j ON j.id = e.job_id
LEFT JOIN jobs_asset a ON a.id = j.asset_id
LEFT JOIN LATERAL (
  SELECT created_at FROM jobs_jobevent s
  WHERE e.kind = 'succeeded' AND s.job_id = e.job_id AND s.attempt = e.attempt
    AND s.kind = 'started' ORDER BY s.id LIMIT 1) s ON TRUE
WHERE e.created_at >= %s AND e.created_at < %s
"""
_INGESTS = """
SELECT kind, state, error_code FROM jobs_ingest WHERE finished_at >= %s AND finished_at < %s
"""
_MESSAGES = """
SELECT state FROM jobs_webhookmessage WHERE finished_at >= %s AND finished_at < %s
"""

# Rows with an earlier time than this are all there: nobody who is at work can still add one. Times
# of rows are those of their statements; a reader without a transaction id writes nothing, so that
# a backup does not hold up the counting. The margin is for whoever has begun but not said so yet.
_SETTLED = """
SELECT LEAST(
  MIN(CASE WHEN backend_xid IS NOT NULL THEN xact_start WHEN state = 'active' THEN query_start END),
  STATEMENT_TIMESTAMP() - INTERVAL '5 s')
FROM pg_stat_activity
WHERE datname = CURRENT_DATABASE() AND backend_type = 'client backend' AND pid <> PG_BACKEND_PID()
"""
_ADD = """
INSERT INTO jobs_tally AS t (name, labels, value) VALUES (%s, %s, %s)
ON CONFLICT (name, labels) DO UPDATE SET value = t.value + EXCLUDED.value
"""


def key(name: str, **labels: str) -> Key:
    return name, json.dumps(labels, sort_keys=True)


def tally_add(name: str, **labels: str) -> None:
    """Count something that no row tells of. Outside of transactions; it never fails its caller.

    The labels must be of a small, fixed set: no ids.
    """
    try:
        with connection.cursor() as cursor:
            cursor.execute(_ADD, [*key(name, **labels), 1])
    except DatabaseError:
        log.warning("tally_lost", tally=name, exc_info=True)


def tally_add_aside(name: str, **labels: str) -> None:
    """As `tally_add`, for callers who must not wait for a database that hangs."""

    def add() -> None:
        try:
            tally_add(name, **labels)
        finally:
            connection.close()

    threading.Thread(target=add, name="tally", daemon=True).start()


@dataclass(frozen=True)
class _Source:
    """Rows that are each counted once: those of a span of time, and what they come to."""

    name: str
    query: str
    # Table and column of the time, for finding the end of a batch.
    times: tuple[str, str]
    count: Callable[[Iterable[tuple[Any, ...]]], Counts]


def tallies_get() -> dict[Key, float]:
    rows = Tally.objects.values_list("name", "labels", "value")
    return {(name, labels): value for name, labels, value in rows}


def tallies_roll_up() -> None:
    """Add up the rows that came since the last time."""
    for source in _SOURCES:
        for _ in range(_BATCHES):
            if not _roll_up(source):
                break


@transaction.atomic
def _roll_up(source: _Source) -> bool:
    """One batch; whether there may be more."""
    # Before the lock and the rows: what is settled now stays so.
    with connection.cursor() as cursor:
        cursor.execute(_SETTLED)
        (settled,) = cursor.fetchone()
    TallyMark.objects.bulk_create(
        [TallyMark(name=source.name, counted_until=_BEGINNING)], ignore_conflicts=True
    )
    mark = TallyMark.objects.select_for_update().get(name=source.name)
    until, has_more = _batch_end(source, mark.counted_until, settled)
    if until <= mark.counted_until:
        return False
    with connection.cursor() as cursor:
        cursor.execute(source.query, [mark.counted_until, until])
        counted = source.count(cursor.fetchall())
        if counted:
            cursor.executemany(_ADD, [(*name, value) for name, value in sorted(counted.items())])
    TallyMark.objects.filter(pk=mark.pk).update(counted_until=until)
    return has_more


def _batch_end(source: _Source, start: datetime, settled: datetime) -> tuple[datetime, bool]:
    table, column = source.times
    query = f"""SELECT {column} FROM {table} WHERE {column} > %s AND {column} < %s
        ORDER BY {column} OFFSET %s LIMIT 1"""  # noqa: S608  (names of our own)
    with connection.cursor() as cursor:
        cursor.execute(query, [start, settled, _AT_ONCE])
        row = cursor.fetchone()
    return (row[0], True) if row else (settled, False)


def _count_job_events(rows: Iterable[tuple[Any, ...]]) -> Counts:
    counted: Counts = defaultdict(float)
    for kind, detail, attempt, is_preview, since_queued_s, *run in rows:
        queue = "preview" if is_preview else "normal"
        if kind in ("succeeded", "failed", "cancelled"):
            cause = _label(detail) if kind == "failed" else ""
            counted[key("jobs_ended", state=kind, cause=cause)] += 1
        else:
            cause = _label(detail) if kind == "requeued" else ""
            counted[key("job_events", kind=_label(kind), cause=cause)] += 1
        if kind == "started" and attempt == 1:
            _observe(counted, "job_wait", WAIT_BUCKETS_S, since_queued_s, {"queue": queue})
        if kind == "succeeded":
            _count_run(counted, attempt, *run)
    return counted


def _count_run(
    counted: Counts,
    attempt: int,
    since_started_s: float | None,
    audio_s: float | None,
    service: str,
    n_stems: int,
    is_whole: bool,
) -> None:
    if since_started_s is None or not audio_s:
        return
    run_s = max(0.0, since_started_s)
    labels = {"service": service}
    _observe(counted, "job_run_ratio", RATIO_BUCKETS, run_s / audio_s, labels)
    counted[key("job_run_s", **labels)] += run_s
    counted[key("job_audio_s", **labels)] += audio_s
    # Later attempts may go on where an earlier one was lost, and merges have their turns already:
    # neither says how long such a job takes.
    if attempt == 1 and is_whole:
        labels["stems"] = fit_label(n_stems)
        squares = {"xx": audio_s**2, "xy": audio_s * run_s}
        for term, value in {"n": 1, "x": audio_s, "y": run_s, **squares}.items():
            counted[key(FIT, **labels, term=term)] += value


def fit_label(n_stems: int) -> str:
    """Jobs of about as many stems as take about as long: "0", "1", "2", "4", "more"."""
    return "more" if n_stems > 4 else str(n_stems if n_stems < 3 else 4)


def _count_ingests(rows: Iterable[tuple[Any, ...]]) -> Counts:
    counted: Counts = defaultdict(float)
    for kind, state, error_code in rows:
        counted[key("ingests_ended", kind=kind, state=state, cause=_label(error_code))] += 1
    return counted


def _count_messages(rows: Iterable[tuple[Any, ...]]) -> Counts:
    counted: Counts = defaultdict(float)
    for (state,) in rows:
        counted[key("webhook_messages_ended", state=state)] += 1
    return counted


def _observe(
    counted: Counts,
    name: str,
    buckets: tuple[float, ...],
    value: float,
    labels: Mapping[str, str],
) -> None:
    index = bisect_left(buckets, value)
    # A clock that was set back must not make a sum shrink.
    value = max(0.0, value)
    end = str(float(buckets[index])) if index < len(buckets) else "+Inf"
    counted[key(f"{name}_bucket", **labels, le=end)] += 1
    counted[key(f"{name}_sum", **labels)] += value


def _label(code: str) -> str:
    """A code of ours; anything else would make a time series of its own for each text."""
    return code if re.fullmatch(r"[a-z0-9_]{0,64}", code) else "other"


_SOURCES = (
    _Source("jobs", _JOB_EVENTS, ("jobs_jobevent", "created_at"), _count_job_events),
    _Source("ingests", _INGESTS, ("jobs_ingest", "finished_at"), _count_ingests),
    _Source("messages", _MESSAGES, ("jobs_webhookmessage", "finished_at"), _count_messages),
)
