"""Times are shown, and days begin, where the reader lives."""

from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from django.test import Client

from accounts.models import AuditEvent, User, Workspace
from jobs.models import Job, JobState
from jobs.usage import usage_get
from tests.makers import make_asset, make_grant, make_job, make_key
from tests.web.html import Page

pytestmark = pytest.mark.django_db

# The second of March in Berlin, and still the first in UTC.
LATE = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)


@pytest.fixture
def job(person: User, tmp_path: Path) -> Job:
    workspace = Workspace.objects.get()
    make_grant(workspace, 100_000)
    job = make_job(workspace, make_asset(workspace, tmp_path))
    Job.objects.filter(pk=job.pk).update(
        created_at=LATE, finished_at=LATE, state=JobState.SUCCEEDED, charged_mcr=job.price_mcr
    )
    return job


def text_of(client: Client, path: str) -> str:
    response = client.get(path)
    text: str = response.content.decode()
    assert response.status_code == 200
    assert Page(text).problems() == []
    return text


def is_found(client: Client, job: Job, days: str) -> bool:
    return f'data-job="{job.uuid}"' in text_of(client, f"/app/jobs?{days}")


def test_days_are_those_of_utc_until_the_browser_has_said_where_it_is(signed_in: Client, job: Job):
    assert is_found(signed_in, job, "from=2026-03-01&to=2026-03-01")
    assert not is_found(signed_in, job, "from=2026-03-02")
    assert "the time zone UTC." in text_of(signed_in, "/app/jobs")
    assert ">2026-03-01 23:30 UTC<" in text_of(signed_in, f"/app/jobs/{job.uuid}")
    signed_in.cookies["time_zone"] = "Europe/Berlin"
    assert not is_found(signed_in, job, "to=2026-03-01")
    assert is_found(signed_in, job, "from=2026-03-02&to=2026-03-02")
    text = text_of(signed_in, f"/app/jobs/{job.uuid}")
    assert ">2026-03-02 00:30 CET<" in text
    # The browser knows it by itself.
    assert "data-zone" not in text


@pytest.mark.parametrize("cookie", ["nowhere", "../etc/passwd", "Etc", ""])
def test_a_cookie_of_no_zone_is_as_none(signed_in: Client, job: Job, cookie: str):
    signed_in.cookies["time_zone"] = cookie
    assert is_found(signed_in, job, "to=2026-03-01")


def test_what_a_person_has_chosen_counts_more(signed_in: Client, person: User, job: Job):
    signed_in.cookies["time_zone"] = "Europe/Berlin"
    response = signed_in.post("/account/time-zone", {"time_zone": "America/New_York"}, follow=True)
    text = response.content.decode()
    assert Page(text).problems() == []
    assert "<option selected>America/New_York</option>" in text
    assert 'data-zone="America/New_York"' in text
    assert ">2026-03-01 18:30 EST<" in text_of(signed_in, f"/app/jobs/{job.uuid}")
    refused = signed_in.post("/account/time-zone", {"time_zone": "Nowhere/At_All"})
    assert refused.status_code == 400
    person.refresh_from_db()
    assert person.time_zone == "America/New_York"
    signed_in.post("/account/time-zone", {"time_zone": ""})
    assert ">2026-03-02 00:30 CET<" in text_of(signed_in, f"/app/jobs/{job.uuid}")


def test_programs_are_told_utc(person: User, job: Job):
    client = Client(headers={"X-API-Key": make_key(Workspace.objects.get())})
    client.cookies["time_zone"] = "Europe/Berlin"
    assert client.get(f"/v1/jobs/{job.uuid}").json()["created_at"] == "2026-03-01T23:30:00Z"
    usage = client.get("/v1/usage?from=2026-03-01&to=2026-03-02").json()
    assert [group["day"] for group in usage["groups"]] == ["2026-03-01"]


def test_the_usage_is_by_days_of_the_reader(signed_in: Client, job: Job):
    def days() -> list[str]:
        text = text_of(signed_in, "/app/usage?from=2026-02-27&to=2026-03-03")
        return [attrs["data-day"] for attrs in Page(text).all("tr") if "data-day" in attrs]

    assert days() == ["2026-03-01"]
    signed_in.cookies["time_zone"] = "Europe/Berlin"
    assert days() == ["2026-03-02"]
    assert signed_in.get("/app/usage.csv?from=2026-03-02&to=2026-03-02").content.count(b"\n") == 2


def test_days_of_another_length_hold_what_happened_on_them(person: User, job: Job):
    # Clocks go forward in the night to the 29th: it has 23 hours.
    for at, day in {
        datetime(2026, 3, 28, 22, 59, tzinfo=UTC): date(2026, 3, 28),
        datetime(2026, 3, 28, 23, 0, tzinfo=UTC): date(2026, 3, 29),
        datetime(2026, 3, 29, 21, 59, tzinfo=UTC): date(2026, 3, 29),
        datetime(2026, 3, 29, 22, 0, tzinfo=UTC): date(2026, 3, 30),
    }.items():
        Job.objects.update(finished_at=at)
        report = usage_get(
            workspace=Workspace.objects.get(),
            group_by="day",
            first=date(2026, 3, 28),
            last=date(2026, 3, 30),
            zone=ZoneInfo("Europe/Berlin"),
        )
        assert [one.day for one in report.groups] == [day], at


def test_the_audit_log_is_filtered_by_days_of_the_reader(signed_in: Client):
    today = AuditEvent.objects.latest("pk").created_at
    signed_in.cookies["time_zone"] = "Pacific/Kiritimati"
    there = today.astimezone(ZoneInfo("Pacific/Kiritimati")).date()

    def found(query: str) -> bool:
        return "Nothing found" not in text_of(signed_in, f"/app/audit?{query}")

    assert found(f"since={there}&until={there}")
    assert not found("until=2001-01-01")
    assert not found("since=9999-12-31")
    assert found("since=0001-01-01&until=9999-12-31")
