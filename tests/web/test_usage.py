"""The pages of what was used."""

import csv
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.test import Client

from accounts.models import ApiKey, Role, Workspace
from jobs.models import Job
from tests.makers import make_asset, make_grant, make_job, make_key, make_member, make_workspace
from tests.web.conftest import sign_in
from tests.web.html import Page

pytestmark = pytest.mark.django_db

PATH = "/app/usage"


def make_used(workspace: Workspace, folder: Path, *rows: tuple[str, str, int]) -> list[Job]:
    """Jobs that succeeded: on which day, of which service, for how many milli-credits."""
    asset = make_asset(workspace, folder, seconds=1)
    jobs = []
    for day, service, charged_mcr in rows:
        job = make_job(workspace, asset)
        Job.objects.filter(pk=job.pk).update(
            state="succeeded",
            finished_at=f"{day}T12:00:00Z",
            service=service,
            price_mcr=charged_mcr,
            charged_mcr=charged_mcr,
        )
        jobs.append(job)
    return jobs


@pytest.fixture
def used(workspace: Workspace, tmp_path: Path) -> list[Job]:
    make_credits(workspace)
    return make_used(
        workspace,
        tmp_path,
        ("2026-03-01", "separation", 2_500),
        ("2026-03-03", "separation", 5_000),
        ("2026-03-03", "analysis", 100),
    )


def make_credits(workspace: Workspace) -> None:
    make_grant(workspace, 100_000)


def cells(page: Page) -> list[int]:
    return [int(one["data-value"]) for one in page.all("td") if "data-value" in one]


def test_days_by_service(signed_in: Client, used: list[Job]):
    response = signed_in.get(PATH, {"from": "2026-03-01", "to": "2026-03-31"})
    assert response.status_code == 200
    text = response.content.decode()
    page = Page(text)
    assert page.problems() == []
    # Days in their order, the dearest service first; a day without any is left out.
    assert [one["data-day"] for one in page.all("tr") if "data-day" in one] == [
        "2026-03-01",
        "2026-03-03",
    ]
    assert cells(page) == [2_500, 0, 5_000, 100]
    (table,) = [one for one in page.all("table") if one.get("id") == "usage-table"]
    assert (table["data-first"], table["data-last"]) == ("2026-03-01", "2026-03-31")
    assert text.index("Separation into stems") < text.index("Tempo and key")
    assert "7.6" in text


def test_by_key_and_of_one_key(signed_in: Client, workspace: Workspace, used: list[Job]):
    make_key(workspace)
    key = ApiKey.objects.latest("pk")
    Job.objects.filter(pk=used[1].pk).update(api_key=key)
    query = {"from": "2026-03-01", "to": "2026-03-31", "by": "key"}
    page = Page(signed_in.get(PATH, query).content.decode())
    assert page.problems() == []
    assert cells(page) == [0, 2_500, 5_000, 100]
    page = Page(signed_in.get(PATH, {**query, "key": str(key.uuid)}).content.decode())
    assert page.problems() == []
    assert cells(page) == [5_000]
    assert [one for one in page.all("option") if one.get("value") == str(key.uuid)]
    page = Page(signed_in.get(PATH, {**query, "by": "day"}).content.decode())
    assert cells(page) == [2_500, 5_100]


def test_a_key_that_was_not_used_stays_chosen(signed_in: Client, used: list[Job]):
    unknown = "00000000-0000-4000-8000-000000000000"
    response = signed_in.get(PATH, {"from": "2026-03-01", "to": "2026-03-31", "key": unknown})
    page = Page(response.content.decode())
    assert page.problems() == []
    assert "Nothing was used in these days" in response.content.decode()
    assert [one["value"] for one in page.all("option") if "selected" in one][:2] == [
        "service",
        unknown,
    ]


def test_many_services_are_told_as_eight(signed_in: Client, workspace: Workspace, tmp_path: Path):
    make_credits(workspace)
    rows = [("2026-03-01", f"service_{number}", 1_000 + number) for number in range(10)]
    make_used(workspace, tmp_path, *rows)
    query = {"from": "2026-03-01", "to": "2026-03-01"}
    response = signed_in.get(PATH, query)
    page = Page(response.content.decode())
    # The last three together: 1,002 + 1,001 + 1,000.
    assert cells(page) == [1_009, 1_008, 1_007, 1_006, 1_005, 1_004, 1_003, 3_003]
    assert "All others" in response.content.decode()


def test_tiles_say_what_is_there_and_how_long_it_lasts(
    signed_in: Client, workspace: Workspace, tmp_path: Path
):
    # 100 credits; what is used in 30 days is 30; a job holds 2.5.
    make_credits(workspace)
    asset = make_asset(workspace, tmp_path, seconds=1)
    make_job(workspace, asset)
    assert b"Unknown: nothing was used" in signed_in.get(PATH).content
    job = make_job(workspace, asset)
    Job.objects.filter(pk=job.pk).update(
        state="succeeded", finished_at=datetime.now(UTC), price_mcr=30_000, charged_mcr=30_000
    )
    text = signed_in.get(PATH).content.decode()
    for words in (">95<", ">5<", ">30<", "95 days"):
        assert words in text


def test_nothing_used(signed_in: Client):
    response = signed_in.get(PATH)
    assert "Nothing was used in these days" in response.content.decode()
    page = Page(response.content.decode())
    assert page.problems() == []
    assert not page.all("figure", "canvas")


@pytest.mark.parametrize(
    "query",
    [
        {"from": "yesterday"},
        {"from": "2026-03-02", "to": "2026-03-01"},
        {"from": "2024-01-01", "to": "2026-01-01"},
        {"to": "9999-12-31"},
        {"to": "0001-01-01"},
        {"by": "hour"},
        {"key": "x"},
        {"from": "\x00"},
    ],
)
def test_other_questions_are_answered_with_the_last_days(signed_in: Client, query: dict[str, str]):
    response = signed_in.get(PATH, query)
    assert response.status_code == 400
    text = response.content.decode()
    assert 'role="alert"' in text
    assert Page(text).problems() == []
    assert signed_in.get(f"{PATH}.csv", query).status_code == 400


def test_the_file_says_the_same(signed_in: Client, workspace: Workspace, used: list[Job]):
    make_key(workspace)
    ApiKey.objects.update(name="=cmd|' /C calc'!A0")
    Job.objects.filter(pk=used[1].pk).update(api_key=ApiKey.objects.get())
    query = {"from": "2026-03-01", "to": "2026-03-31", "by": "key"}
    response = signed_in.get(f"{PATH}.csv", query)
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response["Content-Disposition"] == (
        'attachment; filename="usage-2026-03-01-2026-03-31.csv"'
    )
    rows = list(csv.DictReader(io.StringIO(response.content.decode())))
    assert [(row["day"], row["key_name"], row["credits"]) for row in rows] == [
        ("2026-03-01", "", "2.5"),
        # Not a formula.
        ("2026-03-03", "'=cmd|' /C calc'!A0", "5"),
        ("2026-03-03", "", "0.1"),
    ]
    assert sum(int(row["milli_credits"]) for row in rows) == 7_600


@pytest.mark.parametrize("role", [Role.VIEWER, Role.DEVELOPER, Role.BILLING, Role.ADMIN])
def test_every_member_sees_it(workspace: Workspace, role: str, used: list[Job]):
    make_member(workspace, role, email="other@example.org")
    client = Client()
    sign_in(client, "other@example.org")
    query = {"from": "2026-03-01", "to": "2026-03-31"}
    assert cells(Page(client.get(PATH, query).content.decode())) == [2_500, 0, 5_000, 100]


def test_strangers_see_their_own(used: list[Job], client: Client):
    make_member(make_workspace("Other", credits=0), Role.OWNER, email="charlie@example.org")
    assert client.get(PATH).status_code == 302
    assert client.get(f"{PATH}.csv").status_code == 302
    sign_in(client, "charlie@example.org")
    query = {"from": "2026-03-01", "to": "2026-03-31"}
    assert b"Nothing was used" in client.get(PATH, query).content
    assert len(client.get(f"{PATH}.csv", query).content.splitlines()) == 1


def test_the_last_thirty_days_are_shown_first(signed_in: Client):
    text = signed_in.get(PATH).content.decode()
    today = datetime.now(UTC).date()
    assert f'value="{today - timedelta(days=29)}"' in text
    assert f'value="{today}"' in text
