"""All stems in one file: offered on the page of a job that made four, and made once."""

import json
from pathlib import Path
from typing import Any

import av
import pytest
from django.test import Client

from accounts.models import Role, User
from jobs.models import Asset, Job, Mix
from tests.makers import make_done_job, make_grant, make_member, run_derived

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_beats", "fake_separation")]

FOUR = ("vocals", "drums", "bass", "other")
PART = {"HX-Request": "true"}


def make(person: User, folder: Path, stems: tuple[str, ...] = FOUR) -> Job:
    workspace = person.memberships.get().workspace
    make_grant(workspace, 500_000)
    return make_done_job(workspace, folder, seconds=2, stems=stems)


def test_it_is_made_once_and_downloaded(
    signed_in: Client, person: User, tmp_path: Path, media_dir: Path
):
    job = make(person, tmp_path)
    url = f"/app/jobs/{job.uuid}/stem-file"
    run_derived()
    page = signed_in.get(f"/app/jobs/{job.uuid}").content.decode()
    assert f'hx-post="{url}"' in page
    # Without scripts it leads back to the page.
    response = signed_in.post(url)
    assert (response.status_code, response["Location"]) == (302, f"/app/jobs/{job.uuid}#files")
    waiting = signed_in.post(url, headers=PART)
    assert "<progress" in waiting.content.decode()
    assert "HX-Retarget" not in waiting
    mix = Mix.objects.get()
    assert run_derived() == 1
    ready = signed_in.get(url, headers=PART)
    assert ready["HX-Retarget"] == ready["HX-Reselect"] == "#stem-file"
    file = f"/app/jobs/{job.uuid}/mix/{mix.uuid}/file"
    assert f'href="{file}"' in ready.content.decode()
    answer = signed_in.get(file)
    assert answer["Content-Type"] == "audio/mp4"
    assert answer["Content-Disposition"] == 'attachment; filename="song.stem.mp4"'
    content = b"".join(answer.streaming_content)  # type: ignore[attr-defined]
    path = tmp_path / "song.stem.mp4"
    path.write_bytes(content)
    at = content.rindex(b"stem", 0, content.rindex(b'"stems"'))
    size = int.from_bytes(content[at - 4 : at])
    names = [stem["name"] for stem in json.loads(content[at + 4 : at - 4 + size])["stems"]]
    assert names == ["Drums", "Bass", "Other", "Vocals"]
    with av.open(str(path)) as container:
        assert [stream.duration for stream in container.streams] == [2 * 44_100] * 5
    signed_in.post(url, headers=PART)
    assert Mix.objects.count() == 1
    Mix.objects.update(state="failed", is_hopeless=True)
    failed = signed_in.get(url, headers=PART).content.decode()
    assert "could not be made" in failed
    signed_in.post(url, headers=PART)
    assert Mix.objects.count() == 2


@pytest.mark.parametrize("stems", [("vocals", "drums"), ("vocals", "drums", "bass", "no_other")])
def test_only_four_that_add_up_are_put_together(
    signed_in: Client, person: User, tmp_path: Path, stems: tuple[str, ...]
):
    job = make(person, tmp_path, stems)
    url = f"/app/jobs/{job.uuid}/stem-file"
    assert url not in signed_in.get(f"/app/jobs/{job.uuid}").content.decode()
    assert signed_in.post(url, headers=PART).status_code == 409
    assert signed_in.get(url, headers=PART).status_code == 404
    assert not Mix.objects.exists()


def test_more_than_the_four_do_no_harm_but_rates_may(
    signed_in: Client, person: User, tmp_path: Path
):
    job = make(person, tmp_path, (*FOUR, "instrumental"))
    url = f"/app/jobs/{job.uuid}/stem-file"
    assert signed_in.post(url, headers=PART).status_code == 200
    assert len(Mix.objects.get().order["lanes"]) == 4
    Asset.objects.filter(job=job).update(sample_rate=192_000)
    assert signed_in.get(url, headers=PART).status_code == 404
    Asset.objects.filter(job=job).update(sample_rate=44_100)
    Asset.objects.filter(job=job, stem="bass").update(state="deleted")
    assert signed_in.get(url, headers=PART).status_code == 404


def test_others_get_nothing(client: Client, person: User, tmp_path: Path, charlie: Any):
    job = make(person, tmp_path)
    url = f"/app/jobs/{job.uuid}/stem-file"
    stranger, biller = Client(), Client()
    stranger.force_login(make_member(charlie, Role.OWNER))
    biller.force_login(make_member(job.workspace, Role.BILLING))
    assert client.post(url).status_code == 302
    assert stranger.post(url).status_code == stranger.get(url, headers=PART).status_code == 404
    assert biller.post(url).status_code == 403
    assert not Mix.objects.exists()
