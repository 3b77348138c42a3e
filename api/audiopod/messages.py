"""AudioPod's webhooks: their bodies, their signature, how often they are tried.

The signature is the hex HMAC-SHA256 of "<seconds>.<body>" by the secret as it was shown. After a
change of secret there is one for each, newest first, separated by commas.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from api.audiopod.chains import job_number, job_status
from api.audiopod.dialect import NAME
from jobs.message_styles import MessageStyle, Schedule
from jobs.models import Job, JobState, Service

_TEST: Final = "webhook.test"
_EVENTS: Final = {
    JobState.SUCCEEDED: "job.completed",
    JobState.FAILED: "job.failed",
    JobState.CANCELLED: "job.cancelled",
}
# As messages name them; reads say `extraction` (rendering.py).
_JOB_TYPES: Final = {
    Service.SPEAKER_EXTRACTION: "speaker_extraction",
    Service.SPEAKER_DIARIZATION: "speaker_diarization",
    Service.SEPARATION: "stem_extraction",
    Service.ENHANCEMENT: "denoise",
}
# Five tries.
_PAUSES_S: Final = (60, 120, 240, 480)


class AudiopodStyle:
    name: str = NAME
    schedule: Schedule = Schedule(total_s=10.0, pauses_s=_PAUSES_S)
    events: Mapping[str, str] = {
        "job.completed": "A job ended well; what it made is ready.",
        "job.failed": "A job ended without results; its credits are free again.",
        "job.cancelled": "A job was stopped because its owner asked for it.",
    }

    def event(self, job: Job) -> str | None:
        # Only what was ordered through this API has a number and a type that its readers know.
        return _EVENTS.get(JobState(job.state)) if job.dialect == NAME else None

    def body(self, job: Job, *, event: str, message_uuid: UUID) -> Mapping[str, Any]:
        body = {
            "event_type": event,
            "event_id": str(message_uuid),
            "job_id": job_number(job),
            "job_type": _JOB_TYPES[Service(job.service)],
            "status": "CANCELLED" if event == "job.cancelled" else job_status(job),
        }
        if event == "job.failed":
            body |= {"error_message": job.error_message, "failure_reason": job.error_code}
        return body

    def test_body(self, *, message_uuid: UUID) -> Mapping[str, Any]:
        return {
            "event_type": _TEST,
            "event_id": str(message_uuid),
            "job_id": None,
            "job_type": None,
            "status": None,
        }

    def headers(
        self,
        *,
        message_uuid: UUID,
        event: str,
        at: datetime,
        content: bytes,
        secrets: Sequence[str],
    ) -> Mapping[str, str]:
        seconds = str(int(at.timestamp()))
        signed = seconds.encode() + b"." + content
        signatures = [
            "sha256=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
            for secret in secrets
        ]
        return {
            "X-AudioPod-Signature": ",".join(signatures),
            "X-AudioPod-Timestamp": seconds,
            "X-AudioPod-Event": event,
            "X-AudioPod-Event-Id": str(message_uuid),
        }


STYLE: Final[MessageStyle] = AudiopodStyle()
