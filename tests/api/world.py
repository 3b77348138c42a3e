"""One of everything, so that each kind of caller can ask for each address of the service."""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from django.core import mail
from django.core.files.base import ContentFile
from django.db.models.functions import Now
from django.test import Client, TestCase
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart
from django.urls import reverse

from accounts.audit import OPERATOR, Actor
from accounts.invitations import invitation_create
from accounts.models import ApiKey, Invitation, Role, User, Workspace
from accounts.tokens import sign_in_create
from api.outside import OUTSIDE
from billing.ledger import hold_release
from jobs.archives import archive_token
from jobs.importing import import_create
from jobs.models import Asset, Ingest, Job, JobState, WebhookEndpoint, WebhookMessage
from jobs.services import Order, asset_delete, job_create
from jobs.storage import download_token
from jobs.timeline_texts import timeline_token
from jobs.webhooks import endpoint_create, endpoint_test
from tests.api.audiopod.world import audiopod_world
from tests.makers import (
    PASSWORD,
    make_asset,
    make_job,
    make_key,
    make_member,
    make_spoken_job,
    make_token,
    make_wav,
    make_workspace,
)
from tests.upload_makers import make_multipart_upload, make_upload

PEOPLE = ("stranger", *Role.values)
CALLERS = ("anonymous", *PEOPLE, "key", "read_key", "expired_key")
APIS = tuple(f"{name}-" for name in ("native", *OUTSIDE))
READ_SCOPES = ["assets:read", "jobs:read", "credits:read", "workspace:read"]


class Form(dict[str, Any]):
    """Sent as multipart/form-data."""


@dataclass(frozen=True)
class Raw:
    """Bytes as they are, with headers that say what to do with them."""

    data: bytes
    content_type: str
    headers: Mapping[str, str]


@dataclass(frozen=True)
class World:
    """`ids` fill an address; `bodies` (by route and method) are such that a caller who may, can."""

    workspace: Workspace
    people: Mapping[str, User]
    keys: Mapping[str, str]
    ids: Mapping[str, object]
    ids_of_route: Mapping[str, Mapping[str, object]]
    bodies: Mapping[tuple[str, str], Any]
    # What an address ends with, by route.
    queries: Mapping[str, str]

    def body(self, route: str, method: str) -> dict[str, Any]:
        """Arguments for `Client.generic`: JSON, or a form where the body is bytes already."""
        body = self.bodies.get((route, method), {})
        if isinstance(body, Form):
            for file in body.values():
                file.seek(0)
            return {"data": encode_multipart(BOUNDARY, body), "content_type": MULTIPART_CONTENT}
        if isinstance(body, Raw):
            return vars(body)
        if not route.startswith(APIS):
            return {"data": urlencode(body), "content_type": "application/x-www-form-urlencoded"}
        return {"data": json.dumps(body), "content_type": "application/json"}

    def client(self, caller: str) -> Client:
        """People carry a token and a browser's session: the API heeds one, the pages the other."""
        if caller in self.keys:
            return Client(headers={"X-API-Key": self.keys[caller]})
        if caller == "anonymous":
            return Client()
        user = self.people[caller]
        workspace = self.workspace
        if caller == "stranger":
            workspace = user.memberships.get().workspace
        client = Client(headers={"Authorization": f"Bearer {make_token(user, workspace)}"})
        client.post(reverse("account_login"), {"login": user.email, "password": PASSWORD})
        return client


def make_world(folder: Path) -> World:
    workspace = make_workspace("Alice's", credits=100)
    people = {str(role): make_member(workspace, role) for role in Role}
    people["stranger"] = make_member(make_workspace("Charlie's", credits=100), Role.OWNER)
    keys = {
        "key": _key(workspace),
        "read_key": _key(workspace, scopes=READ_SCOPES),
        "expired_key": _key(workspace, expires_at=Now() - timedelta(days=1)),
    }
    key = ApiKey.objects.filter(workspace=workspace).earliest("pk")

    owner = people["owner"]
    asset = make_asset(workspace, folder)
    waiting, ended = make_job(workspace, asset), make_job(workspace, asset)
    Job.objects.filter(pk=ended.pk).update(state=JobState.FAILED, finished_at=Now())
    hold_release(job_uuid=ended.uuid)
    spoken = make_spoken_job(workspace, asset)
    made = make_spoken_job(workspace, asset)
    Asset.objects.filter(pk=make_asset(workspace, folder).pk).update(job=made, stem="SPEAKER_0")
    deleted = make_asset(workspace, folder)
    asset_delete(workspace=workspace, asset_uuid=deleted.uuid)
    invitation, invitation_token = _invitation(workspace, owner, people["stranger"].email)
    tus, multipart = make_upload(workspace), make_multipart_upload(workspace, b"12345")
    sign_in = sign_in_create(user=owner, workspace=workspace, user_agent="test", ip=None)
    webhook, delivery = _webhook(workspace)
    ids = {
        "webhook_uuid": webhook.uuid,
        "delivery_uuid": delivery.uuid,
        "asset_uuid": make_asset(workspace, folder).uuid,
        "job_uuid": ended.uuid,
        "deleted_uuid": deleted.uuid,
        "token": download_token(str(asset.uuid)),
        "key_uuid": key.uuid,
        "user_uuid": people["viewer"].uuid,
        "invitation_uuid": invitation.uuid,
        "sign_in_uuid": owner.sign_ins.get().uuid,
        "upload_uuid": tus.uuid,
        "import_uuid": _import(workspace).uuid,
        # Of allauth's pages: a passkey, a confirmation and a reset that nobody asked for.
        "pk": 1,
        "key": "unknown",
        "uidb36": "1",
        # Of an outside API.
        "name": "audiopod",
    }
    order = {"asset": str(asset.uuid), "stems": ["vocals"]}
    bodies = {
        ("native-asset-list", "POST"): Form(file=ContentFile(make_wav(seconds=0.1), "a.wav")),
        ("native-upload-list", "POST"): Raw(
            b"", "", {"Tus-Resumable": "1.0.0", "Upload-Length": "5"}
        ),
        ("native-upload-detail", "PATCH"): Raw(
            b"12345",
            "application/offset+octet-stream",
            {"Tus-Resumable": "1.0.0", "Upload-Offset": "0"},
        ),
        ("native-multipart-list", "POST"): {"filename": "a.wav", "size_bytes": 5},
        ("native-multipart-parts", "POST"): {"numbers": [1]},
        ("native-multipart-complete", "POST"): {
            "parts": [{"number": 1, "etag": multipart.etags[1]}]
        },
        ("native-upload-part", "PUT"): Raw(b"12345", "application/octet-stream", {}),
        ("native-import-list", "POST"): {"url": "https://media.example.org/a.wav"},
        ("native-job-list", "POST"): order,
        ("native-job-estimate", "POST"): order,
        ("native-job-batch", "POST"): {"orders": [order]},
        ("native-job-detail", "PATCH"): {"name": "renamed"},
        ("native-job-speakers", "PATCH"): {"names": {"SPEAKER_0": "Alice"}},
        ("native-job-speakers-merge", "POST"): {"groups": [["SPEAKER_0", "SPEAKER_1"]]},
        ("native-auth-token", "POST"): {"email": owner.email, "password": PASSWORD},
        ("native-auth-refresh", "POST"): {"refresh_token": sign_in.refresh_token},
        ("native-auth-revoke", "POST"): {"refresh_token": sign_in.refresh_token},
        ("native-key-list", "POST"): {"name": "new", "scopes": ["jobs:read"]},
        ("native-key-detail", "PATCH"): {"name": "renamed"},
        ("native-webhook-list", "POST"): {"url": "https://hooks.example.org"},
        ("native-webhook-detail", "PATCH"): {"description": "renamed"},
        ("native-workspace-list", "POST"): {"name": "Another"},
        ("native-workspace", "PATCH"): {"name": "Renamed"},
        ("native-member-detail", "PATCH"): {"role": "billing"},
        ("native-workspace-transfer", "POST"): {"member": str(people["admin"].uuid)},
        ("native-invitation-list", "POST"): {"email": "new@example.org", "role": "viewer"},
        ("native-invitation-accept", "POST"): {"token": invitation_token},
        ("native-billing-checkout", "POST"): {"pack": "starter"},
        ("native-billing-auto-top-up", "PUT"): {
            "is_enabled": False,
            "threshold_mcr": 1000,
            "pack": "starter",
            "monthly_ceiling_cents": 5000,
        },
    }
    ids_of_route: dict[str, dict[str, object]] = {
        "native-job-cancel": {"job_uuid": waiting.uuid},
        "native-job-speakers": {"job_uuid": spoken.uuid},
        "native-job-speakers-merge": {"job_uuid": spoken.uuid},
        "native-job-timeline": {"job_uuid": spoken.uuid},
        "native-job-archive": {"job_uuid": made.uuid},
        "native-archive-download": {"token": archive_token(made)},
        "native-timeline-download": {"token": timeline_token(spoken, format_name="rttm")},
        "native-multipart-parts": {"upload_uuid": multipart.uuid},
        "native-multipart-complete": {"upload_uuid": multipart.uuid},
        "native-upload-part": {"token": multipart.token},
        "invitation-accept": {"token": invitation_token},
    }
    audiopod_ids, audiopod_bodies = audiopod_world(workspace, asset, owner)
    ids_of_route |= audiopod_ids
    bodies |= audiopod_bodies
    clip = {"clip_id": str(asset.uuid)}
    bodies |= {
        (f"musicapi-{name}", "POST"): clip
        for name in ("vox", "wav", "bpm", "midi", "stems-basic", "stems-full")
    }
    bodies["musicapi-download", "POST"] = {**clip, "formats": ["wav"]}
    bodies["musicapi-upload", "POST"] = {"url": "https://media.example.org/a.wav"}
    music = make_dialect_job(workspace, asset, dialect="musicapi", dialect_data={"kind": "stems"})
    ids_of_route["musicapi-task"] = {"task_id": music.uuid}
    neuralspace = make_dialect_job(workspace, asset, dialect="neuralspace")
    bodies |= {
        ("neuralspace-file-upload", "POST"): Form(
            files=ContentFile(make_wav(seconds=0.1), "a.wav")
        ),
        ("neuralspace-voice-extract", "POST"): {"fileId": str(asset.uuid)},
    }
    musicgpt = make_dialect_job(
        workspace, asset, dialect="musicgpt", dialect_data={"conversion_type": "EXTRACTION"}
    )
    by_url = {"audio_url": "https://media.example.org/a.wav"}
    # The others need tools that are not on every machine; with no recording, they are refused.
    bodies |= {
        ("musicgpt-extraction", "POST"): {**by_url, "stems": "vocals"},
        ("musicgpt-denoise", "POST"): by_url,
        ("musicgpt-file-convert", "POST"): {**by_url, "target_format": "wav"},
        ("musicgpt-audio-cutter", "POST"): {**by_url, "start_time": 0, "end_time": 50},
    }
    ids_of_route["musicgpt-not-offered"] = {"conversion": "MusicAI"}
    bodies |= _sunoapi_bodies(str(ids["asset_uuid"]))
    sunoapi = _sunoapi_tasks(workspace, asset)
    queries = {
        "sunoapi-vocal-removal-record": f"?taskId={sunoapi['separation']}",
        "sunoapi-wav-record": f"?taskId={sunoapi['conversion']}",
        "sunoapi-midi-record": f"?taskId={sunoapi['transcription']}",
        "musicgpt-by-id": f"?conversionType=EXTRACTION&task_id={musicgpt.uuid}",
        "neuralspace-file": f"?fileId={ids['asset_uuid']}",
        "neuralspace-file-download": f"?fileId={asset.uuid}",
        "neuralspace-voice-task": f"?taskId={neuralspace.uuid}",
    }
    return World(workspace, people, keys, ids, ids_of_route, bodies, queries)


def make_dialect_job(workspace: Workspace, asset: Asset, **values: Any) -> Job:
    """A job that waits, ordered through an outside API; `values` are those of an Order."""
    order = Order(asset_uuid=asset.uuid, **{"stems": ["vocals"], **values})
    return job_create(workspace=workspace, api_key=None, order=order)


def _sunoapi_tasks(workspace: Workspace, asset: Asset) -> dict[str, str]:
    """The names of tasks by service, whatever tools there are here."""
    names = {}
    for service in ("separation", "conversion", "transcription"):
        job = make_dialect_job(workspace, asset, dialect="sunoapi")
        Job.objects.filter(pk=job.pk).update(service=service)
        names[service] = job.uuid.hex
    return names


def _sunoapi_bodies(asset_uuid: str) -> dict[tuple[str, str], Any]:
    # Notes need a tool that is not on every machine; with no recording, they are refused.
    order = {"taskId": asset_uuid, "audioId": asset_uuid, "callBackUrl": "https://a.example.org"}
    return {
        ("sunoapi-vocal-removal-generate", "POST"): order,
        ("sunoapi-wav-generate", "POST"): order,
        ("sunoapi-stream-upload", "POST"): Form(file=ContentFile(make_wav(seconds=0.1), "a.wav")),
        ("sunoapi-url-upload", "POST"): {"fileUrl": "https://media.example.org/a.wav"},
        ("sunoapi-base64-upload", "POST"): {
            "base64Data": base64.b64encode(make_wav(seconds=0.1)).decode()
        },
    }


def _invitation(workspace: Workspace, owner: User, email: str) -> tuple[Invitation, str]:
    """An open invitation and its token, which only the mail tells."""
    with TestCase.captureOnCommitCallbacks(execute=True):
        invitation = invitation_create(
            workspace=workspace,
            email=email,
            role=Role.VIEWER,
            invited_by=owner,
            actor=Actor.of_user(owner),
        )
    found = re.search(r"/invitations/([\w-]+)/", str(mail.outbox[-1].body))
    assert found
    return invitation, found[1]


def _webhook(workspace: Workspace) -> tuple[WebhookEndpoint, WebhookMessage]:
    """An endpoint, and a message to it that nobody wanted."""
    url = "https://hooks.example.org"
    endpoint, _ = endpoint_create(workspace=workspace, actor=OPERATOR, url=url)
    message = endpoint_test(workspace=workspace, endpoint_uuid=endpoint.uuid)
    WebhookMessage.objects.filter(pk=message.pk).update(state="failed", finished_at=Now())
    return endpoint, message


def _import(workspace: Workspace) -> Ingest:
    return import_create(workspace=workspace, api_key=None, url="https://media.example.org/a.wav")


def _key(workspace: Workspace, **values: Any) -> str:
    text = make_key(workspace)
    if values:
        newest = ApiKey.objects.filter(workspace=workspace).latest("pk")
        ApiKey.objects.filter(pk=newest.pk).update(**values)
    return text
