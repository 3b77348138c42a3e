from django.db import models


class Tally(models.Model):
    """A number that only grows: how often something has happened since the service began."""

    name = models.CharField(max_length=64)
    # JSON with sorted keys, so that equal labels are equal text.
    labels = models.CharField(max_length=500)
    value = models.FloatField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["name", "labels"], name="tally_unique")]


class TallyMark(models.Model):
    """Up to when events of a kind are in the tallies; later ones are still counted row by row."""

    name = models.CharField(max_length=64, unique=True)
    counted_until = models.DateTimeField()
