"""Whose job is next.

Workspaces take turns; the order of a workspace's own jobs is that of their arrival.

- A workspace that has as many running jobs as its plan allows is passed over. Without a plan,
  settings.PARALLEL_JOBS holds.
- Previews (short recordings) and jobs that have waited for settings.PREVIEW_HEAD_START_SECONDS go
  before all others: a preview is quick, and nothing starves behind previews.
- Among these, and among the others: the workspace with the fewest running jobs; then the one whose
  last turn is longest ago; then its previews, but in turn with those of its jobs that have waited
  long; then the job that has waited longest.
- A job whose `not_before` is still to come is not there yet.
- A job that was lost before is given to a worker that has no other, and keeps its turn until there
  is one (jobs/draining.py). Only previews may pass it, where they keep nobody from becoming free.
"""

from datetime import timedelta

import structlog
from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.db.models import F
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Coalesce, Now

from billing.limits import PARALLEL_JOBS_SQL
from jobs.instance import worker_name
from jobs.models import Job, JobEvent, JobState
from jobs.queue import wake_separation

log = structlog.get_logger(__name__)

# Claims happen one after the other: two at the same time could both take the last place that a
# plan allows. Any number that nobody else locks.
_CLAIM_LOCK = 0x5354_454D
# Whoever holds the lock needs milliseconds, unless its process was stopped; then the database ends
# its transaction after 10 s (settings.DATABASES).
_LOCK_TIMEOUT_MS = 3000
_LOCK_TRIES = 4
_LOCK_NOT_AVAILABLE = "55P03"

# The first job of each workspace that waits costs one probe of the index job_turns, however many
# jobs it has (a "loose index scan"); its order by `-is_preview` shows whether there are previews.
# Heads are locked in their order, and one that somebody else holds (its owner cancels it) is
# skipped; so many are looked at. The time is only ever that of `statement_timestamp()`.
_NEXT_SQL = f"""
WITH RECURSIVE first (workspace_id, id, is_preview, queued_at, is_paused) AS (
  (SELECT workspace_id, id, is_preview, queued_at,
          COALESCE(not_before > statement_timestamp(), false)
     FROM jobs_job WHERE state = 'queued'
     ORDER BY workspace_id, is_preview DESC, queued_at, id LIMIT 1)
  UNION ALL
  SELECT f.* FROM first CROSS JOIN LATERAL (
    SELECT workspace_id, id, is_preview, queued_at,
           COALESCE(not_before > statement_timestamp(), false)
      FROM jobs_job WHERE state = 'queued' AND workspace_id > first.workspace_id
      ORDER BY workspace_id, is_preview DESC, queued_at, id LIMIT 1
  ) f
),
running (workspace_id, jobs) AS (
  SELECT workspace_id, count(*) FROM jobs_job WHERE state = 'running' GROUP BY workspace_id
),
plan (workspace_id, parallel_jobs) AS ({PARALLEL_JOBS_SQL}),
admitted AS (
  SELECT first.*, COALESCE(r.jobs, 0) AS running,
         last.claimed_at AS last_turn_at, COALESCE(last.is_preview, false) AS last_was_preview
    FROM first
    LEFT JOIN running r ON r.workspace_id = first.workspace_id
    LEFT JOIN plan p ON p.workspace_id = first.workspace_id
    LEFT JOIN LATERAL (
      SELECT claimed_at, is_preview FROM jobs_job
        WHERE workspace_id = first.workspace_id AND claimed_at IS NOT NULL
        ORDER BY claimed_at DESC LIMIT 1
    ) last ON true
    WHERE CASE WHEN p.workspace_id IS NULL THEN COALESCE(r.jobs, 0) < %(parallel_jobs)s
               ELSE COALESCE(COALESCE(r.jobs, 0) < p.parallel_jobs, true) END
),
heads AS (
  SELECT head.id, row_number() OVER (
           ORDER BY head.is_preview OR head.queued_at
                      < statement_timestamp() - make_interval(secs => %(head_start_s)s) DESC,
                    a.running, a.last_turn_at NULLS FIRST,
                    head.is_preview = a.last_was_preview, head.queued_at, head.id
         ) AS place
    FROM admitted a
    CROSS JOIN LATERAL (
      SELECT a.id, a.queued_at, a.is_preview WHERE NOT a.is_paused
      UNION ALL
      (SELECT id, queued_at, true FROM jobs_job
         WHERE a.is_preview AND a.is_paused
           AND workspace_id = a.workspace_id AND state = 'queued' AND is_preview
           AND (not_before IS NULL OR not_before <= statement_timestamp())
         ORDER BY queued_at, id LIMIT 1)
      UNION ALL
      (SELECT id, queued_at, false FROM jobs_job
         WHERE (a.is_preview OR a.is_paused)
           AND workspace_id = a.workspace_id AND state = 'queued' AND NOT is_preview
           AND (not_before IS NULL OR not_before <= statement_timestamp())
         ORDER BY queued_at, id LIMIT 1)
    ) head
    WHERE head.is_preview OR NOT %(only_previews)s
    ORDER BY place LIMIT 16
)
SELECT j.id, j.losses FROM heads h JOIN jobs_job j ON j.id = h.id
  WHERE j.state = 'queued' AND (j.losses = 0 OR NOT %(pass_lost)s)
  ORDER BY h.place LIMIT 1 FOR UPDATE OF j SKIP LOCKED
"""  # noqa: S608  (put together from constants)


def job_claim(
    *, beside_others: bool = False, only_previews: bool = False, previews_meanwhile: bool = False
) -> Job | None:
    """Give this worker the job whose turn it is, if there is one.

    If that job must not run beside others, and this worker has others, it is the next preview
    that may (`previews_meanwhile`), or none.
    """
    for _ in range(_LOCK_TRIES):
        try:
            with transaction.atomic():
                return _claim_next(
                    beside_others=beside_others,
                    only_previews=only_previews,
                    previews_meanwhile=previews_meanwhile,
                )
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
                raise
            log.warning("claim_waited", timeout_ms=_LOCK_TIMEOUT_MS)
    return None


def has_due_jobs(*, only_previews: bool) -> bool:
    """Whether jobs wait, though perhaps for a place in their plan; a look costs little."""
    due = Job.objects.filter(state=JobState.QUEUED).exclude(not_before__gt=Now())
    return (due.filter(is_preview=True) if only_previews else due).exists()


def has_waiting_jobs() -> bool:
    """Whether jobs wait although nobody may have been told."""
    patience = timedelta(seconds=5)
    waiting = Job.objects.filter(state=JobState.QUEUED, queued_at__lt=Now() - patience)
    return waiting.exclude(not_before__gt=Now()).exists()


class LeaseLost(Exception):
    """The work is no longer this worker's: it was given to another, or it has ended."""


def lease_end() -> CombinedExpression:
    return Now() + timedelta(seconds=settings.JOB_LEASE_SECONDS)


def _claim_next(
    *, beside_others: bool, only_previews: bool, previews_meanwhile: bool
) -> Job | None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SET LOCAL lock_timeout = {_LOCK_TIMEOUT_MS}; "
            f"SELECT pg_advisory_xact_lock({_CLAIM_LOCK})"
        )
    pk, losses = _next(only_previews=only_previews)
    if beside_others and losses:
        pk, _ = _next(only_previews=True, pass_lost=True) if previews_meanwhile else (None, 0)
    if pk is None:
        return None
    Job.objects.filter(pk=pk, state=JobState.QUEUED).update(
        state=JobState.RUNNING,
        attempt=F("attempt") + 1,
        progress=0,
        step="",
        claimed_at=Now(),
        lease_until=lease_end(),
        worker=worker_name(),
        started_at=Coalesce("started_at", Now()),
    )
    job = Job.objects.select_related("asset", "workspace").get(pk=pk)
    JobEvent.objects.create(job=job, kind="started", attempt=job.attempt)
    if Job.objects.filter(state=JobState.QUEUED).exists():
        # Each worker that found work wakes another, so that a burst soon has all of them.
        wake_separation()
    return job


def _next(*, only_previews: bool, pass_lost: bool = False) -> tuple[int | None, int]:
    """Lock the job whose turn it is; return its key, and how often it was lost."""
    with connection.cursor() as cursor:
        cursor.execute(
            _NEXT_SQL,
            {
                "parallel_jobs": settings.PARALLEL_JOBS,
                "head_start_s": settings.PREVIEW_HEAD_START_SECONDS,
                "only_previews": only_previews,
                "pass_lost": pass_lost,
            },
        )
        return cursor.fetchone() or (None, 0)
