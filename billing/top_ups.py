"""Buying a pack whenever the credits fall below a threshold, up to a sum of money a month.

The row of the payment comes before the call, and names all that the call says. A kill in between
leaves the row, and the next run sends the very same call under the same idempotency key. A row
fails only once Stripe was asked for what the calls made, and once that can take no money any more.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial

import structlog
from django.db import transaction
from django.db.models import (
    BigIntegerField,
    Exists,
    F,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
)
from django.db.models.functions import Coalesce, Now

from billing import stripe_client
from billing.auto_top_ups import COUNTED, card_of
from billing.checkout import customer_ensure, pack_payment_create
from billing.matching import payment_metadata
from billing.models import (
    Account,
    AccountKind,
    AutoTopUp,
    Lot,
    Payment,
    PaymentKind,
    PaymentState,
    Subscription,
)
from billing.payments import (
    INTENT_DECIDED,
    payment_fail,
    payment_sync_intent,
    top_up_fail,
    top_up_intent,
)
from billing.stripe_client import StripeKeyReused, StripeObjectMissing
from billing.stripe_objects import Intent
from config.errors import (
    CardDeclined,
    NoSavedCard,
    PaymentProviderFailed,
    PaymentProviderRefused,
)

log = structlog.get_logger(__name__)

# Longer than a task lasts, so that no two are at the same row.
_FIRST_PAUSE = timedelta(minutes=2)
_LONGEST_PAUSE = timedelta(hours=1)
# Stripe keeps idempotency keys for a day, and under them also the answer of a fault of its own.
_CALLED_FOR = timedelta(hours=3)
# Stripe takes the money for a month about an hour after it began.
_RENEWAL_TAKES = timedelta(days=1)
_AT_ONCE = 20
# A task of the `default` cluster ends in time to leave room for its slowest calls.
_TASK_S = 10.0


def has_top_ups_to_run() -> bool:
    return stripe_client.is_configured() and (_wanted().exists() or _due().exists())


def top_ups_run() -> int:
    """Open the top-ups that are wanted and pay those that are open; returns how many it tried."""
    if not stripe_client.is_configured():
        return 0
    started = time.monotonic()
    for pk in _wanted().values_list("pk", flat=True)[:_AT_ONCE]:
        _try("top_up_not_opened", pk, partial(_open, pk))
    tried = 0
    while tried < _AT_ONCE and time.monotonic() - started < _TASK_S and (payment := _claim()):
        tried += 1
        error = _try("top_up_not_paid", payment.pk, partial(_pay, payment))
        if isinstance(error, PaymentProviderFailed):
            # One slow failure is enough for a task.
            break
    return tried


def _try(failure: str, pk: int, work: Callable[[], None]) -> Exception | None:
    """Whatever is wrong with one: the others must go on. It is tried again after a pause."""
    try:
        work()
    except Exception as error:
        log.exception(failure, pk=pk)
        return error
    return None


def _wanted() -> QuerySet[AutoTopUp]:
    """Those that are below their threshold and may buy."""
    accounts = Account.objects.filter(workspace=OuterRef("workspace"))
    wallet = accounts.filter(kind=AccountKind.WALLET)
    # Whoever took money back is not charged for it again.
    debts = accounts.filter(kind=AccountKind.CLAWBACK, posted_mcr__lt=0)
    available = wallet.values(available=F("posted_mcr") - F("held_mcr"))
    top_ups = Payment.objects.filter(workspace=OuterRef("workspace"), kind=PaymentKind.TOP_UP)
    spent = (
        top_ups.filter(COUNTED)
        .order_by()
        .values("workspace")
        .annotate(cents=Sum("amount_cents"))
        .values("cents")
    )
    return (
        AutoTopUp.objects.filter(is_enabled=True, pack__is_active=True)
        .filter(~Exists(top_ups.filter(state=PaymentState.PENDING)))
        .filter(~Exists(debts))
        .exclude(_is_between_months())
        .annotate(
            available_mcr=Coalesce(Subquery(available, output_field=BigIntegerField()), 0),
            spent_cents=Coalesce(Subquery(spent, output_field=BigIntegerField()), 0),
        )
        .filter(available_mcr__lt=F("threshold_mcr"))
        .filter(monthly_ceiling_cents__gte=F("spent_cents") + F("pack__price_cents"))
    )


def _is_between_months() -> Q:
    """The credits of a plan's month have expired, and those of the next are about to come."""
    renewing = Subscription.objects.filter(
        workspace=OuterRef("workspace"), status="active", cancel_at_period_end=False
    )
    months = Lot.objects.filter(
        account__workspace=OuterRef("workspace"),
        account__kind=AccountKind.WALLET,
        source=PaymentKind.PLAN,
    )
    just_over = months.filter(expires_at__lte=Now(), expires_at__gt=Now() - _RENEWAL_TAKES)
    return (
        Q(Exists(renewing)) & Q(Exists(just_over)) & ~Q(Exists(months.filter(expires_at__gt=Now())))
    )


@transaction.atomic
def _open(pk: int) -> None:
    AutoTopUp.objects.select_for_update().get(pk=pk)
    # Asked again under the lock: another worker may have just bought for it.
    row = _wanted().filter(pk=pk).select_related("workspace", "pack").first()
    if row is not None:
        pack_payment_create(workspace=row.workspace, pack=row.pack, kind=PaymentKind.TOP_UP)


def _due() -> QuerySet[Payment]:
    return Payment.objects.filter(
        kind=PaymentKind.TOP_UP, state=PaymentState.PENDING, next_attempt_at__lte=Now()
    )


@transaction.atomic
def _claim() -> Payment | None:
    rows = _due().select_for_update(of=("self",), skip_locked=True).select_related("workspace")
    payment = rows.order_by("next_attempt_at", "pk").first()
    if payment is not None:
        pause = min(_FIRST_PAUSE * 2 ** min(payment.attempts, 10), _LONGEST_PAUSE)
        Payment.objects.filter(pk=payment.pk).update(
            attempts=F("attempts") + 1, next_attempt_at=Now() + pause
        )
    return payment


def _pay(payment: Payment) -> None:
    is_known = payment.payment_intent_id is not None
    if not AutoTopUp.objects.filter(workspace=payment.workspace_id, is_enabled=True).exists():
        _end(payment, "The automatic top-up was switched off.", payment_fail)
    elif is_known or _is_older(payment, _CALLED_FOR):
        _settle(payment)
    else:
        try:
            _charge(payment)
        except StripeKeyReused:
            # The call was made before, by a version of this code that said it otherwise.
            _settle(payment)
        except CardDeclined:
            _end(payment, "The card was declined.", top_up_fail)
        except PaymentProviderRefused:
            _end(payment, "The saved card cannot be charged.", top_up_fail)
        except NoSavedCard:
            _end(payment, "There is no saved card.", top_up_fail)
        else:
            _settle(payment)


def _settle(payment: Payment) -> None:
    """Bring a payment in step with what its calls made."""
    try:
        intent = _intent_of(payment)
    except StripeObjectMissing:
        top_up_fail(payment, "Stripe does not have the payment any more.")
        return
    if intent is None:
        if _is_older(payment, _CALLED_FOR):
            payment_fail(payment, "Stripe could not be reached.")
    else:
        payment_sync_intent(intent_id=intent.id)


def _end(payment: Payment, reason: str, fail: Callable[[Payment, str], object]) -> None:
    """Fail a payment, once it is sure that no call for it took money, or still can."""
    intent = None
    with suppress(StripeObjectMissing):
        intent = _intent_of(payment)
    if intent and intent.status not in INTENT_DECIDED:
        # Refused: something has just become of it.
        with suppress(PaymentProviderRefused):
            stripe_client.intent_cancel(intent=intent.id)
        intent = stripe_client.intent_get(intent=intent.id)
    if intent is None or intent.status == "canceled":
        fail(payment, reason)
    else:
        payment_sync_intent(intent_id=intent.id)


def _is_older(payment: Payment, age: timedelta) -> bool:
    return Payment.objects.filter(pk=payment.pk, created_at__lt=Now() - age).exists()


def _charge(payment: Payment) -> None:
    if not payment.card_id:
        card = card_of(workspace=payment.workspace)
        if card is None:
            raise NoSavedCard
        # The first card that is written is the one, whoever wrote it.
        Payment.objects.filter(pk=payment.pk, card_id="").update(card_id=card)
        payment.refresh_from_db(fields=["card_id"])
    intent = stripe_client.intent_create(
        params={
            "amount": payment.amount_cents,
            "currency": payment.currency,
            "customer": customer_ensure(workspace=payment.workspace),
            "payment_method": payment.card_id,
            # Else Stripe counts with methods that lead a person to another page.
            "payment_method_types": ["card"],
            "off_session": True,
            "confirm": True,
            "metadata": payment_metadata(payment),
        },
        idempotency_key=f"top_up:{payment.uuid}",
    )
    Payment.objects.filter(pk=payment.pk).update(payment_intent_id=intent.id)
    payment.payment_intent_id = intent.id


def _intent_of(payment: Payment) -> Intent | None:
    intent_id = top_up_intent(payment)
    return stripe_client.intent_get(intent=intent_id) if intent_id else None
