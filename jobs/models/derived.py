import uuid

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from accounts.models import Workspace


class DerivedState(models.TextChoices):
    QUEUED = "queued"
    RUNNING = "running"
    READY = "ready"
    FAILED = "failed"


class Derived(models.Model):
    """What a worker makes of files that are there, for free, while somebody waits for it.

    Workers claim it as they claim jobs: the attempt number is the fencing token.
    """

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=16, choices=DerivedState, default=DerivedState.QUEUED)
    progress = models.FloatField(default=0)
    # It failed for good; else a later try may find well what was at fault.
    is_hopeless = models.BooleanField(default=False)
    error_code = models.CharField(max_length=64, blank=True)
    attempt = models.IntegerField(default=0)
    losses = models.IntegerField(default=0)
    not_before = models.DateTimeField(null=True)
    lease_until = models.DateTimeField(null=True)
    worker = models.CharField(max_length=100, blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        abstract = True
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=DerivedState.values), name="%(class)s_state_known"
            ),
            models.CheckConstraint(
                condition=Q(state=DerivedState.RUNNING, lease_until__isnull=False)
                | ~Q(state=DerivedState.RUNNING) & Q(lease_until__isnull=True),
                name="%(class)s_leased_while_running",
            ),
        ]
        indexes = [
            models.Index(
                fields=["state", "created_at"],
                name="%(class)s_open",
                condition=Q(state__in=[DerivedState.QUEUED, DerivedState.RUNNING]),
            ),
        ]

    @property
    def is_ready(self) -> bool:
        return self.state == DerivedState.READY

    @property
    def duration_s(self) -> float:
        """Of the sound that it is made of."""
        raise NotImplementedError

    @property
    def folder(self) -> str:
        """In storage; it holds a folder for each attempt."""
        raise NotImplementedError
