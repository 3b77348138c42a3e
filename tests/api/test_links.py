"""Links say themselves for how long they hold."""

from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core import signing
from django.test import Client, RequestFactory
from rest_framework.request import Request

from api.links import asset_link, asset_url, timeline_link
from jobs.link_tokens import token_make
from jobs.models import Asset
from jobs.storage import download_token_read
from tests.makers import make_asset, make_spoken_job

pytestmark = pytest.mark.django_db

HOUR_S = 3600
DAY_S = 24 * HOUR_S


@pytest.fixture
def asset(alice: Any, tmp_path: Path) -> Asset:
    return make_asset(alice, tmp_path, seconds=0.1)


def path_of(link: str, settings: Any) -> str:
    assert link.startswith(settings.SITE_URL + "/v1/")
    return link.removeprefix(settings.SITE_URL)


@pytest.mark.parametrize(
    ("days", "lifetime_s"), [(None, HOUR_S), (1, DAY_S), (14, 14 * DAY_S), (15, 14 * DAY_S)]
)
def test_a_link_holds_as_long_as_asked_and_at_most_fourteen_days(
    client: Client, asset: Asset, settings: Any, days: int | None, lifetime_s: int
):
    with time_machine.travel(1_800_000_000, tick=False) as clock:
        path = path_of(asset_link(asset, days=days), settings)
        clock.shift(lifetime_s)
        assert client.head(path).status_code == 200
        assert download_token_read(path.rpartition("/")[2]).seconds == 1
        clock.shift(1)
        assert client.head(path).status_code == 404


def test_timelines_have_such_links_too(client: Client, alice: Any, asset: Asset, settings: Any):
    job = make_spoken_job(alice, asset)
    with time_machine.travel(1_800_000_000, tick=False) as clock:
        path = path_of(timeline_link(job, format_name="rttm", days=14), settings)
        clock.shift(14 * DAY_S)
        assert client.head(path).status_code == 200
        clock.shift(1)
        assert client.head(path).status_code == 404


def test_an_answer_has_links_to_the_host_that_was_asked(asset: Asset, settings: Any):
    settings.SITE_URL = "https://stems.example.org/"
    request = Request(RequestFactory().get("/v1/jobs"))
    assert asset_url(asset, request=request, days=14).startswith("http://testserver/v1/downloads/")
    assert asset_link(asset).startswith("https://stems.example.org/v1/downloads/")


def test_a_token_without_a_lifetime_of_its_own_holds_as_before(
    client: Client, asset: Asset, settings: Any
):
    settings.DOWNLOAD_URL_SECONDS = 60
    with time_machine.travel(1_800_000_000, tick=False) as clock:
        token = signing.dumps(str(asset.uuid), salt="jobs.storage.download")
        clock.shift(60)
        assert client.head(f"/v1/downloads/{token}").status_code == 200
        clock.shift(1)
        assert client.head(f"/v1/downloads/{token}").status_code == 404


def test_a_token_for_something_else_opens_nothing(client: Client, asset: Asset):
    token = token_make(str(asset.uuid), salt="something else")
    assert client.head(f"/v1/downloads/{token}").status_code == 404
