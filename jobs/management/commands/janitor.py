import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import structlog
from django.core.management.base import BaseCommand, CommandParser
from django.db import close_old_connections, connection

from accounts.rate_limits import rate_windows_clean
from accounts.tokens import sign_ins_clean
from billing.credit_alerts import has_credit_alerts_to_run
from billing.ledger import lots_expire
from billing.notices import has_notices_to_send, notices_clean
from billing.payment_reconciling import is_payment_reconciliation_due
from billing.reconciling import is_reconciliation_due
from billing.stripe_events import has_events_to_process
from billing.top_ups import has_top_ups_to_run
from jobs.cleaning import has_files_to_clean
from jobs.delivering import has_messages_due
from jobs.deriving import derived_reap, has_derived_waiting
from jobs.ingest_leases import has_waiting_ingests, ingests_reap
from jobs.instance import pulse_write
from jobs.leases import jobs_reap
from jobs.outbox import messages_clean
from jobs.presence import workers_clean
from jobs.queue import (
    wake_cleaning,
    wake_deriving,
    wake_imports,
    wake_notices,
    wake_payment_reconciling,
    wake_payments,
    wake_reconciliation,
    wake_separation,
    wake_webhooks,
)
from jobs.receiving import ingests_expire
from jobs.scheduling import has_waiting_jobs
from jobs.scratch import remove_leftovers
from jobs.tallies import tallies_roll_up

log = structlog.get_logger(__name__)

# Files that cannot be deleted now are tried again this often.
_CLEAN_EVERY_S = 30.0
# After an outage of the database, leases may be over though the work goes on: for so long, workers
# may beat before their jobs are taken from them.
_OUTAGE_GRACE_S = 3.0


class Command(BaseCommand):
    """A loop of its own, since a cluster that hangs would take its schedules with it.

    Several may run, on several machines: each duty is a guarded statement, or takes a lock.
    It never touches storage, which may hang: that must not keep lost jobs from being taken back.
    """

    help = "Take back the jobs of lost workers, wake workers that were not told, expire credits."

    _reap_from = 0.0

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--interval", type=float, default=1.0, help="seconds between rounds")

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        # Beside the others: what takes long must not keep lost jobs from being taken back.
        threading.Thread(target=self._seldom, args=[stop], daemon=True).start()
        while not stop.wait(options["interval"]):
            close_old_connections()
            self.round()
            # For a probe, where somebody has named a folder for it.
            pulse_write()

    def round(self) -> None:
        reapers = (
            (jobs_reap, ingests_reap, derived_reap) if time.monotonic() >= self._reap_from else ()
        )
        is_done = attempt_all(
            *reapers,
            wake_separation_if_needed,
            wake_imports_if_needed,
            wake_deriving_if_needed,
            lots_expire,
            wake_payments_if_needed,
            wake_notices_if_needed,
            wake_webhooks_if_needed,
        )
        if not is_done:
            self._reap_from = time.monotonic() + _OUTAGE_GRACE_S

    def _seldom(self, stop: threading.Event) -> None:
        while not stop.is_set():
            close_old_connections()
            attempt_all(
                ingests_expire,
                wake_cleaning_if_needed,
                wake_payment_reconciling_if_needed,
                wake_reconciliation_if_due,
                remove_leftovers,
                rate_windows_clean,
                tallies_roll_up,
                sign_ins_clean,
                messages_clean,
                notices_clean,
                workers_clean,
            )
            stop.wait(_CLEAN_EVERY_S)


def attempt_all(*duties: Callable[[], object]) -> bool:
    """Do each, whatever becomes of the others; False when the database is away."""
    if not attempt(limit_waiting):
        return False
    for duty in duties:
        attempt(duty)
    return True


def limit_waiting() -> None:
    """A row that a stopped process holds fails one duty, this time; it does not stop the round."""
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '1s'")


def attempt(duty: Callable[[], object]) -> bool:
    try:
        duty()
    except Exception:
        # Whatever it is, the other duties and the next round must go on.
        log.exception("janitor_duty_failed", duty=duty.__name__)
        return False
    return True


def wake_separation_if_needed() -> None:
    if has_waiting_jobs():
        wake_separation()


def wake_imports_if_needed() -> None:
    if has_waiting_ingests():
        wake_imports()


def wake_deriving_if_needed() -> None:
    if has_derived_waiting():
        wake_deriving()


def wake_cleaning_if_needed() -> None:
    if has_files_to_clean():
        wake_cleaning()


def wake_reconciliation_if_due() -> None:
    if is_reconciliation_due():
        wake_reconciliation()


def wake_payments_if_needed() -> None:
    if has_events_to_process() or has_top_ups_to_run():
        wake_payments()


def wake_notices_if_needed() -> None:
    if has_credit_alerts_to_run() or has_notices_to_send():
        wake_notices()


def wake_payment_reconciling_if_needed() -> None:
    if is_payment_reconciliation_due():
        wake_payment_reconciling()


def wake_webhooks_if_needed() -> None:
    if has_messages_due():
        wake_webhooks()
