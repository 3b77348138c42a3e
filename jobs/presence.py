"""What each worker says of itself, for operators to see: that it lives, where, and with what.

A worker begins with its first task, the canary at the latest, and ends in order when its process
does. One that is killed falls silent; its row is kept for a day, since somebody may ask.
"""

import os
import socket
import threading
from datetime import timedelta
from multiprocessing.util import Finalize
from typing import Any, Final

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.models import BooleanField, ExpressionWrapper, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from jobs.instance import worker_name
from jobs.models import Worker
from jobs.queue import SEPARATION

log = structlog.get_logger(__name__)

BEAT_S: Final = 15.0
# Several beats have failed by then.
SILENT_AFTER: Final = timedelta(seconds=60)
_KEPT: Final = timedelta(days=1)

# Of which process: after a fork it is another.
_begun_in: int | None = None


def presence_begin() -> None:
    """Say from now on, beside the work, that this process lives. A second call does nothing."""
    global _begun_in
    if _begun_in == os.getpid():
        return
    _begun_in = os.getpid()
    ended = threading.Event()
    thread = threading.Thread(target=_beat, args=(ended,), name="presence", daemon=True)
    thread.start()
    # At the end of a worker that is not killed.
    Finalize(None, _end, args=(ended, thread), exitpriority=10)


def presence_write(values: dict[str, Any]) -> None:
    """Say it once."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            # Nothing depends on it.
            cursor.execute("SET LOCAL synchronous_commit = off")
        Worker.objects.update_or_create(
            name=worker_name(), defaults={**values, **_engine(values["cluster"]), "seen_at": Now()}
        )


def presence_values() -> dict[str, Any]:
    """What does not change while a worker lives."""
    return {
        "host": socket.gethostname()[:100],
        "pid": os.getpid(),
        "cluster": os.environ.get("Q_CLUSTER_NAME", "")[:32],
        "started_at": timezone.now(),
    }


def workers_list() -> QuerySet[Any]:
    """Those that live or did within a day, by cluster and machine; and which are silent."""
    is_silent = Q(seen_at__lt=Now() - SILENT_AFTER)
    rows = Worker.objects.annotate(is_silent=ExpressionWrapper(is_silent, BooleanField()))
    return rows.order_by("cluster", "host", "pid")


def workers_clean() -> None:
    """Forget those that have been silent for long."""
    Worker.objects.filter(seen_at__lt=Now() - _KEPT).delete()


def _engine(cluster: str) -> dict[str, Any]:
    if cluster != SEPARATION:
        return {}
    # Where there is work for it, it is loaded anyway.
    from jobs.engine import engine_models

    loaded = engine_models()
    return {
        "device": loaded[0]["device"] if loaded else settings.SEPARATION_DEVICE,
        "device_name": loaded[0]["device_name"][:100] if loaded else "",
        "loaded": loaded,
        "at_once": settings.JOBS_AT_ONCE,
    }


def _beat(ended: threading.Event) -> None:
    values = presence_values()
    while True:
        try:
            presence_write(values)
        except Exception:
            # Mostly the database; the work goes on without it, or not.
            log.info("presence_not_written", exc_info=True)
        finally:
            # One that is held open would cost a place for each worker.
            connection.close()
        if ended.wait(BEAT_S):
            return


def _end(ended: threading.Event, thread: threading.Thread) -> None:
    ended.set()
    thread.join(1)
    try:
        Worker.objects.filter(name=worker_name()).delete()
    except Exception:
        log.info("presence_not_ended", exc_info=True)
    finally:
        connection.close()
