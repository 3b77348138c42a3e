import uuid

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from accounts.models import ApiKey, Workspace
from jobs.models.assets import Asset


class IngestKind(models.TextChoices):
    TUS = "tus"
    MULTIPART = "multipart"
    URL = "url"


class IngestState(models.TextChoices):
    # Waits for the client's bytes.
    RECEIVING = "receiving"
    # Waits for a worker to fetch or check it.
    WAITING = "waiting"
    RUNNING = "running"
    READY = "ready"
    FAILED = "failed"
    CANCELLED = "cancelled"


INGEST_ENDED = (IngestState.READY, IngestState.FAILED, IngestState.CANCELLED)


class Ingest(models.Model):
    """A recording on its way in: sent in parts by its owner, or fetched from an address.

    It becomes an asset once all of it is here and has been decoded; until then nothing is known of
    it. Workers claim it as they claim jobs: the attempt number is the fencing token.
    """

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, related_name="ingests")
    api_key = models.ForeignKey(ApiKey, null=True, on_delete=models.SET_NULL)
    kind = models.CharField(max_length=16, choices=IngestKind)
    state = models.CharField(max_length=16, choices=IngestState)
    filename = models.CharField(max_length=255, blank=True)
    url = models.TextField(blank=True)
    # Of the call that began it, for the log.
    request_id = models.CharField(max_length=64, blank=True, default="", db_default="")
    # As the client announced it; null when nobody knows yet.
    size_bytes = models.BigIntegerField(null=True)
    received_bytes = models.BigIntegerField(default=0)
    # Storage's own name for an upload in parts.
    s3_upload_id = models.CharField(max_length=1024, blank=True)
    asset = models.OneToOneField(Asset, null=True, on_delete=models.PROTECT, related_name="ingest")
    error_code = models.CharField(max_length=64, blank=True)
    error_message = models.CharField(max_length=500, blank=True)

    attempt = models.IntegerField(default=0)
    losses = models.IntegerField(default=0)
    # After a loss, nobody claims it before this.
    not_before = models.DateTimeField(null=True)
    # By its latest attempt: the turns of workspaces follow from it.
    claimed_at = models.DateTimeField(null=True)
    lease_until = models.DateTimeField(null=True)
    worker = models.CharField(max_length=100, blank=True)

    created_at = models.DateTimeField(db_default=Now(), editable=False)
    # Until then the client may send; afterwards what came is thrown away.
    expires_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    # When the parts were removed from storage.
    swept_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=IngestState.values), name="ingest_state_known"
            ),
            models.CheckConstraint(
                condition=Q(state=IngestState.READY, asset__isnull=False)
                | ~Q(state=IngestState.READY) & Q(asset__isnull=True),
                name="ingest_asset_when_ready",
            ),
            models.CheckConstraint(
                condition=Q(state=IngestState.RUNNING, lease_until__isnull=False)
                | ~Q(state=IngestState.RUNNING) & Q(lease_until__isnull=True),
                name="ingest_leased_while_running",
            ),
        ]
        indexes = [
            models.Index(fields=["workspace", "-id"], name="ingest_listing"),
            models.Index(
                fields=["workspace", "-claimed_at"],
                name="ingest_last_turn",
                condition=Q(claimed_at__isnull=False),
            ),
            models.Index(
                fields=["state", "lease_until", "expires_at"],
                name="ingest_open",
                condition=Q(finished_at__isnull=True),
            ),
            models.Index(
                fields=["finished_at"],
                name="ingest_to_sweep",
                condition=Q(swept_at__isnull=True, finished_at__isnull=False),
            ),
            models.Index(
                fields=["finished_at"],
                name="ingest_ended",
                condition=Q(finished_at__isnull=False),
            ),
        ]


class IngestPart(models.Model):
    """Bytes that arrived, as a file of their own in storage."""

    ingest = models.ForeignKey(Ingest, on_delete=models.CASCADE, related_name="parts")
    # Where in the recording it begins (tus), or which part it is, from 1 (multipart).
    position = models.BigIntegerField()
    size_bytes = models.BigIntegerField()
    storage_key = models.CharField(max_length=255, unique=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["ingest", "position"], name="ingest_part_unique"),
        ]
