import io
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from django.conf import settings
from django.test import Client

from config.logs import mask_tokens

SECRET = "ImFiYyI:1wABCD:very-secret_token"


@pytest.fixture
def output() -> Iterator[io.StringIO]:
    """What the service writes to its log, rendered as it renders it."""
    logging_settings: Any = settings.LOGGING
    formatter = dict(logging_settings["formatters"]["structured"])
    make: Any = formatter.pop("()")
    handler = logging.StreamHandler(io.StringIO())
    handler.setFormatter(make(**formatter))
    root = logging.getLogger()
    root.addHandler(handler)
    yield handler.stream
    root.removeHandler(handler)


@pytest.mark.django_db
def test_requests_are_logged_without_their_download_token(client: Client, output: io.StringIO):
    assert client.get(f"/v1/downloads/{SECRET}").status_code == 404
    assert client.get(f"/v1/downloads/{SECRET}/x?y=1").status_code == 404
    text = output.getvalue()
    assert "request_started" in text
    assert "request_finished" in text
    # Django's own line.
    assert "Not Found: /v1/downloads/***" in text
    assert "very-secret" not in text


@pytest.mark.django_db
@pytest.mark.parametrize(
    "path", ["/invitations", "/account/password/reset/key", "/account/confirm-email"]
)
def test_requests_are_logged_without_the_token_of_a_mail(
    client: Client, output: io.StringIO, path: str
):
    client.get(f"{path}/1-{SECRET}/")
    assert f"{path}/***" in output.getvalue()
    assert "very-secret" not in output.getvalue()


def test_a_traceback_is_logged_without_it(output: io.StringIO):
    try:
        raise ValueError(f"cannot serve /v1/downloads/{SECRET}")
    except ValueError:
        structlog.get_logger("test").exception("failed")
    assert "cannot serve /v1/downloads/***" in output.getvalue()
    assert "very-secret" not in output.getvalue()


def test_the_rest_stays_as_it_is():
    event = {"event": "request_started", "request": "GET /v1/jobs", "code": 200}
    assert mask_tokens(None, "info", dict(event)) == event
