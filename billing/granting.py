"""What a payment brings: its credits, once."""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models.functions import Now

from accounts.audit import SYSTEM, audit_record
from billing.ledger import credits_grant
from billing.models import Payment, PaymentState


@transaction.atomic
def payment_grant(
    payment: Payment,
    *,
    key: str,
    intent: str | None,
    session: str | None = None,
    invoice: str | None = None,
    expires_at: datetime | None = None,
) -> bool:
    """Mark it paid and grant its credits; False when that was done before."""
    rows = Payment.objects.select_for_update(of=("self",)).annotate(now=Now())
    row = rows.get(pk=payment.pk)
    if row.grant_id is not None:
        return False
    if row.expires_after_days:
        expires_at = row.now + timedelta(days=row.expires_after_days)
    grant = credits_grant(
        workspace=payment.workspace,
        amount_mcr=row.credits_mcr,
        source=row.kind,
        idempotency_key=key,
        reason=f"Payment {row.uuid}",
        expires_at=expires_at,
    )
    Payment.objects.filter(pk=row.pk).update(
        state=PaymentState.PAID,
        grant=grant,
        paid_at=row.now,
        failure="",
        payment_intent_id=intent or row.payment_intent_id,
        checkout_session_id=session or row.checkout_session_id,
        invoice_id=invoice or row.invoice_id,
    )
    audit_record(
        actor=SYSTEM,
        action="payment.paid",
        workspace=payment.workspace,
        target_kind="payment",
        target_uuid=payment.uuid,
        data={
            "currency": payment.currency,
            "amount_cents": row.amount_cents,
            "credits_mcr": row.credits_mcr,
        },
    )
    return True
