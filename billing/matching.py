"""Whether an object of Stripe's is about a payment of ours.

Another product may use the same Stripe account, and whoever has its key can write any metadata:
what contradicts our row is not paid out.
"""

from uuid import UUID

from billing.models import Payment, StripeCustomer


class ForeignObject(Exception):
    """An object of Stripe's that is not one of our payments', or not what we asked for."""


class Contradiction(ForeignObject):
    """Money came for a payment of ours, but not as agreed: a person has to look at it."""


def refusal(text: str, *, is_paid: bool) -> ForeignObject:
    return Contradiction(text) if is_paid else ForeignObject(text)


def payment_metadata(payment: Payment) -> dict[str, str]:
    """What ties an object of Stripe's to our row."""
    return {"payment": str(payment.uuid), "workspace": str(payment.workspace.uuid)}


def payment_named(metadata: dict[str, str], *, customer: str | None) -> Payment:
    """The payment that an object of Stripe's says it is about, if that is true."""
    try:
        uuid = UUID(metadata.get("payment", ""))
    except ValueError:
        raise ForeignObject("It names no payment.") from None
    payment = Payment.objects.select_related("workspace").filter(uuid=uuid).first()
    if payment is None:
        raise ForeignObject("It names a payment that is not here.")
    if metadata.get("workspace") != str(payment.workspace.uuid):
        raise ForeignObject("It names another workspace than its payment.")
    if not StripeCustomer.objects.filter(
        workspace=payment.workspace, stripe_id=customer or ""
    ).exists():
        raise ForeignObject("It is of another customer than its payment.")
    return payment


def amount_check(payment: Payment, amount_cents: int, currency: str, *, is_paid: bool) -> None:
    if (amount_cents, currency) != (payment.amount_cents, payment.currency):
        raise refusal(
            f"It is of {amount_cents} {currency}, "
            f"its payment of {payment.amount_cents} {payment.currency}.",
            is_paid=is_paid,
        )
