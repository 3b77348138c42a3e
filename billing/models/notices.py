"""What members are told of their credits by mail."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from accounts.models import User, Workspace


class CreditAlert(models.Model):
    """Tell whoever pays, once, when the credits fall below a threshold; again only after there
    were enough in between."""

    workspace = models.OneToOneField(
        Workspace, on_delete=models.CASCADE, related_name="credit_alert"
    )
    is_enabled = models.BooleanField(default=True)
    threshold_mcr = models.BigIntegerField()
    # There were enough since it was told last.
    is_armed = models.BooleanField(default=True)
    told_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(threshold_mcr__gt=0), name="credit_alert_positive")
        ]


class NoticeKind(models.TextChoices):
    """Each has the template of its name in templates/mail."""

    CREDITS_LOW = "credits_low"
    TOP_UP_OFF = "top_up_off"


class Notice(models.Model):
    """A mail that a member is owed: written in the transaction of what it tells, sent later."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="notices")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=16, choices=NoticeKind)
    # Of the moment at which it became true.
    data = models.JSONField(default=dict)
    attempts = models.IntegerField(default=0)
    next_attempt_at = models.DateTimeField(db_default=Now())
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    # Sent, or given up.
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=NoticeKind.values), name="notice_kind_known"
            )
        ]
        indexes = [
            models.Index(
                fields=["next_attempt_at"], name="notice_due", condition=Q(finished_at=None)
            )
        ]
