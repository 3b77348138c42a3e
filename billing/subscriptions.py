"""Our mirror of Stripe's subscriptions."""

from django.db import transaction
from django.db.models import F

from accounts.audit import SYSTEM, audit_record
from accounts.models import Workspace
from billing import stripe_client
from billing.matching import ForeignObject, payment_named
from billing.models import Payment, Subscription
from billing.stripe_objects import StripeSubscription
from config.errors import PaymentProviderFailed

# Every other state can still bring a bill.
ENDED = ("canceled", "incomplete_expired")
_FETCHES = 20


def subscription_get(*, workspace: Workspace) -> Subscription | None:
    """The live one; else the last."""
    rows = Subscription.objects.filter(workspace=workspace).select_related("plan").order_by("-pk")
    return rows.exclude(status__in=ENDED).first() or rows.first()


def subscription_sync(*, subscription_id: str) -> None:
    """Fetch it and write it down; an older answer never replaces a newer one."""
    for _ in range(_FETCHES):
        row = Subscription.objects.filter(stripe_id=subscription_id).first()
        found = stripe_client.subscription_get(subscription=subscription_id)
        payment = payment_named(found.metadata, customer=found.customer)
        if row is None:
            row = _subscription_create(payment, found)
        if _subscription_write(row, payment, found):
            return
    raise PaymentProviderFailed


def _subscription_create(payment: Payment, found: StripeSubscription) -> Subscription:
    if payment.plan is None:
        raise ForeignObject("The subscription is not of a plan.")
    # Empty until it is written below, so that its beginning is a change like any other.
    row, _ = Subscription.objects.get_or_create(
        stripe_id=found.id, defaults={"workspace": payment.workspace, "plan": payment.plan}
    )
    return row


@transaction.atomic
def _subscription_write(row: Subscription, payment: Payment, found: StripeSubscription) -> bool:
    if row.workspace_id != payment.workspace_id:
        raise ForeignObject("The subscription is another workspace's.")
    values = {
        "status": found.status,
        "current_period_end": found.current_period_end,
        "cancel_at_period_end": found.cancel_at_period_end,
    }
    if all(getattr(row, name) == value for name, value in values.items()):
        return True
    if not Subscription.objects.filter(pk=row.pk, fetches=row.fetches).update(
        fetches=F("fetches") + 1, **values
    ):
        return False
    audit_record(
        actor=SYSTEM,
        action="subscription.changed",
        workspace=payment.workspace,
        target_kind="subscription",
        data={
            "plan": row.plan.code,
            "status": found.status,
            "cancel_at_period_end": found.cancel_at_period_end,
        },
    )
    return True
