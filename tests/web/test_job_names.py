"""The pages say who ordered a job, and what it is called."""

from pathlib import Path
from uuid import uuid4

import pytest
from django.test import Client

from accounts.api_keys import api_key_authenticate
from accounts.models import Role, User, Workspace
from jobs.models import Job
from jobs.services import Order, job_create
from tests.makers import make_asset, make_job, make_key, make_member, make_workspace
from tests.web.test_jobs import body_of, client_of, failed, ids_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def studio(db: None) -> Workspace:
    return make_workspace("Studio", credits=500)


@pytest.fixture
def owner(studio: Workspace) -> User:
    return make_member(studio, Role.OWNER, email="alice@example.org")


@pytest.fixture
def client(owner: User) -> Client:
    return client_of(owner)


def test_a_job_says_who_ordered_it_and_is_found_by_that(
    client: Client, studio: Workspace, owner: User, tmp_path: Path
):
    bob = make_member(studio, Role.DEVELOPER, email="bob@example.org")
    asset = make_asset(studio, tmp_path)
    order = Order(asset_uuid=asset.uuid, stems=("vocals",), model="htdemucs")
    key = api_key_authenticate(make_key(studio))
    by_key = job_create(workspace=studio, api_key=key, order=order)
    mine = job_create(workspace=studio, api_key=None, person=owner, order=order)
    bobs = job_create(workspace=studio, api_key=None, person=bob, order=order)
    older = make_job(studio, asset)
    for query, expected in {
        "by=me": [mine],
        f"by={bob.uuid}": [bobs],
        "by=nobody": [older, bobs, mine, by_key],
        f"by={uuid4()}": [],
    }.items():
        assert ids_of(body_of(client.get(f"/app/jobs?{query}"))) == [
            str(job.uuid) for job in expected
        ], query
    assert ids_of(body_of(client_of(bob).get("/app/jobs?by=me"))) == [str(bobs.uuid)]
    text = body_of(client.get("/app/jobs"))
    assert '<span class="job-orderer muted">bob@example.org</span>' in text
    assert '<span class="job-orderer muted">test</span>' in text
    assert f'<option value="{bob.uuid}">bob@example.org</option>' in text
    text = body_of(client.get(f"/app/jobs/{bobs.uuid}"))
    assert "<dt>Ordered by</dt><dd>bob@example.org</dd>" in text
    text = body_of(client.get(f"/app/jobs/{by_key.uuid}"))
    assert "<dt>Ordered by</dt>" not in text
    assert f"<dt>Ordered with</dt><dd>{key}</dd>" in text
    bob.memberships.get().delete()
    assert "Somebody who has left</option>" in body_of(client.get(f"/app/jobs?by={bob.uuid}"))
    bob.delete()
    bobs.refresh_from_db()
    assert bobs.ordered_by is None


def test_what_is_ordered_and_ordered_again_here_is_ones_own(
    client: Client, studio: Workspace, owner: User, tmp_path: Path
):
    job = failed(make_job(studio, make_asset(studio, tmp_path)))
    client.post("/app/jobs/act", {"action": "retry", "job": str(job.uuid)})
    assert Job.objects.get(retry_of=job).ordered_by == owner


def test_a_job_is_renamed_on_its_page(client: Client, studio: Workspace, tmp_path: Path):
    job = make_job(studio, make_asset(studio, tmp_path, name="take 7.wav"))
    text = body_of(client.get(f"/app/jobs/{job.uuid}"))
    assert 'value="take 7.wav"' in text
    path = f"/app/jobs/{job.uuid}/name"
    text = body_of(client.post(path, {"name": "Encore & <more>"}, follow=True))
    assert '<h1 class="job-title">Encore &amp; &lt;more&gt;</h1>' in text
    assert "<dt>Recording</dt><dd>take 7.wav</dd>" in text
    for query in ("encore", "take"):
        assert ids_of(body_of(client.get(f"/app/jobs?q={query}"))) == [str(job.uuid)]
    text = body_of(client.post(path, {"name": "n" * 300}), status=400)
    assert f'value="{"n" * 300}"' in text
    assert "A name is at most 255 characters that can be shown." in text
    viewer = client_of(make_member(studio, Role.VIEWER))
    assert viewer.post(path, {"name": "Mine"}).status_code == 403
    assert "data-rename" not in body_of(viewer.get(f"/app/jobs/{job.uuid}"))
    job.refresh_from_db()
    assert job.name == "Encore & <more>"
