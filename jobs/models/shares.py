import uuid

from django.db import models
from django.db.models.functions import Now

from accounts.models import User, Workspace
from jobs.models.job import Job


class Share(models.Model):
    """A link with which anybody may listen to what a job made, without an account."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.PROTECT, related_name="+")
    job = models.ForeignKey(Job, on_delete=models.PROTECT, related_name="shares")
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    # The link is shown once; only this is kept of its secret.
    token_sha256 = models.CharField(max_length=64, unique=True)
    # To tell links apart by.
    token_end = models.CharField(max_length=8)
    # A hash, as of passwords of accounts; empty: it needs none.
    password = models.CharField(max_length=128, blank=True)
    may_download = models.BooleanField(default=False)
    # Null: it holds as long as the files are kept.
    expires_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    # How often its page was opened.
    uses = models.IntegerField(default=0)
    last_used_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        indexes = [models.Index(fields=["job", "-id"], name="share_listing")]
