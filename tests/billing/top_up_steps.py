"""Steps and looks that tests of the automatic top-up share."""

from typing import Any

from django.db.models.functions import Now

from accounts.audit import OPERATOR
from accounts.models import Workspace
from billing.auto_top_ups import TopUpWish, auto_top_up_put
from billing.models import Pack, Payment
from tests.fakes.stripe import FakeStripe, Sender
from tests.fakes.stripe.steps import buy_pack, settle
from tests.makers import make_shop


def enable(
    stripe: FakeStripe,
    sender: Sender,
    workspace: Workspace,
    *,
    credits: int = 20_000,
    ceiling_cents: int = 1_500,
) -> None:
    """A workspace with a saved card and 10,000 credits and more, below its threshold."""
    make_shop()
    buy_pack(stripe, workspace)
    settle(stripe, sender)
    wish = TopUpWish(
        is_enabled=True,
        threshold_mcr=credits * 1000,
        pack="starter",
        monthly_ceiling_cents=ceiling_cents,
    )
    auto_top_up_put(workspace=workspace, actor=OPERATOR, wish=wish)


def make_payment(workspace: Workspace, **values: Any) -> Payment:
    """A top-up by the smallest pack, which nothing was done for yet."""
    pack = Pack.objects.get(code="starter")
    sold = {"credits_mcr": pack.credits_mcr, "amount_cents": pack.price_cents, "currency": "usd"}
    return Payment.objects.create(
        **{"workspace": workspace, "pack": pack, "kind": "top_up", **sold, **values}
    )


def charges(stripe: FakeStripe) -> int:
    """How many top-ups took money."""
    ours = {
        str(uuid) for uuid in Payment.objects.filter(kind="top_up").values_list("uuid", flat=True)
    }
    rows = stripe.rows["charges"].values()
    return sum(row["paid"] and row["metadata"].get("payment") in ours for row in rows)


def top_up_states() -> list[str]:
    return list(
        Payment.objects.filter(kind="top_up").order_by("pk").values_list("state", flat=True)
    )


def later() -> None:
    """The pause before the next attempt is over."""
    Payment.objects.update(next_attempt_at=Now())
