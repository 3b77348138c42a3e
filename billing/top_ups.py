"""Buying a pack whenever the credits fall below a threshold, up to a sum of money a month.

The row of the payment comes before the call, and names all that the call says. A kill in between
leaves the row, and the next run sends the very same call under the same idempotency key.
"""

from datetime import timedelta

import structlog
from django.db import transaction
from django.db.models import (
    BigIntegerField,
    Exists,
    F,
    OuterRef,
    QuerySet,
    Subquery,
    Sum,
)
from django.db.models.functions import Coalesce, Now, TruncMonth

from billing import stripe_client
from billing.auto_top_ups import card_of
from billing.checkout import customer_ensure
from billing.matching import ForeignObject, payment_metadata
from billing.models import (
    Account,
    AccountKind,
    AutoTopUp,
    Payment,
    PaymentKind,
    PaymentState,
)
from billing.payments import payment_fail, payment_sync_intent, top_up_fail
from config.errors import (
    AppError,
    CardDeclined,
    NoSavedCard,
    PaymentProviderFailed,
    PaymentProviderRefused,
)

log = structlog.get_logger(__name__)

_FIRST_PAUSE = timedelta(seconds=30)
_LONGEST_PAUSE = timedelta(hours=1)
# Stripe keeps idempotency keys for a day: a call that is older must not be sent again blindly.
_KEY_LASTS = timedelta(hours=20)
_AT_ONCE = 20


def has_top_ups_to_run() -> bool:
    return stripe_client.is_configured() and (_wanted().exists() or _due().exists())


def top_ups_run() -> int:
    """Open the top-ups that are wanted and pay those that are open; returns how many it tried."""
    if not stripe_client.is_configured():
        return 0
    for pk in _wanted().values_list("pk", flat=True)[:_AT_ONCE]:
        _open(pk)
    tried = 0
    while tried < _AT_ONCE and (payment := _claim()):
        tried += 1
        try:
            _pay(payment)
        except (AppError, ForeignObject) as error:
            # It stays open, and is tried again after a pause.
            log.exception("top_up_not_paid", payment=str(payment.uuid))
            if isinstance(error, PaymentProviderFailed):
                # One slow failure is enough for a task.
                break
    return tried


def _wanted() -> QuerySet[AutoTopUp]:
    """Those that are below their threshold and may buy."""
    wallet = Account.objects.filter(workspace=OuterRef("workspace"), kind=AccountKind.WALLET)
    available = wallet.values(available=F("posted_mcr") - F("held_mcr"))
    top_ups = Payment.objects.filter(workspace=OuterRef("workspace"), kind=PaymentKind.TOP_UP)
    spent = (
        top_ups.filter(state__in=[PaymentState.PENDING, PaymentState.PAID])
        .filter(created_at__gte=TruncMonth(Now()))
        .order_by()
        .values("workspace")
        .annotate(cents=Sum("amount_cents"))
        .values("cents")
    )
    return (
        AutoTopUp.objects.filter(is_enabled=True, pack__is_active=True)
        .filter(~Exists(top_ups.filter(state=PaymentState.PENDING)))
        .annotate(
            available_mcr=Coalesce(Subquery(available, output_field=BigIntegerField()), 0),
            spent_cents=Coalesce(Subquery(spent, output_field=BigIntegerField()), 0),
        )
        .filter(available_mcr__lt=F("threshold_mcr"))
        .filter(monthly_ceiling_cents__gte=F("spent_cents") + F("pack__price_cents"))
    )


@transaction.atomic
def _open(pk: int) -> None:
    AutoTopUp.objects.select_for_update().get(pk=pk)
    # Asked again under the lock: another worker may have just bought for it.
    row = _wanted().filter(pk=pk).select_related("workspace", "pack").first()
    if row is not None:
        Payment.objects.create(
            workspace=row.workspace,
            kind=PaymentKind.TOP_UP,
            pack=row.pack,
            credits_mcr=row.pack.credits_mcr,
            amount_cents=row.pack.price_cents,
            currency=row.pack.currency,
        )


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
    intent_id = payment.payment_intent_id
    old = Payment.objects.filter(pk=payment.pk, created_at__lt=Now() - _KEY_LASTS)
    if intent_id is None and old.exists():
        intent_id = _made_before(payment)
        if intent_id is None:
            payment_fail(payment, "Stripe could not be reached.")
            return
    try:
        intent_id = intent_id or _charge(payment)
    except CardDeclined:
        top_up_fail(payment, "The card was declined.")
    except PaymentProviderRefused:
        top_up_fail(payment, "The saved card cannot be charged.")
    except NoSavedCard:
        top_up_fail(payment, "There is no saved card.")
    else:
        payment_sync_intent(intent_id=intent_id)


def _charge(payment: Payment) -> str:
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
            "off_session": True,
            "confirm": True,
            "metadata": payment_metadata(payment),
        },
        idempotency_key=f"top_up:{payment.uuid}",
    )
    Payment.objects.filter(pk=payment.pk).update(payment_intent_id=intent.id)
    return intent.id


def _made_before(payment: Payment) -> str | None:
    """The intent of a call whose answer was lost."""
    made = stripe_client.intents_of_customer(
        customer=customer_ensure(workspace=payment.workspace),
        since=payment.created_at - timedelta(hours=1),
    )
    return next((row.id for row in made if row.metadata == payment_metadata(payment)), None)
