"""Webhooks of single tasks, as the guide of the other service describes them."""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from api.links import asset_link
from api.musicapi.dialect import DIALECT
from api.musicapi.results import task_data, task_message
from jobs.message_styles import Schedule
from jobs.models import ENDED, Job, JobState

COMPLETED: Final = "song.completed"
FAILED: Final = "song.failed"
# A message may be read long after it came.
_LINK_DAYS: Final = 1


class MusicApiStyle:
    name = DIALECT.name
    # The other service does not say how often it tries.
    schedule = Schedule(total_s=10.0, pauses_s=(60, 120, 240, 480))
    events: Mapping[str, str] = {
        COMPLETED: "A task made what it was to make.",
        FAILED: "A task failed; its credits came back.",
    }

    def event(self, job: Job) -> str | None:
        if job.dialect != DIALECT.name or job.state not in ENDED:
            return None
        return COMPLETED if job.state == JobState.SUCCEEDED else FAILED

    def body(self, job: Job, *, event: str, message_uuid: UUID) -> Mapping[str, Any]:
        return {
            "code": 200 if event == COMPLETED else 500,
            "data": task_data(job, lambda asset: asset_link(asset, days=_LINK_DAYS)),
            "message": task_message(job),
            "task_id": str(job.uuid),
            "platform": "sonic",
            "event": event,
        }

    def test_body(self, *, message_uuid: UUID) -> Mapping[str, Any]:
        return {"code": 200, "data": [], "message": "test", "platform": "sonic"}

    def headers(
        self,
        *,
        message_uuid: UUID,
        event: str,
        at: datetime,
        content: bytes,
        secrets: Sequence[str],
    ) -> Mapping[str, str]:
        timestamp = str(int(at.timestamp()))
        headers = {
            "X-Webhook-Id": str(message_uuid),
            "X-Webhook-Event": event,
            "X-Webhook-Timestamp": timestamp,
        }
        if secrets:
            signed = hmac.new(
                secrets[0].encode(), f"{timestamp}.".encode() + content, hashlib.sha256
            )
            headers["X-Webhook-Signature"] = f"sha256={signed.hexdigest()}"
        return headers
