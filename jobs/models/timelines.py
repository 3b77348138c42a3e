from django.db import models
from django.db.models.functions import Now

from jobs.models.job import Job


class JobTimeline(models.Model):
    """Who speaks when in a job's recording, as it was found out, and what people named them.

    Speakers are called by their labels (`SPEAKER_0`) wherever rows or files refer to them; a name
    is only shown.
    """

    job = models.OneToOneField(Job, on_delete=models.CASCADE, related_name="timeline")
    # As `separation.speakers.Timeline.to_json` writes it.
    turns = models.JSONField()
    # One object a speaker, and the spans in which several speak; empty until the job succeeded.
    statistics = models.JSONField(default=list)
    overlaps = models.JSONField(default=list)
    # Label to name, of those that were named.
    names = models.JSONField(default=dict)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
