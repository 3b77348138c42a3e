import uuid

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from accounts.models import ApiKey, Workspace


class AssetState(models.TextChoices):
    # The row comes before the file and outlives it, so that no file is ever without a row.
    STORING = "storing"
    READY = "ready"
    DELETED = "deleted"
    PURGED = "purged"


class Asset(models.Model):
    """A stored file: an uploaded recording, or a stem that a job made."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, related_name="assets")
    state = models.CharField(max_length=16, choices=AssetState, default=AssetState.STORING)
    filename = models.CharField(max_length=255)
    storage_key = models.CharField(max_length=255, unique=True, editable=False)
    size_bytes = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)
    codec = models.CharField(max_length=32)
    container = models.CharField(max_length=64)
    sample_rate = models.IntegerField()
    channels = models.IntegerField()
    n_samples = models.BigIntegerField()
    layout = models.CharField(max_length=64)
    bits_per_sample = models.IntegerField(null=True)
    is_float = models.BooleanField()
    is_lossy = models.BooleanField()
    # Set for a stem: the job that made it, and which stem it is.
    job = models.ForeignKey(
        "jobs.Job", null=True, on_delete=models.PROTECT, related_name="stem_assets"
    )
    stem = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=AssetState.values), name="asset_state_known"
            ),
            models.UniqueConstraint(
                fields=["job", "stem"], condition=Q(job__isnull=False), name="asset_stem_unique"
            ),
        ]
        indexes = [
            models.Index(fields=["workspace", "-id"], name="asset_listing"),
            models.Index(
                fields=["state", "created_at"],
                name="asset_to_clean",
                condition=Q(state__in=[AssetState.STORING, AssetState.DELETED]),
            ),
        ]

    @property
    def duration_s(self) -> float:
        return self.n_samples / self.sample_rate


class JobState(models.TextChoices):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED = (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)


class Service(models.TextChoices):
    SEPARATION = "separation"


class Job(models.Model):
    """A request and its fate. This row is the truth; the queue only wakes workers."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, related_name="jobs")
    api_key = models.ForeignKey(ApiKey, null=True, on_delete=models.SET_NULL)
    service = models.CharField(max_length=32, choices=Service)
    asset = models.ForeignKey(Asset, on_delete=models.PROTECT, related_name="jobs")
    stems = models.JSONField()
    model = models.CharField(max_length=64)
    output_format = models.CharField(max_length=16)
    # A caller that repeats an order under the same key gets the same job, not a second one.
    idempotency_key = models.CharField(max_length=200, null=True)
    order_sha256 = models.CharField(max_length=64)
    # Fixed when the job is made; every later step trusts these, not the price list.
    price_mcr = models.BigIntegerField()
    charged_mcr = models.BigIntegerField(default=0)

    state = models.CharField(max_length=16, choices=JobState, default=JobState.QUEUED)
    progress = models.FloatField(default=0)
    error_code = models.CharField(max_length=64, blank=True)
    error_message = models.CharField(max_length=500, blank=True)

    # The attempt number is the fencing token: counted at the claim, named by every later write.
    attempt = models.IntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    worker = models.CharField(max_length=100, blank=True)
    cancel_requested_at = models.DateTimeField(null=True)

    created_at = models.DateTimeField(db_default=Now(), editable=False)
    queued_at = models.DateTimeField(db_default=Now(), editable=False)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    deleted_at = models.DateTimeField(null=True)
    # When files of attempts that came to nothing were removed.
    swept_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "idempotency_key"], name="job_idempotency_key_unique"
            ),
            models.CheckConstraint(condition=Q(state__in=JobState.values), name="job_state_known"),
            models.CheckConstraint(
                condition=Q(charged_mcr__gte=0) & Q(charged_mcr__lte=F("price_mcr")),
                name="job_charged_within_price",
            ),
            models.CheckConstraint(
                condition=Q(state=JobState.SUCCEEDED) | Q(charged_mcr=0),
                name="job_charged_only_when_succeeded",
            ),
            models.CheckConstraint(
                condition=Q(state=JobState.RUNNING, lease_until__isnull=False)
                | ~Q(state=JobState.RUNNING) & Q(lease_until__isnull=True),
                name="job_leased_while_running",
            ),
        ]
        indexes = [
            models.Index(fields=["workspace", "-id"], name="job_listing"),
            models.Index(
                fields=["queued_at", "id"],
                name="job_waiting",
                condition=Q(state=JobState.QUEUED),
            ),
            models.Index(
                fields=["lease_until"], name="job_leases", condition=Q(state=JobState.RUNNING)
            ),
            models.Index(
                fields=["finished_at"],
                name="job_to_sweep",
                condition=Q(swept_at__isnull=True, finished_at__isnull=False),
            ),
        ]


class JobEvent(models.Model):
    """What happened to a job, in order; never changed."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="events")
    kind = models.CharField(max_length=32)
    attempt = models.IntegerField()
    detail = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
