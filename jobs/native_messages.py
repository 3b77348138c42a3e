"""The messages of the native API: Standard Webhooks, ten tries over three days."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from jobs.message_styles import NATIVE, Schedule
from jobs.models import Job
from jobs.webhook_events import EVENT_TYPES, TEST_EVENT, event_body, job_data, job_event
from jobs.webhook_signing import signed_headers

# The pauses between tries; with the first, there are ten.
RETRY_PAUSES_S: Final = (
    5,
    5 * 60,
    30 * 60,
    2 * 3600,
    5 * 3600,
    10 * 3600,
    14 * 3600,
    20 * 3600,
    24 * 3600,
)


class NativeStyle:
    name = NATIVE
    # Name, connection, request and answer together may take so long.
    schedule = Schedule(total_s=15.0, pauses_s=RETRY_PAUSES_S)
    events = EVENT_TYPES

    def event(self, job: Job) -> str | None:
        return job_event(job)

    def body(self, job: Job, *, event: str, message_uuid: UUID) -> Mapping[str, Any]:
        if job.finished_at is None:
            raise ValueError("a job that has not ended has no message")
        return event_body(event=event, at=job.finished_at, data=job_data(job))

    def test_body(self, *, message_uuid: UUID) -> Mapping[str, Any]:
        # The outbox has more to say, as it writes the body with the message.
        return {"type": TEST_EVENT, "data": {}}

    def headers(
        self,
        *,
        message_uuid: UUID,
        event: str,
        at: datetime,
        content: bytes,
        secrets: Sequence[str],
    ) -> Mapping[str, str]:
        return signed_headers(secrets, message_uuid=message_uuid, at=at, content=content)
