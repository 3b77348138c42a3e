"""Makes the pictures of the documentation, and those that other sites show: `make screenshots`.

No test, though it runs as one: it wants the server, the engine and the browser that tests have. The
song is the project's own, and taken apart by the real engine.
"""

from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.conf import settings as configured
from django.db.models import F
from django.db.models.functions import Now
from playwright.sync_api import Page, expect

from accounts.api_keys import api_key_create
from accounts.audit import OPERATOR
from accounts.models import User, Workspace
from accounts.operators import operator_set
from jobs.leases import job_fail
from jobs.models import Job, JobState
from jobs.scheduling import job_claim
from jobs.services import Order, asset_create, job_create
from tests.makers import (
    make_asset,
    make_grant,
    make_job,
    make_speaker_job,
    make_user,
    run_derived,
    run_jobs,
)
from tests.web.console.conftest import enter

pytestmark = pytest.mark.django_db(transaction=True)

_ROOT = Path(configured.BASE_DIR)
_FOLDER = _ROOT / "docs" / "screenshots"
_CLIP = _ROOT / "demo" / "clip.flac"
_STATIC = _ROOT / "static"
_SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
_STEMS = ("vocals", "drums", "bass", "other")


def test_pictures(
    person: User,
    signed_in: Page,
    tmp_path: Path,
    live_server: Any,
    fake_separation: list[Any],
    fake_diarization: list[Any],
    monkeypatch: pytest.MonkeyPatch,
):
    workspace = Workspace.objects.get()
    _weeks_of_work(workspace, tmp_path)
    # From here on with the real engine.
    monkeypatch.undo()
    song = _song(workspace)
    _work_at_hand(workspace, tmp_path)
    _FOLDER.mkdir(exist_ok=True)
    for name, path in {
        "landing": "/",
        "new-job": "/app/new",
        "jobs": "/app/jobs",
        "job": f"/app/jobs/{song.uuid}",
        "keys": "/app/keys",
        "usage": "/app/usage",
        "credits": "/app/credits",
    }.items():
        _take(signed_in, name, path)
    _become(signed_in, _operator(), live_server)
    _take(signed_in, "console", f"/console/workspaces/{workspace.uuid}")


def _weeks_of_work(workspace: Workspace, folder: Path) -> None:
    make_grant(workspace, 20_000_000)
    for name, scopes in (("Website", ["*"]), ("Archive", ["jobs:read", "assets:read"])):
        api_key_create(workspace=workspace, name=name, scopes=scopes, actor=OPERATOR)
    songs = [
        make_asset(workspace, folder, name=f"Take {number}.wav", seconds=2 * number)
        for number in range(1, 5)
    ]
    for day in range(14, 0, -1):
        for song in songs[: 1 + day * 7 % 3]:
            make_job(workspace, song, stems=_STEMS)
        if day % 3 == 0:
            make_speaker_job(workspace, songs[2])
        before = list(Job.objects.filter(state=JobState.QUEUED).values_list("pk", flat=True))
        run_jobs()
        moments = {
            name: F(name) - timedelta(days=day)
            for name in ("created_at", "queued_at", "started_at", "finished_at")
        }
        Job.objects.filter(pk__in=before).update(**moments)


def _song(workspace: Workspace) -> Job:
    asset = asset_create(workspace=workspace, filename="Low Tide.flac", path=_CLIP)
    order = Order(asset_uuid=asset.uuid, stems=_STEMS, output_format="flac")
    job = job_create(workspace=workspace, api_key=None, order=order)
    run_jobs()
    run_derived()
    return job


def _work_at_hand(workspace: Workspace, folder: Path) -> None:
    make_job(workspace, make_asset(workspace, folder, name="Broken tape.wav"))
    broken = job_claim()
    assert broken is not None
    job_fail(broken, code="broken_media", message="The recording cannot be read.")
    running = make_job(
        workspace, make_asset(workspace, folder, name="Live take.wav", seconds=200), stems=_STEMS
    )
    job_claim()
    Job.objects.filter(pk=running.pk).update(
        progress=0.43, step="separate", claimed_at=Now() - timedelta(seconds=60)
    )
    make_speaker_job(workspace, make_asset(workspace, folder, name="Interview.wav", seconds=60))


def _take(page: Page, name: str, path: str) -> None:
    for scheme in _SCHEMES:
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.goto(path)
        page.wait_for_load_state("networkidle")
        player = page.locator("stem-player")
        if player.count():
            expect(player.locator("canvas").first).to_be_visible()
        page.screenshot(path=_FOLDER / f"{name}-{scheme}.png")


def _operator() -> User:
    user = make_user("olga@example.org")
    TOTP.activate(user, generate_totp_secret())
    return operator_set(email=user.email, is_operator=True)


def _become(page: Page, user: User, live_server: Any) -> None:
    name = configured.SESSION_COOKIE_NAME
    value = enter(user).cookies[name].value
    page.context.add_cookies([{"name": name, "value": value, "url": live_server.url}])


def test_what_other_sites_show_of_a_link(page: Page):
    text = (Path(__file__).parent / "pictures" / "share.html").read_text()
    page.route("**/picture", lambda route: route.fulfill(body=text, content_type="text/html"))
    page.set_viewport_size({"width": 1200, "height": 630})
    page.goto("/picture")
    page.wait_for_selector("[data-drawn]")
    page.evaluate("document.fonts.ready")
    page.screenshot(path=_STATIC / "share.png")


@pytest.mark.parametrize("size", [180, 192, 512])
def test_icons_for_home_screens(page: Page, size: int):
    """Without round corners: whoever shows them cuts them as all others."""
    icon = (_STATIC / "icon.svg").read_text().replace(' rx="7"', "")
    sized = icon.replace("<svg ", f'<svg width="{size}" height="{size}" style="display:block" ')
    page.set_viewport_size({"width": size, "height": size})
    page.set_content(f'<body style="margin:0">{sized}</body>')
    page.screenshot(path=_STATIC / f"icon-{size}.png")
