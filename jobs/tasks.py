"""What workers are woken for. Each may run twice, or not at all: the janitor sees to the rest."""

import time

from billing import payment_reconciling
from billing.notices import notices_send
from billing.reconciling import ledger_reconcile_if_due
from billing.stripe_events import events_process
from billing.top_ups import top_ups_run
from jobs import cleaning
from jobs.credit_alerts import credit_alerts_run
from jobs.delivering import messages_deliver
from jobs.derived_work import run_next_derived
from jobs.draining import jobs_drain
from jobs.ingesting import run_next_ingest
from jobs.instance import Pulse, is_stop_requested, only_one, pulse_write
from jobs.queue import (
    wake_cleaning,
    wake_deriving,
    wake_imports,
    wake_notices,
    wake_payment_reconciling,
    wake_payments,
    wake_separation,
    wake_webhooks,
)

# After that a new task begins: django-q2 ends one that takes too long, whatever it does.
_DRAIN_S = 3600
# Workers of a cluster that make listening copies and mixes at a time: one is left for what comes
# in.
_DERIVING_AT_ONCE = 2


def canary() -> None:
    """Handed out by each cluster to itself (jobs/brokers.py)."""
    pulse_write(Pulse.CANARY)


def separation_run() -> None:
    # The process stays, and with it the process that holds the model.
    until = time.monotonic() + _DRAIN_S
    has_drained = jobs_drain(
        may_go_on=lambda: not is_stop_requested(),
        is_late=lambda: time.monotonic() >= until,
    )
    if not has_drained:
        # There may be more: for the next task, other machines, or the next start of this one.
        wake_separation()


def ingests_run() -> None:
    # One a task: the next may be somebody else's, and a slow one must not add to another.
    if not is_stop_requested():
        pulse_write()
        if not run_next_ingest():
            return
    wake_imports()


def derived_run() -> None:
    if is_stop_requested():
        return
    for place in range(_DERIVING_AT_ONCE):
        with only_one(f"deriving-{place}") as is_free:
            if is_free:
                pulse_write()
                if run_next_derived():
                    wake_deriving()
                return


def storage_clean() -> None:
    # Storage may hang, and receivers may be slow: payments must not wait for either.
    with only_one("cleaning") as is_only_one:
        if is_only_one and cleaning.storage_clean():
            wake_cleaning()


def ledger_reconcile() -> None:
    ledger_reconcile_if_due()


def payments_run() -> None:
    has_more = events_process()
    if top_ups_run() or has_more:
        wake_payments()


def notices_run() -> None:
    # In the place of cleaning: a server of mail that hangs leaves one worker for payments, too.
    with only_one("cleaning") as is_only_one:
        if is_only_one:
            credit_alerts_run()
            if notices_send():
                wake_notices()


def payments_reconcile() -> None:
    if payment_reconciling.payments_reconcile_slice():
        wake_payment_reconciling()


def webhooks_run() -> None:
    # Whoever is at it sees what was written meanwhile, or wakes another.
    with only_one("webhooks") as is_only_one:
        if is_only_one and messages_deliver():
            wake_webhooks()
