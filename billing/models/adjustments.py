"""What operators ask for that a second one has to agree to."""

from uuid import uuid4

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from accounts.models import User, Workspace
from billing.models.ledger import Transaction


class AdjustmentKind(models.TextChoices):
    GRANT = "grant"
    TAKE = "take"
    # Of what a job was charged.
    REFUND = "refund"


class AdjustmentState(models.TextChoices):
    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"


class PendingAdjustment(models.Model):
    """Credits to be given or taken by hand, above what one operator may do alone."""

    uuid = models.UUIDField(default=uuid4, unique=True, editable=False)
    # Of the page that asked for it: sent twice, it is one request.
    token = models.UUIDField(unique=True, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, related_name="adjustments")
    kind = models.CharField(max_length=16, choices=AdjustmentKind)
    amount_mcr = models.BigIntegerField()
    reason = models.CharField(max_length=200)
    job_uuid = models.UUIDField(null=True)
    # Of the credits that are granted.
    expires_at = models.DateTimeField(null=True)
    state = models.CharField(
        max_length=16, choices=AdjustmentState, default=AdjustmentState.PENDING
    )
    requested_by = models.ForeignKey(
        User, null=True, on_delete=models.SET_NULL, related_name="adjustments_requested"
    )
    decided_by = models.ForeignKey(
        User, null=True, on_delete=models.SET_NULL, related_name="adjustments_decided"
    )
    fact = models.OneToOneField(Transaction, null=True, on_delete=models.PROTECT)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    decided_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(amount_mcr__gt=0), name="adjustment_positive"),
            models.CheckConstraint(
                condition=Q(kind__in=AdjustmentKind.values), name="adjustment_kind_known"
            ),
            models.CheckConstraint(
                condition=Q(state__in=AdjustmentState.values), name="adjustment_state_known"
            ),
            models.CheckConstraint(
                condition=~Q(state=AdjustmentState.APPROVED) | Q(fact__isnull=False),
                name="adjustment_approved_is_done",
            ),
            models.CheckConstraint(
                condition=Q(requested_by=None)
                | Q(decided_by=None)
                | ~Q(requested_by=models.F("decided_by"))
                | ~Q(state=AdjustmentState.APPROVED),
                name="adjustment_by_two",
            ),
        ]
