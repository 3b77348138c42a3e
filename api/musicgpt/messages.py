"""What receivers are told when a conversion has ended: once an order, by its `webhook_url`."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final
from uuid import UUID

from api.links import asset_link
from api.musicgpt.bodies import LINK_DAYS, message
from jobs.message_styles import MessageStyle, Schedule
from jobs.models import Job, JobState

_EVENTS = {
    JobState.SUCCEEDED: "conversion.completed",
    JobState.FAILED: "conversion.failed",
    JobState.CANCELLED: "conversion.failed",
}


class _Style:
    """Unsigned: whoever wants to know the sender puts a secret into the address."""

    name = "musicgpt"
    # Three tries.
    schedule = Schedule(total_s=10, pauses_s=(60, 5 * 60))
    # Nothing to register for: each order names its receiver.
    events: Mapping[str, str] = {}

    def event(self, job: Job) -> str | None:
        return _EVENTS.get(JobState(job.state))

    def body(self, job: Job, *, event: str, message_uuid: UUID) -> Mapping[str, Any]:
        return message(job, link=partial(asset_link, days=LINK_DAYS))

    def test_body(self, *, message_uuid: UUID) -> Mapping[str, Any]:
        return {"success": True, "conversion_type": "Test"}

    def headers(
        self,
        *,
        message_uuid: UUID,
        event: str,
        at: datetime,
        content: bytes,
        secrets: Sequence[str],
    ) -> Mapping[str, str]:
        return {}


STYLE: Final[MessageStyle] = _Style()
