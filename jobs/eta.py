"""How long until a job ends, from how long such jobs took here: an estimate, or -1 for unknown.

What is measured: the first attempts of paid jobs that succeeded, summed up by service and number of
stems (jobs/tallies.py) so that a line can be laid through them: so many seconds for any job, and
so many more for each second of audio. Before a job that waits come those that run and those whose
turn is before it, spread over as many places as there are running jobs. Turns of workspaces and the
places of their plans are not looked at: who has few jobs waiting is often served earlier.
"""

import json
import math
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from django.conf import settings
from django.db import connection

from jobs.models import ENDED, Job, JobState, Tally
from jobs.tallies import FIT, fit_label

UNKNOWN: Final = -1

# With fewer runs a line through them says little; the mean is taken then.
_RUNS_FOR_A_LINE = 5
# From here on, a job's own progress says more than what others took.
_PROGRESS_ENOUGH = 0.1
# Nobody can tell what a longer queue comes to without reading all of it.
_QUEUE_AT_MOST = 1000

_QUEUE = f"""
WITH ahead AS (
  (SELECT id, asset_id, state, is_preview, queued_at, claimed_at, progress, service, stems,
          range_start, range_end
     FROM jobs_job WHERE state = 'running' LIMIT {_QUEUE_AT_MOST})
  UNION ALL
  (SELECT id, asset_id, state, is_preview, queued_at, claimed_at, progress, service, stems,
          range_start, range_end
     FROM jobs_job WHERE state = 'queued' ORDER BY queued_at, id LIMIT {_QUEUE_AT_MOST})
)
SELECT q.id, q.state, q.service, jsonb_array_length(q.stems),
  COALESCE(q.range_end - q.range_start, a.n_samples)::float8 / NULLIF(a.sample_rate, 0),
  q.progress, EXTRACT(EPOCH FROM statement_timestamp() - q.claimed_at)::float8, q.is_preview
FROM ahead q JOIN jobs_asset a ON a.id = q.asset_id
ORDER BY q.state DESC, q.is_preview DESC, q.queued_at, q.id
"""  # noqa: S608  (put together from constants)


def order_eta_s(*, service: str, duration_s: float, n_stems: int = 0) -> int:
    """Seconds until such an order would end, were it made now."""
    return etas_now().of_order(service=service, duration_s=duration_s, n_stems=n_stems)


def job_eta_s(job: Job) -> int:
    """Seconds until this job ends; 0 once it has."""
    if job.state in ENDED:
        return 0
    if job.state == JobState.WAITING:
        # Nobody knows how long its recording will be.
        return UNKNOWN
    return etas_now().of(job)


def etas_now() -> "Etas":
    """Shared by all calls of this process for a while: a long queue is not read for each."""
    global _latest
    looked_at, etas = _latest
    now = time.monotonic()
    if etas is None or now - looked_at >= settings.ETA_LOOK_SECONDS:
        etas = Etas()
        _latest = now, etas
    return etas


@dataclass(frozen=True)
class _Ahead:
    """A job that runs or waits, in the order of turns."""

    pk: int
    state: str
    left_s: float | None
    is_preview: bool


class Etas:
    """Looks at the queue and at what was measured once, for any number of jobs."""

    def __init__(self) -> None:
        self._measured = _measured()
        self._queue = self._queue_now()
        self._places = {one.pk: place for place, one in enumerate(self._queue)}
        self._n_running = sum(one.state == JobState.RUNNING for one in self._queue)
        # Those that run come first, then previews.
        self._n_before_others = sum(
            one.state == JobState.RUNNING or one.is_preview for one in self._queue
        )
        self._waits_s = list(self._accumulated())

    def of(self, job: Job) -> int:
        """Of one that waits or runs."""
        place = self._places.get(job.pk)
        if place is None:
            # It came since, or so many are before it that nobody counted them.
            duration_s = job.n_samples / job.recording.sample_rate
            return self._after_all(
                self._run_s(job.service, len(job.stems), duration_s), is_preview=job.is_preview
            )
        mine = self._queue[place]
        if mine.left_s is None:
            return UNKNOWN
        if mine.state == JobState.RUNNING:
            return _whole(mine.left_s)
        return _sum(self._waits_s[place], mine.left_s)

    def place_of(self, job: Job) -> int | None:
        """Of one that waits: 1 is next. None: it came since, or too many are before it."""
        place = self._places.get(job.pk)
        return None if place is None else max(1, place - self._n_running + 1)

    def of_order(self, *, service: str, duration_s: float, n_stems: int) -> int:
        return self._after_all(
            self._run_s(service, n_stems, duration_s),
            is_preview=duration_s <= settings.PREVIEW_MAX_SECONDS,
        )

    def _after_all(self, run_s: float | None, *, is_preview: bool) -> int:
        n_before = self._n_before_others if is_preview else len(self._queue)
        return _sum(self._waits_s[n_before], run_s)

    def _accumulated(self) -> Iterator[float | None]:
        """How long one waits that has so many before it: none, one, two, …"""
        total: float | None = 0.0
        yield total
        for place, one in enumerate(self._queue):
            is_unknown = one.left_s is None or place + 1 - self._n_running >= _QUEUE_AT_MOST
            total = None if total is None or is_unknown else total + (one.left_s or 0.0)
            yield None if total is None else total / max(1, self._n_running)

    def _queue_now(self) -> list[_Ahead]:
        with connection.cursor() as cursor:
            cursor.execute(_QUEUE)
            rows = cursor.fetchall()
        return [
            _Ahead(pk, state, self._left_s(state, *rest), is_preview)
            for pk, state, *rest, is_preview in rows
        ]

    def _left_s(
        self,
        state: str,
        service: str,
        n_stems: int,
        audio_s: float,
        progress: float,
        elapsed_s: float | None,
    ) -> float | None:
        if state == JobState.RUNNING and elapsed_s is not None and progress >= _PROGRESS_ENOUGH:
            return max(0.0, elapsed_s) * (1 - progress) / progress
        run_s = self._run_s(service, n_stems, audio_s or 0.0)
        if run_s is None or state != JobState.RUNNING:
            return run_s
        return max(0.0, run_s - max(0.0, elapsed_s or 0.0))

    def _run_s(self, service: str, n_stems: int, audio_s: float) -> float | None:
        by_stems = self._measured.get(service, {})
        # As many stems are the best guide, any number of them is better than nothing.
        exact = by_stems.get(fit_label(n_stems))
        sums = exact or sum(by_stems.values(), _Sums())
        return sums.at(audio_s)


@dataclass(frozen=True)
class _Sums:
    """Of runs: how many, seconds of audio (x) and of work (y), and their products."""

    n: float = 0
    x: float = 0
    y: float = 0
    xx: float = 0
    xy: float = 0

    def __add__(self, other: "_Sums") -> "_Sums":
        return _Sums(
            self.n + other.n,
            self.x + other.x,
            self.y + other.y,
            self.xx + other.xx,
            self.xy + other.xy,
        )

    def at(self, audio_s: float) -> float | None:
        """By the line of least squares where there is one, else by the mean ratio."""
        if self.n < 1 or self.x <= 0:
            return None
        spread = self.n * self.xx - self.x**2
        # Recordings of one length, but for rounding, have no line.
        if self.n >= _RUNS_FOR_A_LINE and spread > 0.01 * self.n * self.xx:
            slope = (self.n * self.xy - self.x * self.y) / spread
            start = (self.y - slope * self.x) / self.n
            if slope > 0 and start >= 0:
                return start + slope * audio_s
        return self.y / self.x * audio_s


def _measured() -> dict[str, dict[str, _Sums]]:
    terms: dict[str, dict[str, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    for labels, value in Tally.objects.filter(name=FIT).values_list("labels", "value"):
        known = json.loads(labels)
        terms[known["service"]][known["stems"]][known["term"]] = value
    return {
        service: {stems: _Sums(**values) for stems, values in by_stems.items()}
        for service, by_stems in terms.items()
    }


def _sum(wait_s: float | None, run_s: float | None) -> int:
    return UNKNOWN if wait_s is None or run_s is None else _whole(wait_s + run_s)


def _whole(seconds: float) -> int:
    return max(1, math.ceil(seconds))


_latest: tuple[float, Etas | None] = 0.0, None
