from django.db import models
from django.db.models import Q

from jobs.models.derived import Derived, DerivedState
from jobs.models.job import Job


class Mix(Derived):
    """What a job made, mixed as somebody set it in the player: one file.

    It is no output of the job: no API lists it, and it costs nothing. It is kept as long as the
    first of the files that it was made of, and goes with the job.
    """

    job = models.ForeignKey(Job, on_delete=models.PROTECT, related_name="mixes")
    # As jobs.mixing.MixOrder reads it.
    order = models.JSONField()
    filename = models.CharField(max_length=255)
    size_bytes = models.BigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True)
    n_samples = models.BigIntegerField()
    # The highest sample, 1 being full scale, and how many were beyond it.
    peak = models.FloatField(default=0)
    clipped_samples = models.BigIntegerField(default=0)
    expires_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=DerivedState.values), name="mix_state_known"
            ),
            models.CheckConstraint(
                condition=Q(state=DerivedState.RUNNING, lease_until__isnull=False)
                | ~Q(state=DerivedState.RUNNING) & Q(lease_until__isnull=True),
                name="mix_leased_while_running",
            ),
        ]
        indexes = [
            models.Index(
                fields=["state", "created_at"],
                name="mix_open",
                condition=Q(state__in=[DerivedState.QUEUED, DerivedState.RUNNING]),
            ),
            models.Index(fields=["expires_at"], name="mix_to_expire"),
        ]

    @property
    def duration_s(self) -> float:
        return self.n_samples / self.job.recording.sample_rate

    @property
    def folder(self) -> str:
        return f"mixes/{self.uuid}"

    @property
    def key(self) -> str:
        return f"{self.folder}/{self.attempt}/mix"
