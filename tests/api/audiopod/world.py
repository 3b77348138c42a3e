"""What each kind of caller asks AudioPod's addresses for (tests/api/test_matrix.py)."""

import re
from typing import Any

from allauth.account.forms import default_token_generator
from allauth.account.utils import user_pk_to_url_str
from django.core import mail
from django.db.models.functions import Now
from django.http import HttpRequest
from django.test import RequestFactory, TestCase

from accounts.audit import OPERATOR
from accounts.models import User, Workspace
from accounts.registration import registration_begin
from accounts.tokens import sign_in_create
from billing.ledger import hold_release
from jobs.models import Asset, Job, JobState, Service, WebhookMessage
from jobs.services import Order, job_create
from jobs.webhooks import endpoint_create, endpoint_test
from tests.makers import PASSWORD, make_user

NEW = "another long 1 password"
_HOOK = "https://hooks.example.org"


def audiopod_world(
    workspace: Workspace, asset: Asset, owner: User
) -> tuple[dict[str, dict[str, object]], dict[tuple[str, str], Any]]:
    """Ids by route, and bodies by route and method."""
    numbers = {
        "speaker": _ended(workspace, asset, service=Service.SPEAKER_EXTRACTION),
        "stem": _ended(workspace, asset, stems=["vocals"]),
        "denoise": _ended(workspace, asset, service=Service.ENHANCEMENT, steps=["denoise"]),
    }
    routes = {
        "speaker": ("speaker-detail", "speaker-retry", "job-detail"),
        "stem": ("stem-status", "stem-detail"),
        "denoise": ("denoise-detail",),
    }
    ids: dict[str, dict[str, object]] = {
        f"audiopod-{route}": {"job_id": numbers[family]}
        for family, names in routes.items()
        for route in names
    }
    endpoint, _ = endpoint_create(workspace=workspace, actor=OPERATOR, url=_HOOK, style="audiopod")
    message = endpoint_test(workspace=workspace, endpoint_uuid=endpoint.uuid, style="audiopod")
    WebhookMessage.objects.filter(pk=message.pk).update(state="failed", finished_at=Now())
    for route in ("webhook-detail", "webhook-test", "webhook-deliveries"):
        ids[f"audiopod-{route}"] = {"webhook_uuid": endpoint.uuid}
    for route in ("delivery-detail", "delivery-redeliver"):
        ids[f"audiopod-{route}"] = {"delivery_uuid": message.uuid}
    bodies = {
        (f"audiopod-{route}", method): body for route, method, body in _bodies(workspace, owner)
    }
    return ids, bodies


def _ended(workspace: Workspace, asset: Asset, **values: Any) -> int:
    order = Order(asset_uuid=asset.uuid, dialect="audiopod", **values)
    job = job_create(workspace=workspace, api_key=None, order=order)
    Job.objects.filter(pk=job.pk).update(state=JobState.FAILED, finished_at=Now())
    hold_release(job_uuid=job.uuid)
    return job.pk


def _bodies(workspace: Workspace, owner: User) -> list[tuple[str, str, Any]]:
    by_url = {"url": "https://media.example.org/a.wav"}
    orders = ("extract", "diarize", "stem-extract", "stem-legacy", "stem-advanced", "denoise")
    use = {"service_type": "denoise_audio", "duration_seconds": 1}
    new = {"email": "nora@example.org", "password": NEW, "full_name": "Nora"}
    key = {"name": "new", "scopes": ["jobs:read"]}
    sign_in = sign_in_create(user=owner, workspace=workspace, user_agent="test", ip=None)
    # Not the owner, whose link would end as soon as they sign in.
    forgetful = make_user()
    token = f"{user_pk_to_url_str(forgetful)}-{default_token_generator.make_token(forgetful)}"
    return [
        *((name, "POST", by_url) for name in orders),
        ("registration-begin", "POST", new),
        ("registration-finish", "POST", _registration("nils@example.org")),
        ("token", "POST", {"username": owner.email, "password": PASSWORD}),
        ("refresh", "POST", {"refresh_token": sign_in.refresh_token}),
        ("password-forgot", "POST", {"email": owner.email}),
        ("password-reset", "POST", {"token": token, "new_password": NEW}),
        ("password-change", "POST", {"current_password": PASSWORD, "new_password": NEW}),
        ("me", "PATCH", {"full_name": "Renamed"}),
        ("key-list", "POST", key),
        ("old-key-list", "POST", key),
        ("wallet-estimate", "POST", use),
        ("wallet-check", "POST", use),
        ("wallet-checkout", "POST", {"amount_cents": 500}),
        ("wallet-intent", "POST", {"amount_cents": 500}),
        ("payg-checkout", "POST", {"amount_usd": 5}),
        ("webhook-list", "POST", {"url": _HOOK}),
        ("webhook-detail", "PATCH", {"description": "renamed"}),
    ]


def _registration(email: str) -> dict[str, str]:
    """One that was begun, and its code, which only the mail tells."""
    request: HttpRequest = RequestFactory().post("/")
    with TestCase.captureOnCommitCallbacks(execute=True):
        registration_begin(request=request, email=email, password=NEW, full_name="Nils")
    found = re.search(r"\b\d{6}\b", str(mail.outbox[-1].body))
    assert found
    return {"email": email, "verification_code": found[0]}
