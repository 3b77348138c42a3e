import uuid

from django.db import models
from django.db.models import F, Q, Value
from django.db.models.functions import Now

from accounts.models import ApiKey, Workspace
from jobs.models.assets import Asset


class JobState(models.TextChoices):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED = (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)


class Service(models.TextChoices):
    SEPARATION = "separation"
    SPEAKER_EXTRACTION = "speaker_extraction"


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
    # Of the service, as they were ordered (jobs/speaker_options.py); empty where it has none.
    options = models.JSONField(default=dict, db_default=Value({}, models.JSONField()))
    # The paid job whose stored turns this one uses, which is why it costs nothing.
    source_job = models.ForeignKey(
        "self", null=True, on_delete=models.PROTECT, related_name="merges"
    )
    # A caller that repeats an order under the same key gets the same job, not a second one.
    idempotency_key = models.CharField(max_length=200, null=True)
    order_sha256 = models.CharField(max_length=64)
    # Fixed when the job is made; every later step trusts these, not the price list.
    price_mcr = models.BigIntegerField()
    charged_mcr = models.BigIntegerField(default=0)

    state = models.CharField(max_length=16, choices=JobState, default=JobState.QUEUED)
    progress = models.FloatField(default=0)
    # What is being done, in the library's words, as of the latest beat; empty unless it runs.
    step = models.CharField(max_length=32, blank=True, default="", db_default="")
    error_code = models.CharField(max_length=64, blank=True)
    error_message = models.CharField(max_length=500, blank=True)

    # Short enough to go before longer ones (jobs/scheduling.py says how far).
    is_preview = models.BooleanField(default=False, db_default=False)
    # Told when the job ends, besides the endpoints of the workspace.
    callback_url = models.TextField(blank=True, default="", db_default="")
    # Of the call that ordered it: what the log says of the call and of the work belongs together.
    request_id = models.CharField(max_length=64, blank=True, default="", db_default="")

    # The attempt number is the fencing token: counted at the claim, named by every later write.
    attempt = models.IntegerField(default=0)
    # How many attempts came to nothing through no fault of the job's. An attempt that a worker
    # gives back because it has to stop does not count.
    losses = models.IntegerField(default=0, db_default=0)
    # How many attempts found storage away or a disk full. They count apart: a job that kills its
    # workers must end soon, one that waits for storage need not.
    delays = models.IntegerField(default=0, db_default=0)
    # After a loss, nobody claims it before this: what was at fault needs time to get well.
    not_before = models.DateTimeField(null=True)
    # Of the latest attempt: whose workspace was served last.
    claimed_at = models.DateTimeField(null=True)
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
            models.CheckConstraint(
                condition=Q(source_job=None) | Q(price_mcr=0), name="job_merge_is_free"
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
                fields=["workspace", "-is_preview", "queued_at", "id"],
                name="job_turns",
                condition=Q(state=JobState.QUEUED),
            ),
            models.Index(
                fields=["workspace", "-claimed_at"],
                name="job_last_turn",
                condition=Q(claimed_at__isnull=False),
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


class JobPart(models.Model):
    """A stretch of a long recording whose stems are in storage: the next attempt goes on there."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="parts")
    number = models.IntegerField()
    # The recording's samples that this part holds.
    n_samples = models.BigIntegerField()
    # Name of the file, as the library needs it, to storage key.
    keys = models.JSONField()
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["job", "number"], name="job_part_unique"),
        ]


class JobEvent(models.Model):
    """What happened to a job, in order; never changed."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="events")
    kind = models.CharField(max_length=32)
    attempt = models.IntegerField()
    detail = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        indexes = [models.Index(fields=["created_at"], name="job_event_time")]
