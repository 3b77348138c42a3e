from django.db import models
from django.db.models.functions import Now


class Worker(models.Model):
    """A process that works, as it says of itself every few seconds; gone when it ends in order.

    Nothing is decided by it: leases say whose a job is.
    """

    # Machine and process, as jobs, imports and copies name who has them.
    name = models.CharField(max_length=100, unique=True)
    host = models.CharField(max_length=100)
    pid = models.IntegerField()
    cluster = models.CharField(max_length=32)
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField(db_default=Now())
    # As it is set, "auto" until something is loaded; blank where nothing is separated.
    device = models.CharField(max_length=32, blank=True)
    device_name = models.CharField(max_length=100, blank=True)
    # Models in memory, as `separation.loaded` tells of them.
    loaded = models.JSONField(default=list)
    # Jobs that it runs at the same time.
    at_once = models.IntegerField(default=1)

    class Meta:
        indexes = [models.Index(fields=["seen_at"], name="worker_seen")]
