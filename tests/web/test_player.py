"""What the player of a job asks for is given to members, in parts, and to nobody else."""

from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from accounts.models import Role, User
from jobs.models import Asset, Job
from tests.makers import (
    make_asset,
    make_done_job,
    make_grant,
    make_job,
    make_member,
    make_spoken_job,
    run_derived,
)
from tests.web.html import Page

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_beats", "fake_separation")]


@pytest.fixture
def job(person: User, tmp_path: Path) -> Job:
    return make_done_job(workspace_of(person), tmp_path, seconds=11, stems=("vocals", "drums"))


def content_of(response: Any) -> bytes:
    return b"".join(response.streaming_content)


def workspace_of(person: User) -> Any:
    workspace = person.memberships.get().workspace
    make_grant(workspace, 500_000)
    return workspace


def test_where_the_player_cannot_be_had_the_first_stem_is_heard(signed_in: Client, job: Job):
    page = Page(signed_in.get(f"/app/jobs/{job.uuid}").content.decode())
    [audio] = page.all("audio")
    assert audio["aria-label"] == "Vocals"
    heard: Any = signed_in.get(audio["src"], follow=True)
    assert content_of(heard)[:4] == b"RIFF"
    assert heard["Content-Disposition"] == 'attachment; filename="song (vocals).wav"'


def test_a_job_is_played(signed_in: Client, job: Job):
    path = f"/app/jobs/{job.uuid}/player"
    first = signed_in.get(path).json()
    assert (first["state"], first["progress"]) == ("preparing", 0)
    assert [lane["label"] for lane in first["lanes"]] == ["Vocals", "Drums"]
    assert "audio" not in first["lanes"][0]
    run_derived()
    response = signed_in.get(path)
    assert "no-store" in response["Cache-Control"]
    manifest = response.json()
    lanes = manifest.pop("lanes")
    original = manifest.pop("original")
    assert manifest == {
        "state": "ready",
        "progress": 1.0,
        "sample_rate": 44_100,
        "n_samples": 485_100,
        "segment_samples": 220_500,
    }
    stems = Asset.objects.filter(job=job).order_by("pk")
    assert [lane["id"] for lane in lanes] == [str(stem.uuid) for stem in stems]
    assert (original["kind"], original["label"], original["lane"]) == ("recording", "Original", 2)
    vocals = lanes[0]
    assert (vocals["kind"], vocals["name"], vocals["lane"], vocals["gain"]) == (
        "stem",
        "vocals",
        0,
        1.0,
    )
    assert [level["per_second"] for level in vocals["peaks"]["levels"]] == [100, 10, 1]
    assert [level["offset"] for level in vocals["peaks"]["levels"]] == [0, 2200, 2420]
    offsets = vocals["audio"]["offsets"]
    part = signed_in.get(
        vocals["audio"]["url"], headers={"Range": f"bytes={offsets[1]}-{offsets[2] - 1}"}
    )
    assert part.status_code == 206
    assert part["Cache-Control"] == "private, max-age=31536000, immutable"
    content = content_of(part)
    assert len(content) == offsets[2] - offsets[1]
    assert content.startswith(b"fLaC")
    peaks = signed_in.get(vocals["peaks"]["url"])
    assert len(content_of(peaks)) == 2420 + 22
    again = signed_in.get(vocals["peaks"]["url"], headers={"If-None-Match": peaks["ETag"]})
    assert again.status_code == 304
    outside = signed_in.get(vocals["peaks"]["url"], headers={"Range": "bytes=99999-"})
    assert outside.status_code == 416
    wrong = vocals["peaks"]["url"].removesuffix("peaks") + "other"
    assert signed_in.get(wrong).status_code == 404


def test_others_get_nothing(
    signed_in: Client, job: Job, client: Client, charlie: Any, tmp_path: Path
):
    path = f"/app/jobs/{job.uuid}/player"
    signed_in.get(path)
    run_derived()
    manifest = signed_in.get(path).json()
    url = manifest["lanes"][0]["audio"]["url"]
    assert client.get(path).status_code == 302
    assert client.get(url).status_code == 302
    stranger, biller = Client(), Client()
    stranger.force_login(make_member(charlie, Role.OWNER))
    biller.force_login(make_member(job.workspace, Role.BILLING))
    assert stranger.get(path).status_code == 404
    assert stranger.get(path).json()["error"]["code"] == "not_found"
    assert stranger.get(url).status_code == 404
    assert biller.get(path).status_code == biller.get(url).status_code == 403
    viewer = Client()
    viewer.force_login(make_member(job.workspace, Role.VIEWER))
    assert viewer.get(path).status_code == 200
    response = viewer.get(url)
    assert response.status_code == 200
    assert content_of(response)
    # Of another job, not this one's.
    other = make_job(job.workspace, make_asset(job.workspace, tmp_path))
    assert signed_in.get(url.replace(str(job.uuid), str(other.uuid))).status_code == 404
    assert signed_in.get(f"/app/jobs/{other.uuid}/player").status_code == 409


def test_where_only_speakers_were_found_the_recording_is_played(
    signed_in: Client, person: User, tmp_path: Path
):
    workspace = workspace_of(person)
    job = make_spoken_job(workspace, make_asset(workspace, tmp_path))
    Job.objects.filter(pk=job.pk).update(service="speaker_diarization")
    page = signed_in.get(f"/app/jobs/{job.uuid}").content.decode()
    assert f'src="/app/jobs/{job.uuid}/player" main>' in page
    # Nothing was made that could be mixed; who speaks when can be shown to others.
    assert "sp-export" not in page
    assert f"/app/jobs/{job.uuid}/shares" in page
    signed_in.get(f"/app/jobs/{job.uuid}/player")
    run_derived()
    manifest = signed_in.get(f"/app/jobs/{job.uuid}/player").json()
    assert manifest["state"] == "ready"
    assert [lane["kind"] for lane in manifest["lanes"]] == ["recording"]
    assert manifest["speakers"] == [
        {"name": "SPEAKER_0", "label": "Speaker 1", "lane": 0, "turns": [[0.0, 0.04, 0.9]]},
        {"name": "SPEAKER_1", "label": "Speaker 2", "lane": 1, "turns": [[0.05, 0.1, 0.8]]},
    ]
