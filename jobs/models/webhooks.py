import uuid

from django.db import models
from django.db.models import Q, Value
from django.db.models.functions import Now

from accounts.models import Workspace
from jobs.models.job import Job


class SigningSecrets(models.Model):
    """Encrypted. While a new secret takes over, both sign."""

    secret = models.TextField()
    old_secret = models.TextField(blank=True)
    old_secret_until = models.DateTimeField(null=True)

    class Meta:
        abstract = True


class CallbackSecret(SigningSecrets):
    """Signs what goes to the addresses that single jobs name; made when first needed."""

    workspace = models.OneToOneField(
        Workspace, on_delete=models.CASCADE, related_name="callback_secret"
    )


class WebhookEndpoint(SigningSecrets):
    """An address of a workspace's that wants to be told."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    workspace = models.ForeignKey(
        Workspace, on_delete=models.PROTECT, related_name="webhook_endpoints"
    )
    url = models.TextField()
    description = models.CharField(max_length=200, blank=True)
    # In which words it is told (jobs/message_styles.py): each has its own names of events.
    style = models.CharField(max_length=16, default="native", db_default="native")
    # Types of events; empty: all.
    events = models.JSONField(default=list)
    is_enabled = models.BooleanField(default=True)
    # Why it was disabled by itself; blank when its owner did it.
    disabled_reason = models.CharField(max_length=200, blank=True)
    disabled_at = models.DateTimeField(null=True)
    # Since when no delivery has succeeded; null while all is well.
    failing_since = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    deleted_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["workspace", "-id"], name="webhook_endpoint_listing")]


class MessageState(models.TextChoices):
    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class WebhookMessage(models.Model):
    """The outbox: written in the transaction of what it tells, sent by workers afterwards.

    Its uuid is the `webhook-id`: the same for every try, so that a receiver can tell repeats.
    """

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    workspace = models.ForeignKey(
        Workspace, on_delete=models.PROTECT, related_name="webhook_messages"
    )
    # Either an endpoint, or a job with an address of its own.
    endpoint = models.ForeignKey(
        WebhookEndpoint, null=True, on_delete=models.PROTECT, related_name="messages"
    )
    job = models.ForeignKey(
        Job, null=True, on_delete=models.PROTECT, related_name="webhook_messages"
    )
    url = models.TextField()
    # Of the address: one that is slow must not hold up the others.
    host = models.CharField(max_length=255, default="", db_default="")
    event = models.CharField(max_length=64)
    style = models.CharField(max_length=16, default="native", db_default="native")
    # In all styles but the native one it is empty until the first try.
    body = models.JSONField(default=dict, db_default=Value({}, models.JSONField()))
    # So many tries, then it is given up.
    tries_max = models.IntegerField(default=10, db_default=10)
    state = models.CharField(max_length=16, choices=MessageState, default=MessageState.PENDING)
    # Counted when a try begins, and the token that its later writes name.
    attempts = models.IntegerField(default=0)
    next_attempt_at = models.DateTimeField(db_default=Now())
    lease_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=MessageState.values), name="webhook_message_state_known"
            ),
        ]
        indexes = [
            models.Index(fields=["workspace", "-id"], name="webhook_message_listing"),
            models.Index(
                fields=["next_attempt_at"],
                name="webhook_message_due",
                condition=Q(state=MessageState.PENDING),
            ),
            models.Index(
                fields=["workspace", "host", "next_attempt_at"],
                name="webhook_message_turns",
                condition=Q(state=MessageState.PENDING),
            ),
            models.Index(
                fields=["lease_until"],
                name="webhook_message_leases",
                condition=Q(state=MessageState.PENDING, lease_until__isnull=False),
            ),
            models.Index(
                fields=["finished_at"],
                name="webhook_message_old",
                condition=Q(finished_at__isnull=False),
            ),
        ]


class WebhookAttempt(models.Model):
    """One try to deliver a message: the log that its owner sees."""

    message = models.ForeignKey(WebhookMessage, on_delete=models.CASCADE, related_name="log")
    number = models.IntegerField()
    started_at = models.DateTimeField(db_default=Now(), editable=False)
    duration_ms = models.IntegerField()
    # Null when there was no answer; `error_code` says why.
    status_code = models.IntegerField(null=True)
    error_code = models.CharField(max_length=64, blank=True)
    # The beginning of the answer.
    response = models.CharField(max_length=1000, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["message", "number"], name="webhook_attempt_unique"),
        ]
