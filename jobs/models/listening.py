from django.db import models
from django.db.models import F, Q

from jobs.models.assets import Asset
from jobs.models.derived import Derived


class Listening(Derived):
    """A stretch of a file as players need it: segments of FLAC, and peaks to draw it by."""

    asset = models.ForeignKey(Asset, on_delete=models.PROTECT, related_name="listenings")
    # Samples of the file; past its end there is silence.
    range_start = models.BigIntegerField()
    range_end = models.BigIntegerField()
    # Somebody looks at the player already: it goes before those that nobody asked for yet.
    is_awaited = models.BooleanField(default=False)
    # What was written, as of separation.audio.segments; the last offset is the length of the file.
    offsets = models.JSONField(default=list)
    gain = models.FloatField(default=1)
    peak_counts = models.JSONField(default=list)
    # Of both files.
    size_bytes = models.BigIntegerField(default=0, db_default=0)

    class Meta(Derived.Meta):
        constraints = [
            *Derived.Meta.constraints,
            models.UniqueConstraint(
                fields=["asset", "range_start", "range_end"], name="listening_unique"
            ),
            models.CheckConstraint(
                condition=Q(range_start__gte=0, range_end__gt=F("range_start")),
                name="listening_not_empty",
            ),
        ]

    @property
    def n_samples(self) -> int:
        return self.range_end - self.range_start

    @property
    def duration_s(self) -> float:
        return self.n_samples / self.asset.sample_rate

    @property
    def peaks_bytes(self) -> int:
        counts: list[int] = self.peak_counts
        return 2 * sum(counts)

    @property
    def folder(self) -> str:
        return f"listening/{self.asset.uuid}/{self.uuid}"

    @property
    def audio_key(self) -> str:
        return f"{self.folder}/{self.attempt}/audio"

    @property
    def peaks_key(self) -> str:
        return f"{self.folder}/{self.attempt}/peaks"
