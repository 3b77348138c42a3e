import base64
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from api.native.base import NewestFirst
from tests.makers import make_asset

pytestmark = pytest.mark.django_db


@pytest.fixture
def ids(alice: Any, tmp_path: Path) -> list[str]:
    """Three recordings, newest first."""
    made = [make_asset(alice, tmp_path, seconds=0.1) for _ in range(3)]
    return [str(asset.uuid) for asset in reversed(made)]


def shown(page: dict[str, Any]) -> list[str]:
    return [row["id"] for row in page["results"]]


def test_pages_stay_put(alice_client: Client, alice: Any, tmp_path: Path, ids: list[str]):
    first = alice_client.get("/v1/assets?limit=2").json()
    assert (shown(first), first["previous"]) == (ids[:2], None)
    newest = make_asset(alice, tmp_path, seconds=0.1)
    second = alice_client.get(first["next"]).json()
    assert (shown(second), second["next"]) == (ids[2:], None)
    back = alice_client.get(second["previous"]).json()
    assert shown(back) == ids[:2]
    assert shown(alice_client.get(back["previous"]).json()) == [str(newest.uuid)]


@pytest.mark.parametrize(
    "position", [b"p=abc", b"p=1.5", b"p=%00", b"p=\0", b"p=-1", b"p=" + b"9" * 5000, b"o=x"]
)
def test_it_refuses_a_forged_cursor(alice_client: Client, position: bytes):
    cursor = base64.b64encode(position).decode()
    for path in ("/v1/assets", "/v1/jobs", "/v1/credits/ledger"):
        response = alice_client.get(path, {"cursor": cursor})
        error = response.json()["error"]
        assert (response.status_code, error["code"]) == (400, "validation_failed")
        assert list(error["fields"]) == ["cursor"]


@pytest.mark.parametrize("cursor", ["garbage", "é", "AAA"])
def test_it_refuses_what_is_no_cursor(alice_client: Client, cursor: str):
    response = alice_client.get("/v1/assets", {"cursor": cursor})
    assert response.status_code == 400
    assert list(response.json()["error"]["fields"]) == ["cursor"]


@pytest.mark.parametrize("limit", ["abc", "0", "-1", "1.5", "", "٣", "9" * 5000])
def test_it_refuses_a_limit_that_is_none(alice_client: Client, limit: str):
    response = alice_client.get("/v1/assets", {"limit": limit})
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (400, "validation_failed")
    assert list(error["fields"]) == ["limit"]


def test_a_limit_above_the_most_is_the_most(
    alice_client: Client, ids: list[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(NewestFirst, "max_page_size", 2)
    assert shown(alice_client.get("/v1/assets?limit=1000000").json()) == ids[:2]
