import uuid

from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from accounts.models import Workspace
from jobs.models.trigrams import trigrams


class AssetState(models.TextChoices):
    # The row comes before the file and outlives it, so that no file is ever without a row.
    STORING = "storing"
    READY = "ready"
    DELETED = "deleted"
    PURGED = "purged"


class OutputKind(models.TextChoices):
    STEM = "stem"
    # All that one speaker says, and a few seconds of it to recognise the speaker by.
    TRACK = "track"
    CLIP = "clip"
    # The recording itself: cleaned, or in another format. Of no stem.
    RECORDING = "recording"
    # A MIDI file.
    NOTES = "notes"


class Asset(models.Model):
    """A stored file: an uploaded recording, or something that a job made of one."""

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
    # Of what a job made: the job, which stem or speaker it is, and in which way.
    job = models.ForeignKey(
        "jobs.Job", null=True, on_delete=models.PROTECT, related_name="stem_assets"
    )
    stem = models.CharField(max_length=64, blank=True)
    kind = models.CharField(
        max_length=16, choices=OutputKind, default=OutputKind.STEM, db_default=OutputKind.STEM
    )
    # The name of its format, as it is ordered: "wav24". Empty: uploaded, or older than this.
    form = models.CharField(max_length=16, blank=True, default="", db_default="")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    # When it is deleted by itself; null: never.
    expires_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=AssetState.values), name="asset_state_known"
            ),
            models.UniqueConstraint(
                fields=["job", "stem", "kind", "form"],
                condition=Q(job__isnull=False),
                name="asset_output_unique",
            ),
            models.CheckConstraint(
                condition=Q(kind__in=OutputKind.values), name="asset_kind_known"
            ),
        ]
        indexes = [
            models.Index(fields=["workspace", "-id"], name="asset_listing"),
            models.Index(
                fields=["state", "created_at"],
                name="asset_to_clean",
                condition=Q(state__in=[AssetState.STORING, AssetState.DELETED]),
            ),
            models.Index(
                fields=["expires_at"], name="asset_to_expire", condition=Q(state=AssetState.READY)
            ),
            # Of others the name is not kept for long.
            GinIndex(
                trigrams(F("filename")), name="asset_by_name", condition=Q(state=AssetState.READY)
            ),
            # To sum up what is stored, without those long gone.
            models.Index(
                fields=["state", "size_bytes"],
                name="asset_stored",
                condition=~Q(state=AssetState.PURGED),
            ),
        ]

    @property
    def duration_s(self) -> float:
        return self.n_samples / self.sample_rate


class DeletionReason(models.TextChoices):
    REQUEST = "request"
    RETENTION = "retention"


class Deletion(models.Model):
    """The proof that a file is gone: asked for, removed, then looked for and not found."""

    asset = models.OneToOneField(Asset, on_delete=models.PROTECT, related_name="deletion")
    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, related_name="deletions")
    reason = models.CharField(max_length=16, choices=DeletionReason)
    # Of the file that was deleted; its name is not kept.
    size_bytes = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)
    requested_at = models.DateTimeField(db_default=Now(), editable=False)
    removed_at = models.DateTimeField(null=True)
    # When storage was asked for the file, and all its versions, and had none.
    verified_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["workspace", "-id"], name="deletion_listing"),
            models.Index(
                fields=["requested_at"],
                name="deletion_open",
                condition=Q(verified_at__isnull=True),
            ),
        ]
