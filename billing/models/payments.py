"""Money: what is sold for it, and what Stripe says of it.

Amounts of money are integers in the currency's smallest unit (`_cents`).
"""

from uuid import uuid4

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from accounts.models import Workspace
from billing.models.ledger import Transaction


class Pack(models.Model):
    """Credits that are bought once."""

    code = models.SlugField(unique=True)
    name = models.CharField(max_length=100)
    credits_mcr = models.BigIntegerField()
    price_cents = models.IntegerField()
    currency = models.CharField(max_length=3, default="usd")
    # Null: never.
    expires_after_days = models.PositiveIntegerField(null=True, blank=True)
    is_active = models.BooleanField(default=True)
    position = models.IntegerField(default=0)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(credits_mcr__gt=0) & Q(price_cents__gt=0), name="pack_positive"
            )
        ]

    def __str__(self) -> str:
        return self.name


class Plan(models.Model):
    """Credits for each month of a subscription; they expire with the month. And what a workspace
    may do meanwhile (billing/limits.py says what holds without a plan)."""

    code = models.SlugField(unique=True)
    name = models.CharField(max_length=100)
    monthly_mcr = models.BigIntegerField()
    price_cents = models.IntegerField()
    currency = models.CharField(max_length=3, default="usd")
    # Jobs of one workspace that run at the same time; null: as many as there are workers.
    parallel_jobs = models.PositiveIntegerField(null=True, blank=True)
    # How long files are kept; null: as the settings say.
    results_days = models.PositiveIntegerField(null=True, blank=True)
    uploads_days = models.PositiveIntegerField(null=True, blank=True)
    is_active = models.BooleanField(default=True)
    position = models.IntegerField(default=0)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(monthly_mcr__gt=0) & Q(price_cents__gt=0), name="plan_positive"
            ),
            # With none, jobs would wait for ever, their credits held.
            models.CheckConstraint(
                condition=Q(parallel_jobs=None) | Q(parallel_jobs__gt=0), name="plan_runs_jobs"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class StripeCustomer(models.Model):
    workspace = models.OneToOneField(
        Workspace, on_delete=models.PROTECT, related_name="stripe_customer"
    )
    stripe_id = models.CharField(max_length=255, unique=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)


class Subscription(models.Model):
    """A mirror of Stripe's, refetched at each of its events."""

    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, related_name="subscriptions")
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT)
    stripe_id = models.CharField(max_length=255, unique=True)
    status = models.CharField(max_length=32)
    current_period_end = models.DateTimeField(null=True)
    cancel_at_period_end = models.BooleanField(default=False)
    # Counts what was fetched and written, so that an older answer never replaces a newer one.
    fetches = models.IntegerField(default=0, db_default=0)
    created_at = models.DateTimeField(db_default=Now(), editable=False)


class PaymentKind(models.TextChoices):
    PACK = "pack"
    PLAN = "plan"
    TOP_UP = "top_up"


class PaymentState(models.TextChoices):
    PENDING = "pending"
    PAID = "paid"
    FAILED = "failed"


class Payment(models.Model):
    """Money asked for, and the credits that it buys. The row comes before the call to Stripe: its
    id is the call's idempotency key."""

    uuid = models.UUIDField(default=uuid4, unique=True, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, related_name="payments")
    kind = models.CharField(max_length=16, choices=PaymentKind)
    state = models.CharField(max_length=16, choices=PaymentState, default=PaymentState.PENDING)
    pack = models.ForeignKey(Pack, null=True, on_delete=models.PROTECT)
    plan = models.ForeignKey(Plan, null=True, on_delete=models.PROTECT)
    # Fixed when the payment is made; later changes of a pack or plan do not touch it.
    credits_mcr = models.BigIntegerField()
    amount_cents = models.IntegerField()
    currency = models.CharField(max_length=3)
    # After the grant; null: never, or with the month paid for.
    expires_after_days = models.PositiveIntegerField(null=True)
    checkout_session_id = models.CharField(max_length=255, null=True, unique=True)
    invoice_id = models.CharField(max_length=255, null=True, unique=True)
    # One intent may pay several overdue months.
    payment_intent_id = models.CharField(max_length=255, null=True, db_index=True)
    grant = models.OneToOneField(
        Transaction, null=True, on_delete=models.PROTECT, related_name="payment"
    )
    # Refunded, or taken by a dispute, as Stripe said last.
    returned_cents = models.IntegerField(default=0)
    # Counts what was fetched and written, so that an older answer never replaces a newer one.
    fetches = models.IntegerField(default=0, db_default=0)
    # Of a top-up: the card, since a repeated call must not name another, and when to call again.
    card_id = models.CharField(max_length=255, blank=True, default="", db_default="")
    attempts = models.IntegerField(default=0, db_default=0)
    next_attempt_at = models.DateTimeField(db_default=Now())
    failure = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    paid_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(credits_mcr__gt=0) & Q(amount_cents__gt=0), name="payment_positive"
            ),
            models.CheckConstraint(
                condition=Q(returned_cents__gte=0) & Q(returned_cents__lte=F("amount_cents")),
                name="payment_returned_within_amount",
            ),
            models.CheckConstraint(
                condition=Q(grant=None) | Q(state=PaymentState.PAID), name="payment_granted_is_paid"
            ),
            models.CheckConstraint(
                condition=~Q(state=PaymentState.PAID) | Q(grant__isnull=False),
                name="payment_paid_is_granted",
            ),
            models.CheckConstraint(
                condition=Q(kind__in=PaymentKind.values), name="payment_kind_known"
            ),
            models.CheckConstraint(
                condition=Q(state__in=PaymentState.values), name="payment_state_known"
            ),
            models.UniqueConstraint(
                fields=["payment_intent_id"],
                condition=~Q(kind=PaymentKind.PLAN),
                name="payment_intent_buys_once",
            ),
            # One automatic purchase at a time.
            models.UniqueConstraint(
                fields=["workspace"],
                condition=Q(kind=PaymentKind.TOP_UP, state=PaymentState.PENDING),
                name="payment_one_top_up",
            ),
            # One open checkout of a plan at a time: nobody subscribes twice.
            models.UniqueConstraint(
                fields=["workspace"],
                condition=Q(kind=PaymentKind.PLAN, state=PaymentState.PENDING, invoice_id=None),
                name="payment_one_open_plan",
            ),
        ]
        indexes = [models.Index(fields=["workspace", "-id"], name="payment_listing")]


class AutoTopUp(models.Model):
    """Buy a pack whenever the credits fall below a threshold, up to a sum of money a month."""

    workspace = models.OneToOneField(
        Workspace, on_delete=models.CASCADE, related_name="auto_top_up"
    )
    is_enabled = models.BooleanField(default=False)
    threshold_mcr = models.BigIntegerField()
    pack = models.ForeignKey(Pack, on_delete=models.PROTECT)
    monthly_ceiling_cents = models.IntegerField()
    # Why the service switched it off: a card that is refused must not be tried for ever.
    disabled_reason = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(threshold_mcr__gte=0) & Q(monthly_ceiling_cents__gte=0),
                name="auto_top_up_not_negative",
            )
        ]


class StripeEvent(models.Model):
    """An event that Stripe sent; stored once, then handled by refetching what it is about."""

    stripe_id = models.CharField(max_length=255, unique=True)
    type = models.CharField(max_length=255)
    # Which object to fetch. Nothing else of the event is trusted: events come in any order.
    object_id = models.CharField(max_length=255)
    received_at = models.DateTimeField(db_default=Now(), editable=False)
    processed_at = models.DateTimeField(null=True)
    attempts = models.IntegerField(default=0)
    next_attempt_at = models.DateTimeField(db_default=Now())
    error = models.CharField(max_length=500, blank=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["next_attempt_at", "id"],
                name="stripe_event_waiting",
                condition=Q(processed_at=None),
            )
        ]


class PaymentReconciliation(models.Model):
    """One nightly look for payments that Stripe has and we missed."""

    started_at = models.DateTimeField(db_default=Now(), editable=False)
    finished_at = models.DateTimeField(null=True)
    # What was settled late: ids of Stripe's or ours; and what contradicts us. Should be empty.
    found = models.JSONField(default=list)


class PaymentCheck(models.Model):
    """A thing that a nightly look has to look at. The rows go when all of them are done."""

    reconciliation = models.ForeignKey(
        PaymentReconciliation, on_delete=models.CASCADE, related_name="checks"
    )
    kind = models.CharField(max_length=16)
    # Of Stripe's object, or of our payment.
    object_id = models.CharField(max_length=255)
    attempts = models.IntegerField(default=0)
    next_attempt_at = models.DateTimeField(db_default=Now())
    done_at = models.DateTimeField(null=True)
    # What is to be told of it; mostly nothing.
    finding = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["reconciliation", "kind", "object_id"], name="payment_check_unique"
            )
        ]
