"""Rows and recordings for tests."""

import io
import time
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import numpy.typing as npt
import soundfile
from allauth.account.models import EmailAddress
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.core.management import call_command
from django.db.models.functions import Now

from accounts.api_keys import api_key_create
from accounts.audit import OPERATOR
from accounts.models import Membership, User, Workspace
from accounts.tokens import sign_in_create
from accounts.workspaces import workspace_create
from billing.ledger import credits_grant, hold_release
from billing.models import Pack, Plan, Price
from jobs.derived_work import run_next_derived
from jobs.models import Asset, Job, JobState, JobTimeline
from jobs.runner import run_next_job
from jobs.selectors import job_get_for_workspace
from jobs.services import Order, asset_create, job_create
from jobs.speaker_options import SpeakerOptions
from separation.speakers import Timeline, Turn
from separation.speakers.statistics import statistics as speaker_statistics

PASSWORD = "correct horse battery"

# As in the migrations. Service, unit, milli-credits, for how many units.
SHIPPED_PRICES = [
    ("separation", "per_second", 2_500, 1),
    ("speaker_extraction", "per_second", 27_500, 1),
    ("two_stem_separation", "per_call", 10_000, 1),
    ("full_split", "per_call", 50_000, 1),
    ("vocal_range_extraction", "per_call", 1_000, 1),
    ("stem_extraction", "per_second_and_stem", 1_352, 100),
    ("speaker_diarization", "per_second", 27_500, 1),
    ("enhancement", "per_second", 1_000, 1),
    ("analysis", "per_second", 100, 1),
    ("transcription", "per_second", 500, 1),
    ("conversion", "per_second", 50, 1),
    ("separation_by_mode", "per_second", 16_500, 1),
    ("speech_denoising", "per_second", 5_500, 1),
    ("two_stem_set", "per_call", 15_000, 1),
    ("all_stem_set", "per_call", 50_000, 1),
    ("tempo_of_clip", "per_call", 1_000, 1),
    ("notes_of_clip", "per_call", 1_000, 1),
    ("wav_of_clip", "per_call", 1_000, 1),
]

# Code, credits, cents.
SHIPPED_PACKS = [("starter", 10_000, 500), ("studio", 50_000, 2_000), ("label", 250_000, 8_000)]
# Also: parallel jobs, days that results and uploads are kept.
SHIPPED_PLANS = [
    ("hobby", 20_000, 900, 4, None, None),
    ("pro", 150_000, 4_900, 16, 30, 7),
]


def make_prices() -> None:
    """The shipped prices: a test that commits empties all tables afterwards, theirs too."""
    for service, unit, amount_mcr, quantity in SHIPPED_PRICES:
        Price.objects.get_or_create(
            service=service,
            workspace=None,
            defaults={"unit": unit, "amount_mcr": amount_mcr, "quantity": quantity},
        )


def make_shop() -> None:
    """The shipped packs and plans."""
    for code, credits, cents in SHIPPED_PACKS:
        Pack.objects.get_or_create(
            code=code,
            defaults={"name": code.title(), "credits_mcr": credits * 1000, "price_cents": cents},
        )
    for code, credits, cents, parallel_jobs, results_days, uploads_days in SHIPPED_PLANS:
        Plan.objects.get_or_create(
            code=code,
            defaults={
                "name": code.title(),
                "monthly_mcr": credits * 1000,
                "price_cents": cents,
                "parallel_jobs": parallel_jobs,
                "results_days": results_days,
                "uploads_days": uploads_days,
            },
        )


def make_workspace(name: str = "Alice's", *, credits: int = 100) -> Workspace:
    workspace = workspace_create(name=name, actor=OPERATOR)
    if credits:
        make_grant(workspace, credits * 1000)
    return workspace


def make_grant(workspace: Workspace, amount_mcr: int) -> None:
    credits_grant(
        workspace=workspace,
        amount_mcr=amount_mcr,
        source="test",
        idempotency_key=f"test:{uuid4()}",
    )


def make_key(workspace: Workspace, **values: Any) -> str:
    return api_key_create(workspace=workspace, name="test", actor=OPERATOR, **values)[1]


def make_user(email: str | None = None, *, verified: bool = True) -> User:
    """A person with PASSWORD, in no workspace."""
    user = User.objects.create_user(email or f"{uuid4()}@example.org", PASSWORD)
    EmailAddress.objects.create(user=user, email=user.email, verified=verified, primary=True)
    return user


def make_member(workspace: Workspace, role: str, *, email: str | None = None) -> User:
    """A person in a workspace; the same address is the same person in another."""
    user = User.objects.filter(email=email).first() or make_user(email)
    Membership.objects.create(workspace=workspace, user=user, role=role)
    return user


def make_token(user: User, workspace: Workspace) -> str:
    """An access token of a new sign-in."""
    return sign_in_create(user=user, workspace=workspace, user_agent="test", ip=None).access_token


def make_code(secret: str, *, steps: int = 0) -> str:
    """The second factor of now: in its middle step, so that the next one may begin on its way."""
    return str(format_hotp_value(hotp_value(secret, int(time.time()) // 30 + steps)))


def make_tone(
    *, seconds: float = 1.0, sample_rate: int = 44_100, channels: int = 2
) -> npt.NDArray[np.float32]:
    """Sines with fades, (samples, channels), each channel at its own pitch."""
    time_s = np.arange(round(seconds * sample_rate)) / sample_rate
    pitches_hz = 220.0 * (1 + np.arange(channels))
    tone = 0.3 * np.sin(2 * np.pi * time_s[:, None] * pitches_hz)
    fade = np.minimum(1, np.minimum(time_s, time_s[::-1]) / 0.01)
    return (tone * fade[:, None]).astype(np.float32)


@lru_cache(maxsize=32)
def make_wav(**kwargs: float | int) -> bytes:
    sample_rate = int(kwargs.get("sample_rate", 44_100))
    buffer = io.BytesIO()
    soundfile.write(buffer, make_tone(**kwargs), sample_rate, format="WAV", subtype="PCM_16")  # type: ignore[arg-type]
    return buffer.getvalue()


def make_asset(
    workspace: Workspace, folder: Path, *, name: str = "song.wav", seconds: float = 1.0
) -> Asset:
    path = folder / f"{uuid4()}.wav"
    path.write_bytes(make_wav(seconds=seconds))
    return asset_create(workspace=workspace, filename=name, path=path)


def make_job(workspace: Workspace, asset: Asset, *, stems: tuple[str, ...] = ("vocals",)) -> Job:
    order = Order(
        asset_uuid=asset.uuid,
        service="separation",
        stems=stems,
        model="htdemucs",
        output_format="wav",
    )
    return job_create(workspace=workspace, api_key=None, order=order)


def make_done_job(
    workspace: Workspace,
    folder: Path,
    *,
    seconds: float = 1.0,
    stems: tuple[str, ...] = ("vocals",),
) -> Job:
    """A job that a worker has done; no other may wait."""
    asset = make_asset(workspace, folder, seconds=seconds)
    job = make_job(workspace, asset, stems=stems)
    assert run_jobs() == 1
    return job_get_for_workspace(workspace=workspace, job_uuid=job.uuid)


def make_speaker_job(workspace: Workspace, asset: Asset, **options: Any) -> Job:
    """`options` are those of SpeakerOptions."""
    order = Order(
        asset_uuid=asset.uuid,
        service="speaker_extraction",
        stems=None,
        model=None,
        output_format="wav",
        speakers=SpeakerOptions(**options),
    )
    return job_create(workspace=workspace, api_key=None, order=order)


def make_spoken_job(workspace: Workspace, asset: Asset) -> Job:
    """A job that succeeded and found two speakers; it has no files."""
    job = make_speaker_job(workspace, asset)
    Job.objects.filter(pk=job.pk).update(state=JobState.SUCCEEDED, finished_at=Now())
    hold_release(job_uuid=job.uuid)
    turns = (Turn(0.0, 0.04, "SPEAKER_0", 0.9), Turn(0.05, 0.1, "SPEAKER_1", 0.8))
    timeline = Timeline(turns, asset.duration_s)
    statistics = [asdict(row) for row in speaker_statistics(timeline)]
    JobTimeline.objects.create(job=job, turns=timeline.to_json(), statistics=statistics)
    job.refresh_from_db()
    return job


def run_jobs() -> int:
    """Run jobs as a worker does, until none waits; returns how many attempts that took."""
    attempts = 0
    while run_next_job():
        attempts += 1
    return attempts


def run_derived() -> int:
    """Make listening copies and mixes until none waits; returns how many attempts that took."""
    attempts = 0
    while run_next_derived():
        attempts += 1
    return attempts


def run_command(command: str, *arguments: str) -> list[str]:
    """The lines that a management command prints."""
    output = io.StringIO()
    call_command(command, *arguments, stdout=output)
    return output.getvalue().splitlines()
