from uuid import uuid4

from django.db import models
from django.db.models.functions import Now


class AuditEvent(models.Model):
    """Who did what to what. Append-only (a trigger keeps it so).

    Plain values instead of foreign keys: what was written stays readable when the person, the key
    or the workspace is gone.
    """

    uuid = models.UUIDField(default=uuid4, unique=True, editable=False)
    workspace_uuid = models.UUIDField(null=True)
    actor_kind = models.CharField(max_length=16)
    actor_uuid = models.UUIDField(null=True)
    # An e-mail address, a key's name, "operator".
    actor_label = models.CharField(max_length=255)
    action = models.CharField(max_length=64)
    target_kind = models.CharField(max_length=32, blank=True)
    target_uuid = models.UUIDField(null=True)
    data = models.JSONField(default=dict)
    ip_address = models.GenericIPAddressField(null=True)
    request_id = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        indexes = [
            models.Index(fields=["workspace_uuid", "-id"], name="audit_listing"),
            models.Index(fields=["actor_uuid", "-id"], name="audit_by_actor"),
        ]
