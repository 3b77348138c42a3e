"""What keeps a job a worker's own, and what makes the worker let go of it."""

import math
import threading
import time
from contextlib import suppress

import structlog
from django.conf import settings
from django.db import connection

from jobs.deriving import derived_beat
from jobs.ingest_leases import ingest_beat
from jobs.instance import is_stop_requested, pulse_write
from jobs.leases import CancelRequested, LeaseLost, job_beat, job_look
from jobs.models import Derived, Ingest, Job

log = structlog.get_logger(__name__)

# A job that is over its time ends by itself. Where even that hangs, as in a storage that does not
# answer, the beats end, and with them the lease.
_HANG_PATIENCE_S = 300
# A beat writes a row with many indexes; in between it is enough to look for a cancel. With many
# workers, beats are what a database tires of first (docs/operating.md, "How far it scales").
_BEAT_EVERY_S = 5.0
# Sooner when there is something to show.
_PROGRESS_STEP = 0.02


class TimeLimitReached(Exception):
    """The job took longer than any such job should."""


class StopRequested(Exception):
    """This worker has to stop, and has had its time to finish."""


# Those that have given up their work, which goes on.
_hanging: set["Heartbeat"] = set()


def is_hanging() -> bool:
    """Whether this process has work that nothing can end any more.

    Other work that beats beside it hides it from the supervisor.
    """
    return bool(_hanging)


class Heartbeat:
    """Beats for a job, or for other work that has a lease, beside it, and tells it to stop.

    Beating needs a thread: storing a file may take longer than a lease.
    """

    def __init__(self, work: Job | Ingest | Derived) -> None:
        self._work = work
        self._progress = 0.0
        self._beaten_progress = 0.0
        self._step = ""
        self._beaten_at = -math.inf
        self._stop: LeaseLost | CancelRequested | None = None
        self._over_at = time.monotonic() + time_limit_s(work)
        self._stop_seen_at: float | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> "Heartbeat":
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._ended.set()
        self._thread.join()
        _hanging.discard(self)

    def report(self, progress: float, *, step: str = "") -> None:
        """Note the progress (0..1) and what is being done; raises when the work has to stop."""
        self._progress, self._step = progress, step
        self.check()

    def check(self) -> None:
        """Raise when the work has to stop; cheap enough to be asked many times a second."""
        if self._stop is not None:
            raise self._stop
        now = time.monotonic()
        if now > self._over_at:
            raise TimeLimitReached
        if is_stop_requested():
            if self._stop_seen_at is None:
                self._stop_seen_at = now
                log.info("job_goes_on_for_now", seconds=settings.JOB_STOP_GRACE_SECONDS)
            if now - self._stop_seen_at >= settings.JOB_STOP_GRACE_SECONDS:
                raise StopRequested

    def _beat(self) -> None:
        try:
            while not self._ended.wait(settings.JOB_HEARTBEAT_SECONDS):
                if time.monotonic() > self._over_at + _HANG_PATIENCE_S:
                    log.error("job_hangs")
                    _hanging.add(self)
                    return
                with suppress(OSError):
                    # A full disk must not cost the lease.
                    pulse_write()
                if self._stop is not None:
                    # The work may still be within a call to storage, which nothing cuts short.
                    continue
                try:
                    self._keep_lease()
                except (LeaseLost, CancelRequested) as stop:
                    self._stop = stop
                except Exception:
                    # Mostly the database, which may be back before the lease is over; if not, the
                    # reaper acts. Without this thread the work would go on for nobody.
                    log.warning("heartbeat_failed", exc_info=True)
                    connection.close()
        finally:
            connection.close()

    def _keep_lease(self) -> None:
        if isinstance(self._work, Ingest):
            ingest_beat(self._work)
        elif isinstance(self._work, Derived):
            # Not as often as a cancel is looked for: nobody cancels it.
            if self._is_beat_due():
                derived_beat(self._work, progress=self._progress)
                self._beaten_at, self._beaten_progress = time.monotonic(), self._progress
        elif self._is_beat_due():
            now, progress = time.monotonic(), self._progress
            job_beat(self._work, progress=progress, step=self._step)
            # Not earlier: one that failed is due again at once.
            self._beaten_at, self._beaten_progress = now, progress
        else:
            job_look(self._work)

    def _is_beat_due(self) -> bool:
        # Several beats have to fit into a lease, of whatever length.
        every_s = min(_BEAT_EVERY_S, settings.JOB_LEASE_SECONDS / 5)
        return (
            time.monotonic() - self._beaten_at >= every_s
            or self._progress - self._beaten_progress >= _PROGRESS_STEP
        )


def time_limit_s(work: Job | Ingest | Derived) -> float:
    """How long one attempt may take."""
    if isinstance(work, Ingest):
        return (
            settings.IMPORT_FETCH_SECONDS + settings.PROBE_SECONDS + settings.IMPORT_STORE_SECONDS
        )
    if isinstance(work, Derived):
        return settings.IMPORT_STORE_SECONDS + work.duration_s
    factor = settings.JOB_TIME_LIMIT_FACTOR
    return settings.JOB_TIME_LIMIT_BASE_SECONDS + factor * work.recording.duration_s
