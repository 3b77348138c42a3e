"""What all machines share, read from the database whenever somebody looks at the metrics.

Every web process tells the same, so take `max`, not `sum`, over instances. Nothing is kept here:
what grows is in jobs/tallies.py, the rest are short queries, each along an index.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

import structlog
from django.conf import settings
from django.db import DatabaseError, connection, transaction
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from billing.limits import PARALLEL_JOBS_SQL
from billing.selectors import reconciliation_latest, wallets_sum
from jobs.models import Service
from jobs.stored import stored_get
from jobs.tallies import RATIO_BUCKETS, WAIT_BUCKETS_S, Key, key, tallies_get

log = structlog.get_logger(__name__)

_PREFIX = "stemwright_"
# A look must not add to the troubles of a database that is busy.
_STATEMENT_LIMIT = "5s"

# As jobs/scheduling.py has it: a job whose workspace has no place free does not wait for workers.
_QUEUED = f"""
WITH waiting AS (
  SELECT workspace_id, is_preview, COUNT(*) AS jobs,
    COUNT(*) FILTER (WHERE not_before IS NULL OR not_before <= STATEMENT_TIMESTAMP()) AS due,
    MIN(queued_at) FILTER (
      WHERE not_before IS NULL OR not_before <= STATEMENT_TIMESTAMP()) AS due_since
  FROM jobs_job WHERE state = 'queued' GROUP BY workspace_id, is_preview
),
running (workspace_id, jobs) AS (
  SELECT workspace_id, COUNT(*) FROM jobs_job WHERE state = 'running' GROUP BY workspace_id
),
plan (workspace_id, parallel_jobs) AS ({PARALLEL_JOBS_SQL}),
room AS (
  SELECT w.*, COALESCE(
    CASE WHEN p.workspace_id IS NULL THEN %(parallel_jobs)s ELSE p.parallel_jobs END
      - COALESCE(r.jobs, 0), w.due) AS places
  FROM waiting w
  LEFT JOIN running r ON r.workspace_id = w.workspace_id
  LEFT JOIN plan p ON p.workspace_id = w.workspace_id
)
SELECT is_preview, SUM(jobs)::bigint, COALESCE(SUM(LEAST(due, GREATEST(places, 0))), 0)::bigint,
  EXTRACT(EPOCH FROM STATEMENT_TIMESTAMP() - MIN(due_since) FILTER (WHERE places > 0))::float8
FROM room GROUP BY is_preview
"""  # noqa: S608  (put together from constants)
_RUNNING = """
SELECT COUNT(*), EXTRACT(EPOCH FROM STATEMENT_TIMESTAMP() - MIN(lease_until))::float8
FROM jobs_job WHERE state = 'running'
"""
_INGESTS = """
SELECT state, COUNT(*), EXTRACT(EPOCH FROM
  STATEMENT_TIMESTAMP() - MIN(created_at) FILTER (WHERE kind = 'url'))::float8
FROM jobs_ingest WHERE finished_at IS NULL GROUP BY state
"""
_MESSAGES = """
SELECT COUNT(*), EXTRACT(EPOCH FROM STATEMENT_TIMESTAMP() - MIN(next_attempt_at))::float8
FROM jobs_webhookmessage WHERE state = 'pending'
"""
_DELETIONS = """
SELECT COUNT(*), EXTRACT(EPOCH FROM STATEMENT_TIMESTAMP() - MIN(requested_at))::float8
FROM jobs_deletion WHERE verified_at IS NULL
"""
_OVERDUE = """
SELECT COUNT(*), EXTRACT(EPOCH FROM STATEMENT_TIMESTAMP() - MIN(expires_at))::float8
FROM jobs_asset WHERE state = 'ready' AND expires_at < STATEMENT_TIMESTAMP()
"""
_COUNTING = """
SELECT EXTRACT(EPOCH FROM STATEMENT_TIMESTAMP() - MIN(counted_until))::float8 FROM jobs_tallymark
"""

# Metric, tally, labels, help.
_COUNTERS = (
    ("jobs_ended", "jobs_ended", ("state", "cause"), "Jobs that ended, by state and cause."),
    ("job_events", "job_events", ("kind", "cause"), "Starts, losses and hand-backs of jobs."),
    (
        "job_run_seconds",
        "job_run_s",
        ("service",),
        "Time that attempts took which succeeded.",
    ),
    ("job_audio_seconds", "job_audio_s", ("service",), "Audio in jobs that succeeded."),
    (
        "ingests_ended",
        "ingests_ended",
        ("kind", "state", "cause"),
        "Uploads and imports that ended.",
    ),
    ("webhook_messages_ended", "webhook_messages_ended", ("state",), "Messages delivered or not."),
    (
        "cluster_restarts",
        "cluster_restarts",
        ("cluster", "reason"),
        "Clusters of workers restarted.",
    ),
)
# Told from the start, so that the first one counts as a change.
_ZEROS = (
    key("jobs_ended", state="succeeded", cause=""),
    key("jobs_ended", state="failed", cause="internal"),
    key("jobs_ended", state="failed", cause="worker_lost"),
    key("jobs_ended", state="cancelled", cause=""),
    key("job_events", kind="started", cause=""),
    key("job_events", kind="requeued", cause="worker_lost"),
    key("job_events", kind="handed_back", cause=""),
    *(key("job_run_s", service=service) for service in Service.values),
    *(key("job_audio_s", service=service) for service in Service.values),
    key("webhook_messages_ended", state="delivered"),
    key("webhook_messages_ended", state="failed"),
)


class SharedCollector(Collector):
    def collect(self) -> Iterator[Metric]:
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL statement_timeout = '{_STATEMENT_LIMIT}'")
                metrics = [*_jobs(), *_others(), *_money(), *_counts(tallies_get())]
        except DatabaseError:
            # The rest of the metrics is still worth something.
            log.warning("metrics_without_database", exc_info=True)
            metrics = []
        yield _gauge("database_up", "Whether the database answered this look.", bool(metrics))
        yield from metrics


def _jobs() -> Iterator[Metric]:
    queued = _family("jobs_queued", "Jobs that wait.", ["queue"])
    startable = _family("jobs_startable", "Jobs that more workers could start now.", ["queue"])
    age = _family("queue_age_seconds", "How long the oldest such job has waited.", ["queue"])
    rows = {row[0]: row[1:] for row in _rows(_QUEUED, {"parallel_jobs": settings.PARALLEL_JOBS})}
    for name, is_preview in (("preview", True), ("normal", False)):
        n_queued, n_startable, age_s = rows.get(is_preview, (0, 0, None))
        queued.add_metric([name], n_queued)
        startable.add_metric([name], n_startable)
        age.add_metric([name], _at_least_0(age_s))
    yield from (queued, startable, age)
    ((running, overdue_s),) = _rows(_RUNNING)
    yield _gauge("jobs_running", "Jobs that run.", running)
    yield _gauge(
        "lease_overdue_seconds", "How long the oldest lease is over.", _at_least_0(overdue_s)
    )


def _others() -> Iterator[Metric]:
    ingests = _family("ingests_open", "Uploads and imports under way.", ["state"])
    rows = {state: (count, age_s) for state, count, age_s in _rows(_INGESTS)}
    for state in ("receiving", "waiting", "running"):
        ingests.add_metric([state], rows.get(state, (0, None))[0])
    yield ingests
    _, age_s = rows.get("waiting", (0, None))
    yield _gauge("import_age_seconds", "How long the oldest import waits.", _at_least_0(age_s))
    yield from _pile(
        "webhook_messages_pending", "webhook_due", "Webhook messages to send", _MESSAGES
    )
    yield from _pile("deletions_open", "deletion", "Deletions not proven yet", _DELETIONS)
    yield from _pile("assets_overdue", "asset_overdue", "Files kept beyond their time", _OVERDUE)
    yield from _stored()
    ((behind_s,),) = _rows(_COUNTING)
    # Without a mark, the janitor has never been at work.
    yield _gauge("counting_behind_seconds", "How far the counters lag.", behind_s or 0)


def _stored() -> Iterator[Metric]:
    stored = stored_get()
    files = sum(one.files for one in stored.values())
    yield _gauge("stored_files", "Files in storage, or on their way out of it.", files)
    size_bytes = sum(one.size_bytes for one in stored.values())
    yield _gauge("stored_bytes", "Their size.", size_bytes)
    by_kind = _family("stored_kind_bytes", "Their size, by what they are.", ["kind"])
    for kind, one in stored.items():
        by_kind.add_metric([kind], one.size_bytes)
    yield by_kind


def _money() -> Iterator[Metric]:
    held_mcr, available_mcr = wallets_sum()
    yield _gauge("credits_held_mcr", "Milli-credits held for jobs.", held_mcr)
    yield _gauge("credits_available_mcr", "Milli-credits that can be spent.", available_mcr)
    latest = reconciliation_latest()
    if latest is not None and latest.finished_at is not None:
        yield _gauge(
            "ledger_discrepancies",
            "What did not add up in the last check of the books.",
            len(latest.discrepancies),
        )
        yield _gauge(
            "ledger_checked_timestamp_seconds",
            "When the books were checked.",
            latest.finished_at.timestamp(),
        )


def _counts(tallies: dict[Key, float]) -> Iterator[Metric]:
    tallies = dict.fromkeys(_ZEROS, 0.0) | tallies
    by_name = defaultdict(list)
    for (name, labels), value in sorted(tallies.items()):
        by_name[name].append((json.loads(labels), value))
    for metric, name, label_names, help in _COUNTERS:
        counter = CounterMetricFamily(_PREFIX + metric, help, labels=label_names)
        for labels, value in by_name[name]:
            # An earlier version may have counted under other labels.
            counter.add_metric([labels.get(label, "") for label in label_names], value)
        yield counter
    wait = HistogramMetricFamily(
        f"{_PREFIX}job_wait_seconds", "From order to first start.", labels=["queue"]
    )
    for queue in ("preview", "normal"):
        _histogram(wait, "job_wait", WAIT_BUCKETS_S, {"queue": queue}, tallies)
    ratio = HistogramMetricFamily(
        f"{_PREFIX}job_run_ratio", "Seconds of work for each second of audio.", labels=["service"]
    )
    for service in Service.values:
        _histogram(ratio, "job_run_ratio", RATIO_BUCKETS, {"service": service}, tallies)
    yield from (wait, ratio)


def _histogram(
    family: HistogramMetricFamily,
    name: str,
    ends: Iterable[float],
    labels: dict[str, str],
    tallies: dict[Key, float],
) -> None:
    buckets, total = [], 0.0
    for end in [*(str(float(end)) for end in ends), "+Inf"]:
        total += tallies.get(key(f"{name}_bucket", **labels, le=end), 0)
        buckets.append((end, total))
    family.add_metric(list(labels.values()), buckets, tallies.get(key(f"{name}_sum", **labels), 0))


def _pile(count_name: str, age_name: str, help: str, query: str) -> Iterator[Metric]:
    ((count, age_s),) = _rows(query)
    yield _gauge(count_name, f"{help}.", count)
    yield _gauge(f"{age_name}_age_seconds", f"{help}: since when.", _at_least_0(age_s))


def _gauge(name: str, help: str, value: float) -> Metric:
    return GaugeMetricFamily(_PREFIX + name, help, value=value)


def _family(name: str, help: str, labels: list[str]) -> GaugeMetricFamily:
    return GaugeMetricFamily(_PREFIX + name, help, labels=labels)


def _at_least_0(seconds: float | None) -> float:
    return max(0.0, seconds or 0.0)


def _rows(query: str, values: dict[str, int] | None = None) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return list(cursor.fetchall())
