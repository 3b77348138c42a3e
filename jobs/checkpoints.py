"""What a long job has finished so far, kept in storage for an attempt that may follow."""

import errno
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import structlog
from django.conf import settings
from django.db.utils import Error as DatabaseError

from jobs.heartbeat import Heartbeat, StopRequested
from jobs.leases import LeaseLost, job_part_add
from jobs.models import Job
from jobs.settling import connection_renew
from jobs.storage import storage_fetch, storage_save
from separation import Part, parts_in

log = structlog.get_logger(__name__)

# After storage or the database failed; the work goes on without them.
_PAUSE_S = 10
_STOP_PATIENCE_S = 5


class Checkpoints:
    """Brings the parts of earlier attempts here, and puts those of this one into storage.

    Files are stored by a thread beside the work; rows are written by the caller's own. A part that
    cannot be kept costs the job nothing.
    """

    def __init__(self, job: Job, folder: Path) -> None:
        self._job = job
        self._folder = folder / "parts"
        duration_s = job.n_samples / job.recording.sample_rate
        self._is_long = duration_s > settings.JOB_PARTS_FROM_SECONDS
        self._waiting: list[Part] = []
        self._storing: Future[dict[str, str]] | None = None
        self._resume_at = 0.0
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="parts")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        is_stopping = isinstance(error, StopRequested)
        if self._storing is not None:
            # Its files are about to go, and storage is swept soon after the job has ended: nothing
            # may arrive there later. A job that is handed back has not ended, and has no time.
            wait([self._storing], timeout=_STOP_PATIENCE_S if is_stopping else None)
        self._pool.shutdown(wait=not is_stopping, cancel_futures=True)
        if error is not None and self._storing is not None:
            try:
                self.look()
            except LeaseLost:
                pass  # nobody waits for it
        if isinstance(error, OSError) and error.errno == errno.EIO:
            self._forget()

    @property
    def options(self) -> dict[str, Any]:
        """For the separation."""
        if not self._is_long:
            return {}
        return {"parts_dir": str(self._folder), "part_seconds": settings.JOB_PART_SECONDS}

    def fetch(self, heartbeat: Heartbeat) -> None:
        """Bring the parts of earlier attempts; what is missing will be made again."""
        if not self._is_long:
            return
        self._folder.mkdir()
        try:
            for row in self._job.parts.order_by("number"):
                for name, key in row.keys.items():
                    heartbeat.check()
                    storage_fetch(key=key, path=self._folder / name)
        except OSError:
            log.warning("job_part_missing", exc_info=True)
        parts = parts_in(self._folder)
        if parts:
            log.info("job_goes_on", n_samples=sum(part.n_samples for part in parts))

    def add(self, n_samples: int) -> None:
        """Keep the part that has just been finished, `n_samples` from the recording's start."""
        n_before = 0
        for part in parts_in(self._folder):
            n_before += part.n_samples
            if n_before == n_samples:
                self._waiting.append(part)

    def look(self) -> None:
        """Store and note what is waiting. Never waits itself; raises LeaseLost."""
        if self._storing is None:
            if self._waiting and time.monotonic() >= self._resume_at:
                self._storing = self._pool.submit(self._store, self._waiting[0])
        elif self._storing.done():
            stored, self._storing = self._storing, None
            try:
                self._note(self._waiting[0], stored.result())
            except (OSError, DatabaseError):
                log.warning("job_part_not_kept", exc_info=True)
                self._resume_at = time.monotonic() + _PAUSE_S
            else:
                self._waiting.pop(0)

    def _store(self, part: Part) -> dict[str, str]:
        prefix = f"jobs/{self._job.uuid}/parts/{self._job.attempt}"
        keys = {name: f"{prefix}/{name}" for name in part.files}
        for name, key in keys.items():
            storage_save(key=key, path=self._folder / name)
        return keys

    def _forget(self) -> None:
        """Have the next attempt make all parts anew: one of them cannot be read back."""
        try:
            connection_renew()
            rows = self._job.parts.filter(job__attempt=self._job.attempt)
            log.warning("job_parts_forgotten", number=rows.delete()[0])
        except DatabaseError:
            log.warning("job_parts_not_forgotten", exc_info=True)

    def _note(self, part: Part, keys: dict[str, str]) -> None:
        connection_renew()
        job_part_add(self._job, number=part.number, n_samples=part.n_samples, keys=keys)
        log.info("job_part_kept", number=part.number)
