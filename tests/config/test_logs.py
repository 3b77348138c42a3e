import io
import logging
import os
import subprocess
import sys
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


@pytest.mark.django_db
def test_requests_are_logged_without_the_token_of_a_timeline(client: Client, output: io.StringIO):
    assert client.get(f"/v1/timelines/{SECRET}").status_code == 404
    assert "Not Found: /v1/timelines/***" in output.getvalue()
    assert "very-secret" not in output.getvalue()


@pytest.mark.parametrize("slash", ["%2F", "%2f", "/"])
def test_an_address_within_a_query_is_masked(slash: str):
    within = f"{slash}invitations{slash}{SECRET}{slash}"
    event = {"request": f"GET /account/signup/?next={within}&x=1"}
    masked = f"GET /account/signup/?next={slash}invitations{slash}***&x=1"
    assert mask_tokens(None, "info", event)["request"] == masked


@pytest.mark.parametrize(
    ("said", "logged"),
    [
        (f"PUT /v1/upload-parts/{SECRET}?x=1", "PUT /v1/upload-parts/***?x=1"),
        (
            "GET https://s3.example/b/k?X-Amz-Credential=AKIA%2F1&X-Amz-Date=1&X-Amz-Signature=ab12",
            "GET https://s3.example/b/k?X-Amz-Credential=***&X-Amz-Date=1&X-Amz-Signature=***",
        ),
        ("https://cdn.example/a.wav?id=7&sig=x%2By", "https://cdn.example/a.wav?id=7&sig=***"),
        ("secret whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw.", "secret whsec_***."),
        (f"key ap_{'a1B2c3D4' + 'x' * 38} sent", "key ap_a1B2c3D4*** sent"),
        ("design=7&signature_version=4", "design=7&signature_version=4"),
    ],
)
def test_secrets_are_masked_wherever_they_stand(said: str, logged: str):
    assert mask_tokens(None, "info", {"x": said}) == {"x": logged}


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


@pytest.mark.django_db
def test_an_address_that_is_only_claimed_is_not_logged(client: Client, output: io.StringIO):
    client.get("/livez", headers={"X-Forwarded-For": "192.0.2.7"})
    assert '"ip": "127.0.0.1"' in output.getvalue()
    assert "192.0.2.7" not in output.getvalue()


def test_a_terminal_shows_no_variables_of_a_traceback():
    """With a process of its own, whose standard error is a terminal."""
    program = """
import sys
sys.stderr.isatty = lambda: True
import django
django.setup()
import structlog

def sign_in(password):
    raise ValueError("cannot open /v1/downloads/very-secret")

try:
    sign_in("".join(["hunter", "2"]))
except ValueError:
    structlog.get_logger("test").exception("failed")
"""
    environ = {**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings"}
    told = subprocess.run(
        [sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=True
    ).stderr
    assert "ValueError: cannot open /v1/downloads/***" in told
    assert "hunter2" not in told
    assert "very-secret" not in told
