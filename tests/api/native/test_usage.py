"""What was worked and paid for."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.test import Client

from accounts.models import ApiKey
from jobs.models import Job
from jobs.services import Order, job_create, job_delete
from tests.makers import make_asset, make_key, run_jobs

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_beats")]


@pytest.fixture
def jobs(alice: Any, tmp_path: Path, fake_separation: list[Any]) -> list[Job]:
    """Of 1, 1 and 2 seconds of audio, at 2.5 credits each second."""
    asset = make_asset(alice, tmp_path, seconds=2)
    ranges = [(0.0, 1.0), (0.0, 1.0), None]
    made = [
        job_create(
            workspace=alice,
            api_key=None,
            order=Order(asset_uuid=asset.uuid, stems=["vocals"], range_s=range_s),
        )
        for range_s in ranges
    ]
    run_jobs()
    for job, finished_at in zip(
        made,
        ("2026-03-01T23:59:59Z", "2026-03-02T00:00:00Z", "2026-03-02T23:59:59Z"),
        strict=True,
    ):
        Job.objects.filter(pk=job.pk).update(finished_at=finished_at)
    make_key(alice)
    key = ApiKey.objects.filter(workspace=alice).latest("pk")
    Job.objects.filter(pk=made[2].pk).update(api_key=key, service="enhancement")
    return made


def usage(client: Client, query: str = "") -> Any:
    response = client.get(f"/v1/usage?from=2026-03-01&to=2026-03-02{query}")
    assert response.status_code == 200
    return response.json()


def rows(body: Any, *names: str) -> list[tuple[Any, ...]]:
    return [tuple(one[name] for name in names) for one in body["groups"]]


def test_by_day(alice_client: Client, jobs: list[Job]):
    body = usage(alice_client)
    assert (body["from"], body["to"]) == ("2026-03-01", "2026-03-02")
    assert body["total"] == {
        "jobs": 3,
        "charged_mcr": 10_000,
        "credits_charged": "10",
        "audio_s": 4.0,
    }
    assert rows(body, "day", "jobs", "charged_mcr", "audio_s", "service", "key") == [
        ("2026-03-01", 1, 2_500, 1.0, None, None),
        ("2026-03-02", 2, 7_500, 3.0, None, None),
    ]


def test_by_service_and_by_key(alice_client: Client, jobs: list[Job]):
    body = usage(alice_client, "&group_by=service")
    assert rows(body, "service", "jobs", "credits_charged", "audio_s") == [
        ("enhancement", 1, "5", 2.0),
        ("separation", 2, "5", 2.0),
    ]
    key = str(Job.objects.get(service="enhancement").api_key.uuid)  # type: ignore[union-attr]
    body = usage(alice_client, "&group_by=key")
    assert sorted(rows(body, "key_name", "key", "jobs", "audio_s"), key=str) == [
        ("test", key, 1, 2.0),
        (None, None, 2, 2.0),
    ]
    assert body["total"]["charged_mcr"] == 10_000


def test_days_are_whole_and_others_are_left_out(alice_client: Client, jobs: list[Job]):
    body = alice_client.get("/v1/usage?from=2026-03-02&to=2026-03-02").json()
    assert body["total"]["jobs"] == 2
    body = alice_client.get("/v1/usage?from=2026-03-03&to=2026-03-04").json()
    assert (body["groups"], body["total"]["jobs"]) == ([], 0)


def test_without_days_it_is_the_last_thirty(alice_client: Client, jobs: list[Job]):
    with time_machine.travel(datetime(2026, 3, 31, 12, tzinfo=UTC), tick=False):
        body = alice_client.get("/v1/usage").json()
    assert (body["from"], body["to"]) == ("2026-03-02", "2026-03-31")
    assert body["total"]["jobs"] == 2


def test_what_was_deleted_or_failed(alice: Any, alice_client: Client, jobs: list[Job]):
    job_delete(workspace=alice, job_uuid=jobs[0].uuid)
    assert usage(alice_client)["total"]["jobs"] == 3
    Job.objects.filter(pk=jobs[0].pk).update(state="failed", charged_mcr=0)
    assert usage(alice_client)["total"]["charged_mcr"] == 7_500


def test_it_is_the_workspaces_own(charlie_client: Client, client: Client, jobs: list[Job]):
    assert usage(charlie_client)["groups"] == []
    assert client.get("/v1/usage").status_code == 401


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("group_by=hour", "group_by"),
        ("from=2026-03-02&to=2026-03-01", "to"),
        ("from=2025-03-01&to=2026-03-02", "from"),
        ("to=0001-01-01", "to"),
        ("to=9999-12-31", "to"),
        ("from=yesterday", "from"),
        ("day=2026-03-01", "day"),
    ],
)
def test_other_questions_are_refused(alice_client: Client, query: str, field: str):
    response = alice_client.get(f"/v1/usage?{query}")
    error = response.json()["error"]
    assert (response.status_code, set(error["fields"])) == (400, {field})


def test_a_whole_year_can_be_asked_for(alice_client: Client):
    assert alice_client.get("/v1/usage?from=2024-01-01&to=2024-12-31").status_code == 200
