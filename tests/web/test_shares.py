"""Links to jobs: made on a page, opened by anybody who has one and, if need be, its password."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.db.models.functions import Now
from django.test import Client

from accounts.models import Role, User
from jobs import shares
from jobs.models import Asset, Job, Share
from jobs.services import asset_delete, job_delete
from tests.makers import (
    make_asset,
    make_done_job,
    make_grant,
    make_member,
    make_spoken_job,
    run_derived,
)
from tests.web.html import Page

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_beats", "fake_separation")]


@pytest.fixture
def job(person: User, tmp_path: Path) -> Job:
    workspace = person.memberships.get().workspace
    make_grant(workspace, 500_000)
    job = make_done_job(workspace, tmp_path, stems=("vocals", "drums"))
    Asset.objects.update(filename="Unheard.wav")
    return job


def form(client: Client, job: Job, **values: Any) -> dict[str, Any]:
    """As the page sends it."""
    text = client.get(f"/app/jobs/{job.uuid}/shares").content.decode()
    once = re.findall(r'name="share-once" value="([^"]+)"', text)
    named = {f"share-{name}": value for name, value in values.items()}
    return {"action": "create", "share-once": once[0], "share-days": "7", **named}


def make_link(client: Client, job: Job, **values: Any) -> str:
    response = client.post(f"/app/jobs/{job.uuid}/shares", form(client, job, **values))
    assert response.status_code == 200
    page = response.content.decode()
    assert Page(page).problems() == []
    found = re.findall(r"http://[^<]+(/s/[\w-]+)<", page)
    return str(found[0])


def content(response: Any) -> bytes:
    return b"".join(response.streaming_content)


def test_somebody_without_an_account_listens(signed_in: Client, client: Client, job: Job):
    run_derived()
    link = make_link(signed_in, job)
    response = client.get(link)
    assert response.status_code == 200
    assert response["X-Robots-Tag"] == "noindex, nofollow"
    text = response.content.decode()
    assert Page(text).problems() == []
    assert f'src="{link}/player"' in text
    assert "Download" not in text.split("<footer")[0].split("<stem-player")[0]
    manifest = client.get(f"{link}/player").json()
    assert [lane["name"] for lane in manifest["lanes"]] == ["vocals", "drums"]
    audio = manifest["lanes"][0]["audio"]
    assert audio["url"].startswith(f"{link}/player/")
    part = client.get(audio["url"], headers={"Range": f"bytes=0-{audio['offsets'][1] - 1}"})
    assert part.status_code == 206
    assert content(part).startswith(b"fLaC")
    assert "immutable" in part["Cache-Control"]
    share = Share.objects.get()
    assert share.uses == 1
    # Nothing else is open.
    stem = Asset.objects.filter(job=job).first()
    assert stem is not None
    for path in (f"{link}/zip", f"{link}/files/{stem.uuid}"):
        assert client.get(path).status_code == 403
    assert client.get(f"/app/jobs/{job.uuid}/player").status_code == 302


def test_files_come_only_where_the_link_says_so(signed_in: Client, client: Client, job: Job):
    link = make_link(signed_in, job, may_download="on", days="")
    text = client.get(link).content.decode()
    assert Page(text).problems() == []
    stem = Asset.objects.filter(job=job).order_by("pk").first()
    assert stem is not None
    assert f"{link}/files/{stem.uuid}" in text
    response = client.get(f"{link}/files/{stem.uuid}", follow=True)
    assert len(content(response)) == stem.size_bytes
    assert response["Content-Disposition"].startswith("attachment")
    archive = client.get(f"{link}/zip", follow=True)
    assert content(archive).startswith(b"PK")
    assert client.get(f"{link}/files/{job.recording.uuid}").status_code == 404
    assert client.get(f"{link}/files/{uuid4()}").status_code == 404


def test_a_password_opens_one_link_in_one_browser(
    signed_in: Client, client: Client, job: Job, monkeypatch: Any
):
    link = make_link(signed_in, job, password="spring in the air", may_download="on")
    other = make_link(signed_in, job, password="spring in the air")
    page = client.get(link)
    assert page.status_code == 200
    text = page.content.decode()
    assert Page(text).problems() == []
    assert "Unheard" not in text
    assert client.get(f"{link}/player").status_code == 403
    assert client.get(f"{link}/zip").status_code == 403
    wrong = client.post(link, {"password": "autumn"})
    assert "This is not the password." in wrong.content.decode()
    right = client.post(link, {"password": "spring in the air"})
    assert (right.status_code, right["Location"]) == (302, link)
    cookie = client.cookies["share"]
    assert (cookie["path"], cookie["httponly"], cookie["samesite"]) == (link, True, "Lax")
    assert "<stem-player" in client.get(link).content.decode()
    assert client.get(f"{link}/player").status_code == 200
    # The test client sends a cookie to every path; a browser would not, and this is of no use.
    assert client.get(f"{other}/player").status_code == 403
    assert Client().get(f"{link}/player").status_code == 403
    monkeypatch.setattr(shares, "_TRIES", 1)
    stranger = Client()
    assert stranger.post(link, {"password": "spring in the air"}).status_code == 429


def test_each_end_has_its_page(signed_in: Client, client: Client, job: Job):
    expired, revoked, gone = (make_link(signed_in, job) for _ in range(3))
    first, second, _ = Share.objects.order_by("pk")
    Share.objects.filter(pk=first.pk).update(expires_at=Now() - timedelta(seconds=1))
    body = {"action": "revoke", "share": str(second.uuid)}
    assert signed_in.post(f"/app/jobs/{job.uuid}/shares", body).status_code == 302
    job_delete(workspace=job.workspace, job_uuid=job.uuid)
    for link, status, words in (
        (expired, 410, "deleted"),
        (revoked, 410, "withdrawn"),
        (gone, 410, "deleted"),
        ("/s/unknown", 404, "There is no such link"),
    ):
        response = client.get(link)
        assert response.status_code == status
        text = response.content.decode()
        assert words in text
        assert "Unheard" not in text
        assert Page(text).problems() == []
        assert response["X-Robots-Tag"] == "noindex, nofollow"
        assert client.get(f"{link}/player").status_code == 404


def test_an_expired_link_says_so(signed_in: Client, client: Client, job: Job):
    link = make_link(signed_in, job)
    Share.objects.update(expires_at=Now() - timedelta(seconds=1))
    response = client.get(link)
    assert response.status_code == 410
    assert "This link has expired" in response.content.decode()


def test_files_that_expired_are_told_of(signed_in: Client, client: Client, job: Job):
    link = make_link(signed_in, job)
    Asset.objects.filter(job=job).update(state="deleted")
    response = client.get(link)
    assert response.status_code == 410
    assert "no longer kept" in response.content.decode()


def test_the_list_of_links(signed_in: Client, job: Job):
    path = f"/app/jobs/{job.uuid}/shares"
    empty = signed_in.get(path).content.decode()
    assert Page(empty).problems() == []
    assert "Nobody but your workspace" in empty
    make_link(signed_in, job, password="x")
    text = signed_in.get(path).content.decode()
    assert Page(text).problems() == []
    share = Share.objects.get()
    assert f"/s/…{share.token_end}" in text
    assert "alice@example.org" in text
    refused = signed_in.post(path, form(signed_in, job, days="9999"))
    assert refused.status_code == 400
    assert "errorlist" in refused.content.decode()
    # Sent again by a reload: no second link.
    body = form(signed_in, job)
    assert signed_in.post(path, body).status_code == 200
    assert signed_in.post(path, body).status_code == 409
    assert Share.objects.count() == 2
    assert signed_in.post(path, {"action": "revoke", "share": "x"}).status_code == 400
    assert signed_in.post(path, {"action": "revoke", "share": str(uuid4())}).status_code == 404


def test_who_may(job: Job, signed_in: Client, charlie: Any):
    path = f"/app/jobs/{job.uuid}/shares"
    make_link(signed_in, job)
    share = Share.objects.get()
    viewer, biller, stranger = Client(), Client(), Client()
    viewer.force_login(make_member(job.workspace, Role.VIEWER))
    biller.force_login(make_member(job.workspace, Role.BILLING))
    stranger.force_login(make_member(charlie, Role.OWNER))
    text = viewer.get(path).content.decode()
    assert share.token_end in text
    assert "Make a link" not in text
    assert "Withdraw" not in text
    revoke = {"action": "revoke", "share": str(share.uuid)}
    assert viewer.post(path, revoke).status_code == 403
    assert biller.get(path).status_code == biller.post(path, revoke).status_code == 403
    assert stranger.get(path).status_code == stranger.post(path, revoke).status_code == 404
    share.refresh_from_db()
    assert share.revoked_at is None


def test_of_a_job_that_found_speakers_alone_the_recording_is_heard(
    signed_in: Client, client: Client, person: User, tmp_path: Path
):
    workspace = person.memberships.get().workspace
    make_grant(workspace, 500_000)
    job = make_spoken_job(workspace, make_asset(workspace, tmp_path))
    Job.objects.filter(pk=job.pk).update(service="speaker_diarization")
    assert f"/app/jobs/{job.uuid}/shares" in signed_in.get(f"/app/jobs/{job.uuid}").content.decode()
    link = make_link(signed_in, job)
    assert client.get(link).status_code == 200
    assert len(client.get(f"{link}/player").json()["lanes"]) == 1
    asset_delete(workspace=workspace, asset_uuid=job.recording.uuid)
    assert client.get(link).status_code == 410
