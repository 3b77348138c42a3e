import signal
import threading
from typing import Any

import structlog
from django.core.management.base import BaseCommand, CommandParser
from django.db import close_old_connections
from django.db.utils import Error as DatabaseError

from jobs.cleaning import storage_clean
from jobs.leases import jobs_reap, jobs_wait_for_a_worker
from jobs.queue import wake_separation

log = structlog.get_logger(__name__)


class Command(BaseCommand):
    """A loop of its own, since a cluster that hangs would take its schedules with it."""

    help = "Take back the jobs of lost workers, wake workers that were not told, remove old files."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--interval", type=float, default=2.0, help="seconds between rounds")

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        while not stop.wait(options["interval"]):
            close_old_connections()
            try:
                self.round()
            except (DatabaseError, OSError):
                # The database or the storage is away; the next round may find it again.
                log.exception("janitor_round_failed")

    def round(self) -> None:
        jobs_reap()
        if jobs_wait_for_a_worker():
            wake_separation()
        storage_clean()
