"""The player exports the mix: asked for, looked at until it is ready, downloaded."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from accounts.models import Role, User
from jobs import mixing
from jobs.models import Asset, Job, Mix
from tests.makers import make_done_job, make_grant, make_member, run_derived

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_beats", "fake_separation")]


@pytest.fixture
def job(person: User, tmp_path: Path) -> Job:
    workspace = person.memberships.get().workspace
    make_grant(workspace, 500_000)
    return make_done_job(workspace, tmp_path, stems=("vocals", "drums"))


def body(job: Job, **values: Any) -> dict[str, Any]:
    """As static/js/player/export.js sends it."""
    stems = Asset.objects.filter(job=job).order_by("pk")
    lanes = [{"id": str(stem.uuid), "gain": 1, "pan": 0} for stem in stems]
    return {"lanes": lanes, "master": 1, "format": "wav", "range": None, **values}


def ask(client: Client, job: Job, what: Any) -> Any:
    return client.post(f"/app/jobs/{job.uuid}/mix", what, content_type="application/json")


def test_a_mix_is_made_and_downloaded(signed_in: Client, job: Job):
    response = ask(signed_in, job, body(job, master=3, range=[0, 22_050]))
    assert response.status_code == 202
    answer = response.json()
    assert answer == {
        "id": answer["id"],
        "state": "queued",
        "progress": 0,
        "status_url": f"/app/jobs/{job.uuid}/mix/{answer['id']}",
    }
    assert signed_in.get(answer["status_url"]).json() == answer
    assert signed_in.get(f"{answer['status_url']}/file").status_code == 404
    run_derived()
    ready = signed_in.get(answer["status_url"]).json()
    assert (ready["state"], ready["filename"]) == ("ready", "song (mix).wav")
    assert ready["clipped_samples"] > 0
    assert ready["peak"] > 1
    file = signed_in.get(ready["download_url"])
    content = b"".join(file.streaming_content)  # type: ignore[attr-defined]
    assert len(content) == ready["size_bytes"]
    assert file["Content-Disposition"] == 'attachment; filename="song (mix).wav"'
    assert file["Content-Type"] == "audio/wav"
    normal = ask(signed_in, job, body(job, master=3, normalise=True)).json()
    run_derived()
    assert signed_in.get(normal["status_url"]).json()["clipped_samples"] == 0


def test_one_that_failed_says_so(signed_in: Client, job: Job):
    answer = ask(signed_in, job, body(job)).json()
    Mix.objects.update(state="failed")
    answer = signed_in.get(answer["status_url"]).json()
    assert answer["state"] == "failed"
    assert answer["message"]


def test_what_makes_no_sense_is_refused(signed_in: Client, job: Job, monkeypatch: Any):
    for wrong in (
        "no JSON",
        "[]",
        "{}",
        body(job, lanes=[]),
        body(job, lanes=[1]),
        body(job, lanes=[{"gain": 1}]),
        body(job, range=[1]),
        body(job, range=[0.5, 2]),
        body(job, range=[9, 2]),
        body(job, format="exe"),
        body(job, master="loud"),
        body(job, master=None),
    ):
        response = ask(signed_in, job, wrong)
        assert response.status_code == 400, wrong
        assert response.json()["error"]["code"] == "validation_failed"
    assert not Mix.objects.exists()
    monkeypatch.setattr(mixing, "_OPEN_AT_MOST", 0)
    assert ask(signed_in, job, body(job)).status_code == 409


def test_others_get_nothing(signed_in: Client, client: Client, job: Job, charlie: Any):
    asked = body(job)
    answer = ask(signed_in, job, asked).json()
    run_derived()
    status = answer["status_url"]
    stranger, biller, viewer = Client(), Client(), Client()
    stranger.force_login(make_member(charlie, Role.OWNER))
    biller.force_login(make_member(job.workspace, Role.BILLING))
    viewer.force_login(make_member(job.workspace, Role.VIEWER))
    assert ask(client, job, asked).status_code == client.get(status).status_code == 302
    assert ask(stranger, job, asked).status_code == stranger.get(status).status_code == 404
    assert stranger.get(f"{status}/file").status_code == 404
    assert ask(biller, job, asked).status_code == biller.get(status).status_code == 403
    assert ask(viewer, job, asked).status_code == 202
    assert viewer.get(status).status_code == 200
    assert signed_in.get(f"/app/jobs/{uuid4()}/mix/{answer['id']}").status_code == 404
