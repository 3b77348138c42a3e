"""Liveness says that the process answers; readiness, that it can do its work.

Each check runs in a thread with a time limit: storage that hangs must not hang the probe, nor pile
up threads. What was found holds for a moment, so that probes cannot be used to load storage.
"""

import threading
import time
from collections.abc import Callable

import structlog
from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from jobs.queue import broker_check
from jobs.storage import storage_probe

log = structlog.get_logger(__name__)

# Well below what a probe waits for (deploy/ says 10 s).
_LIMIT_S = 4.0
_HOLDS_S = 1.0
# Once true it stays so, and finding out reads every migration.
_is_migrated = False


class Check:
    """Something that may fail, looked at by one thread at a time."""

    def __init__(self, name: str, look: Callable[[], None], *, is_needed: bool = True) -> None:
        self.name = name
        self.is_needed = is_needed
        self._look = look
        self._lock = threading.Lock()
        self._run: _Run | None = None

    def start(self) -> "_Run":
        """The look that is under way, or has just been taken; else a new one."""
        with self._lock:
            if self._run is None or self._run.is_stale():
                self._run = _Run(self.name, self._look)
            return self._run


class _Run:
    def __init__(self, name: str, look: Callable[[], None]) -> None:
        self._name, self._look = name, look
        self._is_well = False
        self._ended_at: float | None = None
        # Not waited for when the process ends.
        self._thread = threading.Thread(target=self._work, name=f"readiness-{name}", daemon=True)
        self._thread.start()

    def is_stale(self) -> bool:
        return self._ended_at is not None and time.monotonic() > self._ended_at + _HOLDS_S

    def wait(self, until: float) -> bool:
        self._thread.join(max(0.0, until - time.monotonic()))
        if self._thread.is_alive():
            log.error("readiness_check_hangs", check=self._name)
            return False
        return self._is_well

    def _work(self) -> None:
        try:
            self._look()
            self._is_well = True
        except Exception:
            # Each storage, and each broker, has exceptions of its own.
            log.exception("readiness_check_failed", check=self._name)
        finally:
            connection.close()
            self._ended_at = time.monotonic()


@require_safe
def live(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "ok"})


@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    until = time.monotonic() + _LIMIT_S
    checks = [check for check in _CHECKS if check is not _BROKER or settings.BROKER_URL]
    runs = [(check, check.start()) for check in checks]
    found = {check: run.wait(until) for check, run in runs}
    is_ready = all(is_well for check, is_well in found.items() if check.is_needed)
    status = "unavailable" if not is_ready else "ok" if all(found.values()) else "degraded"
    parts = {check.name: is_well for check, is_well in found.items()}
    return JsonResponse({"status": status, **parts}, status=200 if is_ready else 503)


def _check_database() -> None:
    global _is_migrated
    if _is_migrated:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        return
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise RuntimeError("migrations are missing: run `manage.py migrate`")
    _is_migrated = True


# Without it, orders are taken all the same, and the janitor wakes workers once it is back; to
# refuse orders would be worse.
_BROKER = Check("broker", broker_check, is_needed=False)
_CHECKS = (Check("database", _check_database), Check("storage", storage_probe), _BROKER)
