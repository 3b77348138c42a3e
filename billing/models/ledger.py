"""Credits: double entry, append-only, in integer milli-credits (`_mcr`).

Each workspace has its own set of accounts, so that no row is shared between tenants. A balance is
the sum of its entries; the database keeps it so (constraints here, triggers in the migrations).
"""

from uuid import uuid4

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from accounts.models import Workspace


class PriceUnit(models.TextChoices):
    PER_SECOND = "per_second"
    PER_CALL = "per_call"
    PER_SECOND_AND_STEM = "per_second_and_stem"


class Price(models.Model):
    """What a service costs in a span of time; a workspace may have a price of its own.

    `amount_mcr` buys `quantity` units, so that a rate may be finer than a milli-credit.
    """

    service = models.CharField(max_length=64)
    unit = models.CharField(max_length=32, choices=PriceUnit)
    amount_mcr = models.BigIntegerField()
    quantity = models.PositiveIntegerField(default=1, db_default=1)
    workspace = models.ForeignKey(Workspace, null=True, blank=True, on_delete=models.CASCADE)
    effective_from = models.DateTimeField(db_default=Now())
    effective_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(amount_mcr__gte=0), name="price_not_negative"),
            # So that no price of any recording comes near the end of a bigint.
            models.CheckConstraint(condition=Q(amount_mcr__lte=10**12), name="price_sensible"),
            models.CheckConstraint(condition=Q(unit__in=PriceUnit.values), name="price_unit_known"),
            models.CheckConstraint(condition=Q(quantity__gt=0), name="price_quantity_positive"),
            models.CheckConstraint(
                condition=Q(effective_until=None) | Q(effective_until__gt=F("effective_from")),
                name="price_span_not_empty",
            ),
            models.UniqueConstraint(
                fields=["service", "workspace", "effective_from"],
                name="price_unique",
                nulls_distinct=False,
            ),
        ]


class AccountKind(models.TextChoices):
    WALLET = "wallet"
    SALES = "sales"
    GRANTS = "grants"
    EXPIRED = "expired"
    CLAWBACK = "clawback"


class Account(models.Model):
    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, related_name="accounts")
    kind = models.CharField(max_length=16, choices=AccountKind)
    posted_mcr = models.BigIntegerField(default=0)
    held_mcr = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workspace", "kind"], name="account_unique"),
            models.CheckConstraint(
                condition=Q(kind__in=AccountKind.values), name="account_kind_known"
            ),
            models.CheckConstraint(condition=Q(held_mcr__gte=0), name="account_held_not_negative"),
            # The last line of defence: a wallet never spends what it has not got.
            models.CheckConstraint(
                condition=~Q(kind=AccountKind.WALLET) | Q(posted_mcr__gte=F("held_mcr")),
                name="account_wallet_covers_holds",
            ),
            # What the workspace owes is kept as a negative balance.
            models.CheckConstraint(
                condition=~Q(kind=AccountKind.CLAWBACK) | Q(posted_mcr__lte=0),
                name="account_clawback_is_debt",
            ),
        ]

    @property
    def available_mcr(self) -> int:
        return self.posted_mcr - self.held_mcr


class TransactionKind(models.TextChoices):
    GRANT = "grant"
    CAPTURE = "capture"
    EXPIRE = "expire"
    REFUND = "refund"
    CLAWBACK = "clawback"
    # Credits that came free pay what a clawback could not take.
    REPAY = "repay"
    ADJUST = "adjust"


class Transaction(models.Model):
    """One business fact. The same key again is the same fact, not a second one."""

    uuid = models.UUIDField(default=uuid4, unique=True, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT)
    kind = models.CharField(max_length=16, choices=TransactionKind)
    idempotency_key = models.CharField(max_length=200)
    # What the key stood for: the same key with another amount is an error, not a repeat.
    fingerprint = models.CharField(max_length=200)
    # The job that it is about. `jobs` stands above this application: no foreign key.
    job_uuid = models.UUIDField(null=True)
    reason = models.CharField(max_length=200, blank=True)
    reverses = models.OneToOneField("self", null=True, on_delete=models.PROTECT)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "kind", "idempotency_key"], name="transaction_idempotent"
            ),
            models.CheckConstraint(
                condition=Q(kind__in=TransactionKind.values), name="transaction_kind_known"
            ),
        ]
        indexes = [models.Index(fields=["workspace", "-id"], name="transaction_listing")]


class Entry(models.Model):
    transaction = models.ForeignKey(Transaction, on_delete=models.PROTECT, related_name="entries")
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="entries")
    amount_mcr = models.BigIntegerField()
    # The account's balance after this entry, so that a statement needs no summing.
    balance_mcr = models.BigIntegerField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~Q(amount_mcr=0), name="entry_not_zero"),
            models.UniqueConstraint(fields=["transaction", "account"], name="entry_unique"),
        ]
        indexes = [models.Index(fields=["account", "-id"], name="entry_listing")]


class HoldState(models.TextChoices):
    PENDING = "pending"
    CAPTURED = "captured"
    RELEASED = "released"


class Hold(models.Model):
    """Credits set aside for a job until its end is known."""

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="holds")
    job_uuid = models.UUIDField()
    # The key that ordered the job, for its monthly cap; null for an order by a person.
    key_lineage = models.UUIDField(null=True)
    # In which month it counts; what comes back later comes back to that one.
    key_month = models.DateField(null=True)
    amount_mcr = models.BigIntegerField()
    captured_mcr = models.BigIntegerField(default=0)
    state = models.CharField(max_length=16, choices=HoldState, default=HoldState.PENDING)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    settled_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(amount_mcr__gt=0), name="hold_positive"),
            models.CheckConstraint(
                condition=Q(captured_mcr__gte=0) & Q(captured_mcr__lte=F("amount_mcr")),
                name="hold_captured_within_amount",
            ),
            models.CheckConstraint(
                condition=Q(state__in=HoldState.values), name="hold_state_known"
            ),
            models.CheckConstraint(
                condition=Q(key_lineage=None, key_month=None)
                | Q(key_lineage__isnull=False, key_month__isnull=False),
                name="hold_key_with_month",
            ),
            # One for good, not one at a time: a job is paid at most once.
            models.UniqueConstraint(fields=["job_uuid"], name="hold_job_unique"),
        ]


class Lot(models.Model):
    """Credits that came together and expire together; the soonest to expire are spent first.

    amount = remaining + spent + expired + what pending holds have drawn.
    """

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="lots")
    transaction = models.OneToOneField(Transaction, on_delete=models.PROTECT)
    source = models.CharField(max_length=32)
    amount_mcr = models.BigIntegerField()
    remaining_mcr = models.BigIntegerField()
    # What left it for good: charged, taken back, paid towards a debt.
    spent_mcr = models.BigIntegerField(default=0, db_default=0)
    # Kept apart, since nobody owes what had expired when its payment was taken back.
    expired_mcr = models.BigIntegerField(default=0, db_default=0)
    # What refunds and disputes have taken back, from this lot, from others or as debt.
    clawed_back_mcr = models.BigIntegerField(default=0, db_default=0)
    expires_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(remaining_mcr__gte=0) & Q(remaining_mcr__lte=F("amount_mcr")),
                name="lot_remaining_within_amount",
            ),
            models.CheckConstraint(
                condition=Q(spent_mcr__gte=0)
                & Q(expired_mcr__gte=0)
                & Q(amount_mcr__gte=F("remaining_mcr") + F("spent_mcr") + F("expired_mcr")),
                name="lot_parts_within_amount",
            ),
            models.CheckConstraint(
                condition=Q(clawed_back_mcr__gte=0) & Q(clawed_back_mcr__lte=F("amount_mcr")),
                name="lot_clawed_back_within_amount",
            ),
        ]
        indexes = [
            models.Index(
                fields=["account", "expires_at", "id"],
                name="lot_spending_order",
                condition=Q(remaining_mcr__gt=0),
            )
        ]


class HoldLot(models.Model):
    """Which lots a hold draws on, so that what is not used goes back where it came from."""

    hold = models.ForeignKey(Hold, on_delete=models.PROTECT, related_name="lots")
    lot = models.ForeignKey(Lot, on_delete=models.PROTECT)
    amount_mcr = models.BigIntegerField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(amount_mcr__gt=0), name="hold_lot_positive"),
            models.UniqueConstraint(fields=["hold", "lot"], name="hold_lot_unique"),
        ]


class KeySpend(models.Model):
    """What the keys of one lineage have held or spent in a calendar month (UTC)."""

    key_lineage = models.UUIDField()
    month = models.DateField()
    spent_mcr = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["key_lineage", "month"], name="key_spend_unique"),
            models.CheckConstraint(condition=Q(spent_mcr__gte=0), name="key_spend_not_negative"),
        ]


class Reconciliation(models.Model):
    """One check of the books, and what it found."""

    started_at = models.DateTimeField(db_default=Now(), editable=False)
    finished_at = models.DateTimeField(null=True)
    # [[sentence, row id], …]; empty when everything adds up.
    discrepancies = models.JSONField(default=list)
