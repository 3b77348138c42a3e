import uuid

from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import F, Q, Value
from django.db.models.functions import Now

from accounts.models import ApiKey, User, Workspace
from jobs.models.assets import Asset
from jobs.models.ingests import Ingest
from jobs.models.trigrams import trigrams


class JobState(models.TextChoices):
    # For its recording, which is being fetched. It has no price yet, and nothing is held.
    WAITING = "waiting"
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


# It may end without ever having had one.
_WITHOUT_RECORDING = (JobState.WAITING, JobState.FAILED, JobState.CANCELLED)
ENDED = (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)


class Service(models.TextChoices):
    SEPARATION = "separation"
    SPEAKER_EXTRACTION = "speaker_extraction"
    SPEAKER_DIARIZATION = "speaker_diarization"
    ENHANCEMENT = "enhancement"
    # Tempo and key.
    ANALYSIS = "analysis"
    # Notes, as MIDI.
    TRANSCRIPTION = "transcription"
    # The recording in other formats.
    CONVERSION = "conversion"


# They find who speaks when, and have the options of jobs/speaker_options.py.
OF_SPEAKERS = (Service.SPEAKER_EXTRACTION, Service.SPEAKER_DIARIZATION)


class Job(models.Model):
    """A request and its fate. This row is the truth; the queue only wakes workers."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, related_name="jobs")
    api_key = models.ForeignKey(ApiKey, null=True, on_delete=models.SET_NULL)
    # The member who ordered it; null where a key did. An index of it is below.
    ordered_by = models.ForeignKey(
        User, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    # What people called it; empty: it is called as its recording (jobs/naming.py).
    name = models.CharField(max_length=255, blank=True, default="", db_default="")
    service = models.CharField(max_length=32, choices=Service)
    # Null until it has been fetched: see `ingest`. Whoever works on the job asks for `recording`.
    asset = models.ForeignKey(Asset, null=True, on_delete=models.PROTECT, related_name="jobs")
    # What brings the recording, of a job that was ordered by address.
    ingest = models.ForeignKey(Ingest, null=True, on_delete=models.PROTECT, related_name="jobs")
    # What was asked for (jobs/orders.py), while nobody knows of which recording.
    waiting_order = models.JSONField(null=True)
    stems = models.JSONField()
    model = models.CharField(max_length=64)
    output_format = models.CharField(max_length=16)
    # Everything is made in these too.
    more_formats = models.JSONField(default=list, db_default=Value([], models.JSONField()))
    # The samples of the recording that are worked on, from the first to before the second.
    range_start = models.BigIntegerField(null=True)
    range_end = models.BigIntegerField(null=True)
    # What is done to the recording before, or instead where that is the service: in this order.
    steps = models.JSONField(default=list, db_default=Value([], models.JSONField()))
    # What was found that is no file, such as the tempo.
    result = models.JSONField(default=dict, db_default=Value({}, models.JSONField()))
    # Of the service, as they were ordered (jobs/speaker_options.py); empty where it has none.
    options = models.JSONField(default=dict, db_default=Value({}, models.JSONField()))
    # The paid job whose stored turns this one uses, which is why it costs nothing.
    source_job = models.ForeignKey(
        "self", null=True, on_delete=models.PROTECT, related_name="merges"
    )
    # The first of a chain of jobs, each of which does anew what the one before failed to do.
    retry_of = models.ForeignKey(
        "self", null=True, on_delete=models.PROTECT, related_name="retries"
    )
    # A caller that repeats an order under the same key gets the same job, not a second one.
    idempotency_key = models.CharField(max_length=200, null=True)
    order_sha256 = models.CharField(max_length=64)
    # Of the call, where callers repeat one that was answered badly without any key.
    repeat_sha256 = models.CharField(max_length=64, blank=True, default="", db_default="")
    # The name of the price: the service, or what an outside API sells.
    tariff = models.CharField(max_length=64, blank=True, default="", db_default="")
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
    # In which words (jobs/message_styles.py), and signed with which encrypted text of the caller's.
    callback_style = models.CharField(max_length=16, default="native", db_default="native")
    callback_secret = models.TextField(blank=True, default="", db_default="")
    # The API that it was ordered through, and what only that one knows of it.
    dialect = models.CharField(max_length=16, default="native", db_default="native")
    dialect_data = models.JSONField(default=dict, db_default=Value({}, models.JSONField()))
    # The caller's own, given back as it came.
    metadata = models.JSONField(default=dict, db_default=Value({}, models.JSONField()))
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
            models.CheckConstraint(
                condition=Q(asset__isnull=False)
                | Q(ingest__isnull=False, state__in=_WITHOUT_RECORDING),
                name="job_has_recording",
            ),
            models.CheckConstraint(
                condition=Q(range_start=None, range_end=None)
                | Q(range_start__gte=0, range_end__gt=F("range_start")),
                name="job_range_not_empty",
            ),
        ]
        indexes = [
            models.Index(fields=["workspace", "-id"], name="job_listing"),
            models.Index(
                fields=["ordered_by", "-id"],
                name="job_by_person",
                condition=Q(ordered_by__isnull=False),
            ),
            GinIndex(trigrams(F("name")), name="job_by_name", condition=~Q(name="")),
            # They are found by the address that their recording was to come from.
            models.Index(
                fields=["workspace", "-id"],
                name="job_without_recording",
                condition=Q(asset__isnull=True),
            ),
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
                fields=["ingest"], name="job_of_ingest", condition=Q(ingest__isnull=False)
            ),
            models.Index(
                fields=["workspace", "repeat_sha256"],
                name="job_repeats",
                condition=~Q(repeat_sha256=""),
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

    @property
    def recording(self) -> Asset:
        """The asset, which every job has that is or was worked on."""
        if self.asset is None:
            raise ValueError("this job's recording has not come")
        return self.asset

    @property
    def n_samples(self) -> int:
        """Of what is worked on: the range, or all of the recording."""
        if self.range_start is None or self.range_end is None:
            return self.recording.n_samples
        return self.range_end - self.range_start


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
