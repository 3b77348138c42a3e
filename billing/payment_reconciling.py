"""Looking at Stripe for payments whose events never came, or could not be handled.

What there is to look at is written down first, a row each, and then worked off in slices: a night's
look may take longer than a task, may be killed anywhere, and one broken thing ends nothing.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta

import structlog
from django.db import connection, transaction
from django.db.models import F, Q, QuerySet, Value
from django.db.models.functions import Concat, Now

from billing import stripe_client
from billing.matching import Contradiction, ForeignObject
from billing.models import (
    Payment,
    PaymentCheck,
    PaymentKind,
    PaymentReconciliation,
    PaymentState,
    Subscription,
)
from billing.payments import (
    payment_settle,
    payment_sync_charge,
    payment_sync_invoice,
    payment_sync_session,
)
from billing.stripe_client import StripeObjectMissing, StripeSecretRefused
from billing.subscriptions import ENDED, subscription_sync
from config.errors import PaymentProviderFailed, PaymentsUnavailable

log = structlog.get_logger(__name__)

# Stripe repeats an event for three days.
_LOOK_BACK = timedelta(days=4)
_EVERY = timedelta(days=1)
# Checkouts that are not paid expire in a day.
_ABANDONED_AFTER = timedelta(days=2)
# So long after, Stripe or the customer may still pay a month that was overdue.
_PAID_LATE = timedelta(days=60)
# So long after, a dispute may still be won, or a refund come back.
_RETURNS_CHANGE = timedelta(days=180)
# What is older than that was looked at before.
_MONTHS_LOOKED_AT = 3
# A task of the `default` cluster ends in time to leave room for its slowest call.
_TASK_S = 10.0
_MAX_ATTEMPTS = 5
# Longer than a task lasts; for each further attempt, four times as long.
_LEASE = timedelta(minutes=2)
# Nothing can be looked at until somebody sets the key right.
_KEY_REFUSED = (PaymentsUnavailable, StripeSecretRefused)
_KEY_PAUSE = timedelta(minutes=10)
# Any number, as long as nothing else uses it for an advisory lock.
_LOCK = 0x73746D78


def is_payment_reconciliation_due() -> bool:
    if not stripe_client.is_configured():
        return False
    if run := _unfinished():
        return _ready(run).exists() or not _left(run).exists()
    return not PaymentReconciliation.objects.filter(started_at__gt=Now() - _EVERY).exists()


def payments_reconcile() -> list[str]:
    """Look now, anew if a look was begun; returns what there is to be told of."""
    run = _begin_anew()
    while _work(run):
        pass
    run.refresh_from_db()
    return list(run.found)


def payment_checks_left() -> int:
    """How many could not be looked at yet, or are being looked at by another."""
    run = _unfinished()
    return _left(run).count() if run else 0


def payments_reconcile_slice() -> bool:
    """Look for a while, once a night; True when there is more to do."""
    if not is_payment_reconciliation_due():
        return False
    run = _unfinished() or _begin()
    try:
        return _work(run)
    except _KEY_REFUSED as error:
        log.error("payment_reconciling_impossible", error=type(error).__name__)
        _pause(run)
        return False


def _unfinished() -> PaymentReconciliation | None:
    return PaymentReconciliation.objects.filter(finished_at=None).order_by("pk").first()


def _left(run: PaymentReconciliation) -> QuerySet[PaymentCheck]:
    # The last attempt may be under way.
    open_ = Q(attempts__lt=_MAX_ATTEMPTS) | Q(next_attempt_at__gt=Now())
    return run.checks.filter(open_, done_at=None)


def _ready(run: PaymentReconciliation) -> QuerySet[PaymentCheck]:
    return run.checks.filter(done_at=None, attempts__lt=_MAX_ATTEMPTS, next_attempt_at__lte=Now())


@transaction.atomic
def _pause(run: PaymentReconciliation) -> None:
    _lock(run)
    _ready(run).update(next_attempt_at=Now() + _KEY_PAUSE)


def _lock(run: PaymentReconciliation) -> None:
    """Findings, the end of a look and its renewal wait for each other."""
    PaymentReconciliation.objects.select_for_update().get(pk=run.pk)


# --- What there is to look at -----------------------------------------------------------------


@transaction.atomic
def _begin() -> PaymentReconciliation:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
    # Locked, since it may end right now.
    rows = PaymentReconciliation.objects.select_for_update()
    if run := rows.filter(finished_at=None).order_by("pk").first():
        return run
    run = PaymentReconciliation.objects.create()
    _fill(run)
    return run


@transaction.atomic
def _begin_anew() -> PaymentReconciliation:
    """What came after the lists were made is looked at too; what was tried keeps its lease."""
    run = _begin()
    lists = run.checks.filter(kind="list")
    lists.update(done_at=None, attempts=0, next_attempt_at=Now(), finding="")
    run.checks.filter(done_at=None, attempts=0).update(next_attempt_at=Now())
    _fill(run)
    return run


def _fill(run: PaymentReconciliation) -> None:
    _add(run, "list", _LISTS)
    _add(run, "payment", (str(uuid) for uuid in _doubtful().values_list("uuid", flat=True)))
    # The last month of one that ended may have been paid late.
    billed = ~Q(status__in=ENDED) | Q(current_period_end__gt=Now() - _PAID_LATE)
    rows = Subscription.objects.filter(billed).order_by("pk")
    _add(run, "subscription", rows.values_list("stripe_id", flat=True))


def _add(run: PaymentReconciliation, kind: str, object_ids: Iterable[str]) -> None:
    PaymentCheck.objects.bulk_create(
        [PaymentCheck(reconciliation=run, kind=kind, object_id=one) for one in object_ids],
        batch_size=1000,
        ignore_conflicts=True,
    )


def _doubtful() -> QuerySet[Payment]:
    """Payments of ours that may have changed at Stripe without a word."""
    abandoned = Q(state=PaymentState.PENDING, created_at__lt=Now() - _ABANDONED_AFTER)
    unpaid_month = Q(grant=None, invoice_id__isnull=False, created_at__gt=Now() - _PAID_LATE)
    top_up = Q(kind=PaymentKind.TOP_UP, grant=None, created_at__gt=Now() - _LOOK_BACK)
    returned = Q(returned_cents__gt=0, paid_at__gt=Now() - _RETURNS_CHANGE)
    return Payment.objects.filter(abandoned | unpaid_month | top_up | returned).order_by("pk")


def _list_sessions(since: datetime) -> Iterable[tuple[str, str]]:
    for session in stripe_client.sessions_paid(since=since):
        granted = Payment.objects.filter(checkout_session_id=session.id, grant__isnull=False)
        if session.mode == "payment" and not granted.exists():
            yield "session", session.id


def _ungranted_months(subscription_id: str) -> list[str]:
    """Months of which nothing was heard at all, however long their payment took."""
    months = stripe_client.invoices_of_subscription(
        subscription=subscription_id, limit=_MONTHS_LOOKED_AT
    )
    granted = Payment.objects.filter(grant__isnull=False).values_list("invoice_id", flat=True)
    known = set(granted.filter(invoice_id__in=[month.id for month in months]))
    return [month.id for month in months if month.id not in known]


def _list_invoices(since: datetime) -> Iterable[tuple[str, str]]:
    for invoice in stripe_client.invoices_paid(since=since):
        granted = Payment.objects.filter(invoice_id=invoice.id, grant__isnull=False)
        if invoice.subscription and not granted.exists():
            yield "invoice", invoice.id


def _list_returns(since: datetime) -> Iterable[tuple[str, str]]:
    # Also those that were heard of: a refund may fail, a dispute be won, without a word.
    for found in stripe_client.returns_list(since=since):
        yield "charge", found.charge


_LISTS: Mapping[str, Callable[[datetime], Iterable[tuple[str, str]]]] = {
    "sessions": _list_sessions,
    "invoices": _list_invoices,
    "returns": _list_returns,
}


# --- Looking ----------------------------------------------------------------------------------


def _work(run: PaymentReconciliation) -> bool:
    started = time.monotonic()
    while check := _claim(run):
        _look(run, check)
        if time.monotonic() - started > _TASK_S:
            return True
    _tell(run)
    return False


@transaction.atomic
def _claim(run: PaymentReconciliation) -> PaymentCheck | None:
    """Lease a check. The attempt counts here: one that kills its worker is not tried for ever."""
    rows = _ready(run).select_for_update(skip_locked=True)
    check = rows.order_by("attempts", "pk").first()
    if check is not None:
        lease = _LEASE * 4**check.attempts
        run.checks.filter(pk=check.pk).update(
            attempts=F("attempts") + 1, next_attempt_at=Now() + lease
        )
    return check


def _look(run: PaymentReconciliation, check: PaymentCheck) -> None:
    finding = ""
    try:
        if _sync(run, check):
            finding = check.object_id
    except Contradiction as error:
        finding = f"{check.object_id}: {error}"
    except (ForeignObject, StripeObjectMissing):
        # Another product's, on the same account.
        pass
    except _KEY_REFUSED:
        # No fault of the check's: the attempt does not count.
        run.checks.filter(pk=check.pk, attempts=check.attempts + 1).update(
            attempts=check.attempts, next_attempt_at=Now()
        )
        raise
    except PaymentProviderFailed as error:
        log.exception("payment_reconciling_put_off", kind=check.kind, id=check.object_id)
        if check.attempts + 1 < _MAX_ATTEMPTS:
            # It is tried again, once its lease is over.
            return
        finding = _broken(check, error)
    except Exception as error:
        # Whatever it is, the others must go on.
        log.exception("payment_reconciling_failed", kind=check.kind, id=check.object_id)
        finding = _broken(check, error)
    except BaseException:
        # Asked to stop: the next worker need not wait.
        run.checks.filter(pk=check.pk).update(next_attempt_at=Now())
        raise
    _done(run, check, finding[:500])


def _broken(check: PaymentCheck, error: Exception) -> str:
    return f"{check.object_id}: could not be looked at ({type(error).__name__})"


@transaction.atomic
def _done(run: PaymentReconciliation, check: PaymentCheck, finding: str) -> None:
    _lock(run)
    # Two may have looked, and the slower one found nothing any more: the finding stays.
    kept = {"finding": finding} if finding else {}
    if not run.checks.filter(pk=check.pk).update(done_at=Now(), **kept) and finding:
        # It outlived its last lease, and the look is over.
        log.error("payments_missed", found=[finding])


def _sync(run: PaymentReconciliation, check: PaymentCheck) -> bool:
    """True when credits were granted or taken back."""
    match check.kind:
        case "list":
            run.refresh_from_db()
            for kind, object_id in _LISTS[check.object_id](run.started_at - _LOOK_BACK):
                _add(run, kind, [object_id])
        case "session":
            return payment_sync_session(session_id=check.object_id)
        case "invoice":
            return payment_sync_invoice(invoice_id=check.object_id)
        case "charge":
            return payment_sync_charge(charge_id=check.object_id)
        case "subscription":
            subscription_sync(subscription_id=check.object_id)
            _add(run, "invoice", _ungranted_months(check.object_id))
        case "payment":
            rows = Payment.objects.select_related("workspace")
            return payment_settle(payment=rows.get(uuid=check.object_id))
    return False


@transaction.atomic
def _tell(run: PaymentReconciliation) -> None:
    """Keep what was found so far; with the last check done, the look is over."""
    _lock(run)
    is_over = not _left(run).exists()
    if is_over:
        given_up = Value(f": could not be looked at (given up after {_MAX_ATTEMPTS} attempts)")
        run.checks.filter(done_at=None).update(finding=Concat(F("object_id"), given_up))
    findings = run.checks.exclude(finding="").order_by("pk")
    found = list(findings.values_list("finding", flat=True))
    open_run = PaymentReconciliation.objects.filter(pk=run.pk, finished_at=None)
    if not is_over:
        open_run.update(found=found)
    elif open_run.update(found=found, finished_at=Now()):
        if found:
            log.error("payments_missed", found=found)
        run.checks.all().delete()
