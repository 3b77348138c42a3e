"""A workspace with something in each of its pages, so that none of them is seen empty."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock
from uuid import uuid4

from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.db.models.functions import Now

from accounts.api_keys import api_key_create, api_key_revoke
from accounts.audit import OPERATOR, Actor
from accounts.invitations import invitation_create
from accounts.models import Flag, Invitation, Role, User, Workspace, WorkspaceNote
from accounts.operators import operator_set
from billing.adjustments import Adjustment, adjustment_make
from billing.models import AdjustmentKind, Reconciliation
from jobs.delivering import messages_deliver
from jobs.leases import job_fail
from jobs.models import Job, WebhookEndpoint, WebhookMessage
from jobs.scheduling import job_claim
from jobs.services import job_cancel
from jobs.shares import share_create
from tests.fakes.receiver import DOWN, OK, receiver
from tests.fakes.stripe import FakeStripe, Sender
from tests.fakes.stripe.steps import buy_pack, settle
from tests.jobs.webhook_steps import make_endpoint, write
from tests.makers import (
    make_asset,
    make_job,
    make_member,
    make_spoken_job,
    make_user,
    run_derived,
    run_jobs,
)
from tests.web.test_usage import make_used

# Longer than any column, without a place to break it.
LONG_NAME = f"{'a_name_without_any_space_' * 4}.wav"
INVITATION = "T" * 43


@dataclass
class World:
    workspace: Workspace
    jobs: dict[str, Job] = field(default_factory=dict)
    shares: dict[str, str] = field(default_factory=dict)
    ids: dict[str, Any] = field(default_factory=dict)


def make_world(person: User, folder: Path, settings: Any) -> World:
    """Of `person`, who owns it; the engine is to be a fake."""
    world = World(person.memberships.get().workspace)
    _make_jobs(world, folder)
    _make_shares(world)
    _make_keys(world)
    _make_team(world, person)
    _make_webhooks(world, settings)
    world.ids["job_uuid"] = world.jobs["done"].uuid
    return world


def _make_jobs(world: World, folder: Path) -> None:
    workspace, jobs = world.workspace, world.jobs
    today = datetime.now(UTC).date()
    days = [str(today - timedelta(days=back)) for back in (0, 1, 4)]
    services = ("separation", "analysis", "speaker_extraction")
    make_used(workspace, folder, *zip(days, services, (50_000, 2_000, 80_000), strict=True))
    song = make_asset(workspace, folder, name="song.wav", seconds=12)
    jobs["done"] = make_job(workspace, song, stems=("vocals", "drums", "bass", "other"))
    run_jobs()
    run_derived()
    jobs["spoken"] = make_spoken_job(workspace, make_asset(workspace, folder, name="talk.wav"))
    jobs["cancelled"] = make_job(workspace, make_asset(workspace, folder, name="Take 2.wav"))
    job_cancel(workspace=workspace, job_uuid=jobs["cancelled"].uuid)
    jobs["failed"] = make_job(workspace, make_asset(workspace, folder, name=LONG_NAME))
    job_fail(_claimed(), code="broken_media", message="The recording cannot be read.")
    jobs["running"] = make_job(workspace, make_asset(workspace, folder, name="Live.wav"))
    running = _claimed()
    Job.objects.filter(pk=running.pk).update(progress=0.43, step="separate")
    jobs["queued"] = make_job(workspace, make_asset(workspace, folder, name="Demo.wav"))


def _claimed() -> Job:
    job = job_claim()
    assert job is not None
    return job


def _make_shares(world: World) -> None:
    job = world.jobs["done"]
    kinds: dict[str, dict[str, Any]] = {
        "open": {"may_download": True},
        "locked": {"password": "spring", "days": 7},
    }
    for name, values in kinds.items():
        _, world.shares[name] = share_create(
            workspace=world.workspace, job_uuid=job.uuid, actor=OPERATOR, **values
        )


def _make_keys(world: World) -> None:
    kinds: dict[str, dict[str, Any]] = {
        "Website": {"monthly_cap_mcr": 500_000},
        "Archive": {"scopes": ["jobs:read", "assets:read"]},
    }
    for name, values in kinds.items():
        key, _ = api_key_create(workspace=world.workspace, name=name, actor=OPERATOR, **values)
        world.ids["key_uuid"] = key.uuid
    old, _ = api_key_create(workspace=world.workspace, name="Old", actor=OPERATOR)
    api_key_revoke(workspace=world.workspace, key_uuid=old.uuid, actor=OPERATOR)


def _make_team(world: World, person: User) -> None:
    member = make_member(world.workspace, Role.DEVELOPER, email="bob@example.org")
    world.ids["user_uuid"] = member.uuid
    with mock.patch("accounts.invitations.secrets.token_urlsafe", return_value=INVITATION):
        invitation_create(
            workspace=world.workspace,
            email="carol@example.org",
            role=Role.BILLING,
            invited_by=person,
            actor=Actor.of_user(person),
        )
    world.ids["invitation_uuid"] = Invitation.objects.get().uuid


def _make_webhooks(world: World, settings: Any) -> None:
    workspace = world.workspace
    with receiver(settings, DOWN) as server:
        endpoint, _ = make_endpoint(workspace, f"{server.url}/in")
        write(workspace, endpoint.url, endpoint=endpoint)
        messages_deliver()
        server.answer = OK
        write(workspace, endpoint.url, endpoint=endpoint)
        messages_deliver()
        write(workspace, endpoint.url, endpoint=endpoint)
    off, _ = make_endpoint(workspace, "https://example.org/hook")
    WebhookEndpoint.objects.filter(pk=off.pk).update(
        is_enabled=False, disabled_reason="It answered 410 Gone.", disabled_at=Now()
    )
    message = WebhookMessage.objects.filter(log__isnull=False).earliest("pk")
    WebhookMessage.objects.filter(pk=message.pk).update(state="failed", finished_at=Now())
    world.ids |= {"webhook_uuid": endpoint.uuid, "message_uuid": message.uuid}


def make_payments(world: World, stripe: FakeStripe, sender: Sender) -> None:
    for code in ("starter", "studio"):
        intent, _ = buy_pack(stripe, world.workspace, code)
        settle(stripe, sender)
    stripe.refund(intent, 500)
    settle(stripe, sender)


def make_operator(email: str = "olga@example.org") -> User:
    user = make_user(email)
    TOTP.activate(user, generate_totp_secret())
    return operator_set(email=user.email, is_operator=True)


def make_operators_work(world: World, operator: User, settings: Any) -> None:
    """What there is to be seen in the console besides."""
    actor = Actor.of_operator(operator)
    Flag.objects.create(name="new-player", note="The new player", percent=20)
    WorkspaceNote.objects.create(workspace=world.workspace, author=operator, text="Pays late.")
    Reconciliation.objects.create(finished_at=Now(), discrepancies=[["no entries", 7]])
    Reconciliation.objects.create(finished_at=Now())
    kept, settings.CONSOLE_GRANT_LIMIT = settings.CONSOLE_GRANT_LIMIT, 20
    for amount_mcr in (5_000, 25_000):
        kind, reason = AdjustmentKind.GRANT, "The outage on Monday [T-42]"
        adjustment = Adjustment(world.workspace, kind, amount_mcr, reason)
        adjustment_make(adjustment=adjustment, operator=operator, actor=actor, token=uuid4())
    settings.CONSOLE_GRANT_LIMIT = kept
    world.ids |= {"workspace_uuid": world.workspace.uuid, "name": "new-player"}
