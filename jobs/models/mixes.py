from django.db import models

from jobs.models.derived import Derived
from jobs.models.job import Job


class Mix(Derived):
    """What a job made, mixed as somebody set it in the player: one file.

    It is no output of the job: no API lists it, and it costs nothing. It is kept for a day, if the
    job is.
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

    class Meta(Derived.Meta):
        indexes = [
            *Derived.Meta.indexes,
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
