"""What jobs are called, and who ordered them, as programs see it."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from accounts.models import ApiKey, Role, Workspace
from jobs.models import Job
from tests.makers import make_asset, make_job, make_member, make_token, run_jobs

pytestmark = pytest.mark.django_db


@pytest.fixture
def job(alice: Workspace, tmp_path: Path, fake_separation: Any) -> Job:
    job = make_job(alice, make_asset(alice, tmp_path, name="song.wav"))
    run_jobs()
    return job


def patch(client: Client, job: Job, body: dict[str, Any]) -> Any:
    return client.patch(f"/v1/jobs/{job.uuid}", body, content_type="application/json")


def test_a_job_is_renamed_with_its_files(alice_client: Client, job: Job):
    answer = patch(alice_client, job, {"name": "Encore"})
    assert (answer.status_code, answer.json()["name"]) == (200, "Encore")
    assert [one["filename"] for one in answer.json()["outputs"]] == ["Encore (vocals).wav"]
    file = Client().get(answer.json()["outputs"][0]["download_url"])
    assert 'filename="Encore (vocals).wav"' in file["Content-Disposition"]
    file.close()
    assert patch(alice_client, job, {}).json()["name"] == "Encore"
    for body in ({"name": "n" * 256}, {"title": "x"}, {"name": None}):
        assert patch(alice_client, job, body).status_code == 400
    assert alice_client.get(f"/v1/jobs/{job.uuid}").json()["name"] == "Encore"
    assert patch(alice_client, job, {"name": ""}).json()["name"] == "song.wav"


def test_jobs_say_who_ordered_them_and_are_found_by_that(
    alice: Workspace, alice_client: Client, tmp_path: Path
):
    asset = str(make_asset(alice, tmp_path).uuid)
    person = make_member(alice, Role.DEVELOPER)
    theirs = Client(headers={"Authorization": f"Bearer {make_token(person, alice)}"})
    order = {"asset": asset, "stems": ["vocals"]}

    def ordered(client: Client) -> Any:
        answer = client.post("/v1/jobs", order, content_type="application/json")
        assert answer.status_code == 201
        job = answer.json()
        assert client.get(f"/v1/jobs/{job['id']}").json()["created_by"] == job["created_by"]
        assert client.get(f"/v1/jobs/{job['id']}").json()["key"] == job["key"]
        return job

    key = str(ApiKey.objects.get(workspace=alice).uuid)
    by_key, by_person = ordered(alice_client), ordered(theirs)
    assert (by_key["created_by"], by_key["key"]) == (None, key)
    assert (by_person["created_by"], by_person["key"]) == (str(person.uuid), None)
    batch = theirs.post("/v1/jobs/batch", {"orders": [order]}, content_type="application/json")
    assert batch.json()["jobs"][0]["created_by"] == str(person.uuid)
    for query, expected in {
        f"key={key}": [by_key["id"]],
        f"created_by={person.uuid}": [batch.json()["jobs"][0]["id"], by_person["id"]],
        f"created_by={uuid4()}": [],
    }.items():
        found = alice_client.get(f"/v1/jobs?{query}").json()["results"]
        assert [one["id"] for one in found] == expected, query
    assert alice_client.get("/v1/jobs?created_by=me").status_code == 400
