"""Opening Stripe's pages to pay, and what was paid before."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import Any
from uuid import UUID, uuid4, uuid5

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from accounts.mail import site_url
from accounts.models import Workspace
from billing import stripe_client
from billing.matching import ForeignObject, payment_metadata
from billing.models import Pack, Payment, PaymentKind, PaymentState, Plan, StripeCustomer
from billing.payments import payment_fail, payment_settle
from billing.pricing import credits_text
from billing.shop import pack_get, plan_get
from billing.stripe_objects import Invoice, Json
from billing.subscriptions import ENDED
from config.errors import (
    AppError,
    IdempotencyConflict,
    PaymentProviderRefused,
    PaymentsUnavailable,
    WrongState,
)

# A checkout whose call to Stripe was cut off; longer than any call lasts.
_CUT_OFF_AFTER = timedelta(minutes=5)
_INVOICES_SHOWN = 100


@dataclass(frozen=True)
class Checkout:
    url: str
    payment: Payment


def payments_list(*, workspace: Workspace) -> QuerySet[Payment]:
    return Payment.objects.filter(workspace=workspace).select_related("pack", "plan")


def invoices_list(*, workspace: Workspace) -> list[Invoice]:
    """Stripe's, newest first."""
    _require_stripe()
    row = StripeCustomer.objects.filter(workspace=workspace).first()
    if row is None:
        return []
    return stripe_client.invoices_of_customer(customer=row.stripe_id, limit=_INVOICES_SHOWN)


def checkout_pack(
    *, workspace: Workspace, code: str, idempotency_key: str | None = None
) -> Checkout:
    """Where to pay for a pack. What it costs and brings is fixed from here on.

    Called again under the same key, it is the same page and payment.
    """
    _require_stripe()
    pack = pack_get(code=code)
    customer = customer_ensure(workspace=workspace)
    payment = _pack_payment(workspace, pack, idempotency_key)
    metadata = payment_metadata(payment)
    params = {
        "mode": "payment",
        "line_items": [_line_item(payment, pack.name)],
        # The card is kept, so that an automatic top-up can use it.
        "payment_intent_data": {"metadata": metadata, "setup_future_usage": "off_session"},
        "invoice_creation": {"enabled": True, "invoice_data": {"metadata": metadata}},
    }
    return _open(payment, customer, params)


def pack_payment_create(
    *, workspace: Workspace, pack: Pack, kind: PaymentKind, payment_uuid: UUID | None = None
) -> Payment:
    """What a pack costs and brings is copied: later changes of it do not touch the payment."""
    return Payment.objects.create(
        uuid=payment_uuid or uuid4(),
        workspace=workspace,
        kind=kind,
        pack=pack,
        expires_after_days=pack.expires_after_days,
        credits_mcr=pack.credits_mcr,
        amount_cents=pack.price_cents,
        currency=pack.currency,
    )


def checkout_plan(
    *, workspace: Workspace, code: str, idempotency_key: str | None = None
) -> Checkout:
    """Where to subscribe to a plan; a workspace has one subscription at a time.

    Called again under the same key, it is the same page and payment.
    """
    _require_stripe()
    plan = plan_get(code=code)
    customer = customer_ensure(workspace=workspace)
    payment, payment_uuid = _of_key(workspace, idempotency_key, plan=plan)
    if payment is None:
        _close_open_plans(workspace)
        if workspace.subscriptions.exclude(status__in=ENDED).exists():
            raise WrongState(
                _("There is a subscription already; change it in the customer portal.")
            )
        payment = _plan_payment(workspace, plan, payment_uuid)
    params = {
        "mode": "subscription",
        "line_items": [_line_item(payment, plan.name, recurring={"interval": "month"})],
        "subscription_data": {"metadata": payment_metadata(payment)},
    }
    return _open(payment, customer, params)


def portal_url(*, workspace: Workspace) -> str:
    """Where cards, addresses and the subscription are changed."""
    _require_stripe()
    customer = customer_ensure(workspace=workspace)
    return stripe_client.portal_url(customer=customer, return_url=_page(""))


def customer_ensure(*, workspace: Workspace) -> str:
    """The workspace's customer at Stripe, made once however many ask at a time."""
    row = StripeCustomer.objects.filter(workspace=workspace).first()
    if row is None:
        stripe_id = stripe_client.customer_create(workspace=str(workspace.uuid))
        made = StripeCustomer(workspace=workspace, stripe_id=stripe_id)
        StripeCustomer.objects.bulk_create([made], ignore_conflicts=True)
        row = StripeCustomer.objects.get(workspace=workspace)
    return row.stripe_id


def _require_stripe() -> None:
    if not stripe_client.is_configured():
        raise PaymentsUnavailable


def _of_key(
    workspace: Workspace,
    idempotency_key: str | None,
    *,
    pack: Pack | None = None,
    plan: Plan | None = None,
) -> tuple[Payment | None, UUID]:
    """The payment that was made under this key, or else the id that the next one has to have.

    The id follows from the key, so that no two can be made. One that came to nothing is passed
    over: whoever asks again wants a page that works.
    """
    if idempotency_key is None:
        return None, uuid4()
    for number in count():
        uuid = uuid5(workspace.uuid, f"{number}:{idempotency_key}")
        payment = Payment.objects.filter(workspace=workspace, uuid=uuid).first()
        if payment is None:
            return None, uuid
        if (payment.pack, payment.plan) != (pack, plan):
            raise IdempotencyConflict
        if payment.state != PaymentState.FAILED:
            return payment, uuid
    raise AssertionError("There is always a next number.")


def _pack_payment(workspace: Workspace, pack: Pack, idempotency_key: str | None) -> Payment:
    payment, uuid = _of_key(workspace, idempotency_key, pack=pack)
    if payment is not None:
        return payment
    try:
        with transaction.atomic():
            return pack_payment_create(
                workspace=workspace, pack=pack, kind=PaymentKind.PACK, payment_uuid=uuid
            )
    except IntegrityError:
        # The same call beside this one was first.
        return Payment.objects.get(workspace=workspace, uuid=uuid, pack=pack)


def _plan_payment(workspace: Workspace, plan: Plan, payment_uuid: UUID) -> Payment:
    try:
        with transaction.atomic():
            return Payment.objects.create(
                uuid=payment_uuid,
                workspace=workspace,
                kind=PaymentKind.PLAN,
                plan=plan,
                credits_mcr=plan.monthly_mcr,
                amount_cents=plan.price_cents,
                currency=plan.currency,
            )
    except IntegrityError as error:
        raise WrongState(_("Another checkout of a plan is being opened; try again.")) from error


def _close_open_plans(workspace: Workspace) -> None:
    """End checkouts that could still be paid, so that nobody subscribes twice."""
    open_ones = Payment.objects.filter(
        workspace=workspace, kind=PaymentKind.PLAN, state=PaymentState.PENDING, invoice_id=None
    )
    for payment in open_ones.exclude(checkout_session_id=None):
        session_id = str(payment.checkout_session_id)
        # Refused: it was just paid, has expired, or is gone. Either way, see.
        with suppress(PaymentProviderRefused):
            stripe_client.session_expire(session_id=session_id)
        with suppress(ForeignObject):
            payment_settle(payment=payment)
    for payment in open_ones.filter(
        checkout_session_id=None, created_at__lt=Now() - _CUT_OFF_AFTER
    ):
        payment_fail(payment, "The checkout was cut off.")


def _open(payment: Payment, customer: str, params: Json) -> Checkout:
    common = {
        "customer": customer,
        "client_reference_id": str(payment.workspace.uuid),
        "metadata": payment_metadata(payment),
        # What people are shown there; credits come with Stripe's event alone.
        "success_url": _page("?checkout=done"),
        "cancel_url": _page("?checkout=cancelled"),
    }
    try:
        session = stripe_client.session_create(
            params={**common, **params}, idempotency_key=f"payment:{payment.uuid}"
        )
    except AppError:
        # Should it exist all the same: nobody has its address, and it expires in a day.
        payment_fail(payment, "The checkout could not be opened.")
        raise
    Payment.objects.filter(pk=payment.pk).update(checkout_session_id=session.id)
    return Checkout(session.url, payment)


def _line_item(payment: Payment, name: str, **price: Any) -> Json:
    text = f"{name}: {credits_text(payment.credits_mcr)} credits"
    return {
        "quantity": 1,
        "price_data": {
            "currency": payment.currency,
            "unit_amount": payment.amount_cents,
            "product_data": {"name": text},
            **price,
        },
    }


def _page(query: str) -> str:
    return site_url(reverse("account-billing") + query)
