from django.db.models.functions import Now

from jobs.models import Ingest, IngestState


def ingests_expire() -> int:
    """Give up uploads whose time is over; returns how many. Their parts are swept later."""
    return Ingest.objects.filter(state=IngestState.RECEIVING, expires_at__lte=Now()).update(
        state=IngestState.CANCELLED,
        error_code="upload_expired",
        error_message="Not all of the file arrived in time.",
        finished_at=Now(),
    )
