"""Running what waits: several jobs at the same time, which share this worker's engine.

- So many run at once as settings.JOBS_AT_ONCE says. Beyond these there is a place for one preview,
  so that none has to wait for a long job to end; segments of previews go first in the engine.
- A job that was lost before runs alone: nothing is claimed beside it, and it is not claimed beside
  others. What ends its engine ends no other's work then. It waits for its turn like all jobs; when
  that has come, this worker claims nothing more until those that run have ended: nothing but
  previews, while one of those is none.
- While the engine is winding up (jobs/engine.py), nothing is claimed: it would have to wait.
- Nor when a job hangs so that nothing ends it. When the others have ended, nothing shows a pulse
  any more, and the supervisor starts the cluster anew.
"""

import threading
from collections.abc import Callable
from queue import SimpleQueue
from types import TracebackType
from typing import Self

import structlog
from django.conf import settings
from django.db import connection
from django.db.utils import Error as DatabaseError

from jobs.engine import engine_is_winding_up
from jobs.heartbeat import is_hanging
from jobs.instance import pulse_write
from jobs.logs import job_context
from jobs.models import Job
from jobs.runner import job_run
from jobs.scheduling import has_due_jobs, job_claim
from jobs.settling import connection_renew

log = structlog.get_logger(__name__)

# While jobs run, a worker hears of new ones by looking. Wake-ups reach it only when it is idle.
_LOOK_EVERY_S = 1.0
# After a claim that found jobs, none of which may start now.
_NOTHING_FOR_US_S = 5.0


class Crew:
    """The jobs that run now, each in a thread with a database connection of its own."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        # Whether nothing but previews is claimed, however many places there are.
        self.is_late = False
        self._changed = threading.Condition()
        # By job and attempt: one that was given back may come again before its thread is done.
        self._running: dict[tuple[int, int], Job] = {}
        self._n_ended = 0
        self._threads: list[threading.Thread] = []
        self._given: SimpleQueue[Job | None] = SimpleQueue()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait until all have ended. Nothing shows a pulse meanwhile but the jobs themselves."""
        for _ in self._threads:
            self._given.put(None)
        for thread in self._threads:
            thread.join()

    @property
    def is_idle(self) -> bool:
        return not self._now()

    @property
    def has_long_job(self) -> bool:
        """Whether one runs that may take long: any but a preview."""
        return any(not job.is_preview for job in self._now())

    @property
    def n_ended(self) -> int:
        """How many jobs have ended so far."""
        with self._changed:
            return self._n_ended

    def may_claim(self) -> bool:
        """Whether there is a place, and a job that may be one for it: a claim costs much more."""
        running = self._now()
        if not running:
            return True
        if any(job.losses for job in running) or len(running) >= self._most:
            return False
        only_previews = self._only_previews(running)
        return not engine_is_winding_up() and has_due_jobs(only_previews=only_previews)

    def claim(self) -> Job | None:
        """The job that may start now, if there is one. A thread waits for it."""
        running = self._now()
        if len(running) == len(self._threads):
            self._add_thread()
        return job_claim(
            beside_others=bool(running),
            only_previews=self._only_previews(running),
            # Behind a long job one that has to run alone may have to wait for hours.
            previews_meanwhile=self.has_long_job,
        )

    def start(self, job: Job) -> None:
        with self._changed:
            self._running[job.pk, job.attempt] = job
        self._given.put(job)

    def wait(self, seconds: float, *, n_ended: int) -> None:
        """Wait until more than `n_ended` jobs have ended, for so long at most."""
        with self._changed:
            self._changed.wait_for(lambda: self._n_ended > n_ended, seconds)

    def _now(self) -> list[Job]:
        with self._changed:
            return list(self._running.values())

    def _only_previews(self, running: list[Job]) -> bool:
        return self.is_late or len(running) >= self._at_once

    @property
    def _most(self) -> int:
        # With one at a time nothing is shared, not even with previews.
        return self._at_once + 1 if self._at_once > 1 else 1

    def _add_thread(self) -> None:
        name = f"job-{len(self._threads) + 1}"
        thread = threading.Thread(target=self._work, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _work(self) -> None:
        while (job := self._given.get()) is not None:
            try:
                with job_context(job):
                    job_run(job)
            except BaseException:
                # The others go on. This job's lease will end, and another attempt will follow.
                log.exception("job_thread_broke", job=str(job.uuid), attempt=job.attempt)
            finally:
                _connection_drop()
                with self._changed:
                    del self._running[job.pk, job.attempt]
                    self._n_ended += 1
                    self._changed.notify_all()


def jobs_drain(
    *, may_go_on: Callable[[], bool], is_late: Callable[[], bool] = lambda: False
) -> bool:
    """Run jobs until none waits; False if there may be more, since it was to end before that.

    Once it is late, it ends with the jobs that run; but previews wait for none of them.
    """
    with Crew(settings.JOBS_AT_ONCE) as crew:
        while may_go_on() and not is_hanging():
            connection_renew()
            # Both before the claim: what changes during it is seen afterwards.
            was_idle, n_ended = crew.is_idle, crew.n_ended
            crew.is_late = is_late()
            if crew.is_late and not crew.has_long_job:
                break
            try:
                if not crew.may_claim():
                    crew.wait(_LOOK_EVERY_S, n_ended=n_ended)
                elif (job := _claim(crew)) is not None:
                    crew.start(job)
                elif was_idle:
                    return True
                else:
                    crew.wait(_NOTHING_FOR_US_S, n_ended=n_ended)
            except (DatabaseError, RuntimeError):
                # The database is away, or there is no room for another thread: jobs that run go on.
                if was_idle:
                    raise
                log.warning("claim_failed", exc_info=True)
                connection.close()
                crew.wait(_LOOK_EVERY_S, n_ended=n_ended)
    return False


def _connection_drop() -> None:
    """Whatever state it is in: the thread's next job begins with another."""
    try:
        connection.close()
    except Exception:
        log.warning("connection_not_closed", exc_info=True)


def _claim(crew: Crew) -> Job | None:
    job = crew.claim()
    if job is not None:
        # Many short jobs may end before they beat once. With none, only those that run say that
        # this worker lives: where they hang, it does not.
        pulse_write()
    return job
