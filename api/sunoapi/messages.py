"""Callbacks: what is sent when a task has ended, and the signature of who asked for one."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from api.links import asset_link
from api.sunoapi.dialect import NAME
from api.sunoapi.results import midi_data, separation_info, wav_url
from api.sunoapi.tasks import LINK_DAYS, failure_of, task_id
from jobs.message_styles import Schedule
from jobs.models import ENDED, Asset, Job, Service

ENDED_EVENT: Final = "task.ended"


class SunoStyle:
    name = NAME
    schedule = Schedule(total_s=15, pauses_s=(60, 300, 900))
    events: Mapping[str, str] = {ENDED_EVENT: "A task ended, well or not."}

    def event(self, job: Job) -> str | None:
        return ENDED_EVENT if job.dialect == NAME and job.state in ENDED else None

    def body(self, job: Job, *, event: str, message_uuid: UUID) -> Mapping[str, Any]:
        code, message = failure_of(job)
        name = {"task_id": task_id(job.uuid)}
        if code is not None:
            failed = {"code": code, "msg": message, "data": name}
            # That of notes has the id outside, too.
            return {**name, **failed} if job.service == Service.TRANSCRIPTION else failed
        match job.service:
            case Service.TRANSCRIPTION:
                return {**name, "code": 200, "msg": "success", "data": midi_data(job, _link)}
            case Service.CONVERSION:
                url = wav_url(job, _link) or ""
                data = {"audioWavUrl": url, "audio_wav_url": url, **name}
                return {"code": 200, "msg": "success", "data": data}
        info = separation_info(job, _link)
        return {
            "code": 200,
            "msg": "vocal Removal generated successfully.",
            # The second is how a sister of this API names it.
            "data": {**name, "vocal_removal_info": info, "vocal_separation_info": info},
        }

    def test_body(self, *, message_uuid: UUID) -> Mapping[str, Any]:
        return {"code": 200, "msg": "test", "data": {"task_id": task_id(message_uuid)}}

    def headers(
        self,
        *,
        message_uuid: UUID,
        event: str,
        at: datetime,
        content: bytes,
        secrets: Sequence[str],
    ) -> Mapping[str, str]:
        if not secrets:
            return {}
        body = json.loads(content)
        name = body.get("task_id") or body["data"]["task_id"]
        timestamp = str(int(at.timestamp()))
        return {
            "X-Webhook-Timestamp": timestamp,
            "X-Webhook-Signature": _signature(f"{name}.{timestamp}", secrets[0]),
        }


STYLE: Final = SunoStyle()


def _link(asset: Asset) -> str:
    return asset_link(asset, days=LINK_DAYS)


def _signature(text: str, secret: str) -> str:
    digest = hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()
