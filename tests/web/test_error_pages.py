"""What people see when something goes wrong outside of any page."""

from typing import Any
from unittest import mock

import pytest
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.test import Client

from tests.web.html import Page

pytestmark = pytest.mark.django_db


@pytest.fixture
def calm() -> Client:
    """Shows the page of an error instead of raising it."""
    return Client(raise_request_exception=False)


@pytest.mark.parametrize(
    ("error", "status", "title"),
    [
        (PermissionDenied, 403, "You are not allowed to see this"),
        (RequestDataTooBig, 413, "That was too large"),
        (ZeroDivisionError, 500, "Something went wrong on our side"),
    ],
)
def test_errors_are_pages(calm: Client, error: type[Exception], status: int, title: str):
    with mock.patch("web.public.status.json.loads", side_effect=error("secret words")):
        response = calm.get("/status")
    text = response.content.decode()
    assert response.status_code == status
    assert title in text
    assert "secret words" not in text
    assert Page(text).problems() == []


def test_the_page_of_a_fault_names_the_call(calm: Client):
    with (
        mock.patch("web.public.status.json.loads", side_effect=ZeroDivisionError),
        mock.patch("config.handlers.request_id", return_value="the-id-of-the-log"),
    ):
        response = calm.get("/status")
    assert "<code>the-id-of-the-log</code>" in response.content.decode()


def test_an_address_that_is_not_there(client: Client):
    response = client.get("/nothing")
    assert response.status_code == 404
    assert "There is no such page" in response.content.decode()
    assert Page(response.content.decode()).problems() == []


def test_a_wrong_host_is_told_on_a_page(client: Client, settings: Any):
    settings.ALLOWED_HOSTS = ["stems.example.org"]
    response = client.get("/pricing", headers={"Host": "evil.example.org"})
    assert response.status_code == 400
    assert "evil" not in response.content.decode()
    assert client.get("/v1/catalog", headers={"Host": "evil.example.org"}).json()["error"]
