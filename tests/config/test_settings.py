import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as configured
from django.test import Client


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "status"), [("/livez", 200), ("/readyz", 200), ("/v1/catalog", 301), ("/livezz", 301)]
)
def test_in_production_only_probes_are_answered_over_plain_http(
    settings: Any, path: str, status: int
):
    settings.SECURE_SSL_REDIRECT = True
    assert Client().get(path).status_code == status


def test_calls_that_last_leave_threads_for_the_rest():
    server = (Path(configured.BASE_DIR) / "config" / "gunicorn.py").read_text()
    (threads,) = re.findall(r"^threads = (\d+)$", server, re.MULTILINE)
    last = (
        configured.PROGRESS_STREAMS_PER_PROCESS
        + configured.UPLOAD_BODIES_PER_PROCESS
        + configured.SYNC_WAITS_PER_PROCESS
    )
    # Some are for calls that wait a little without being told no (api/sunoapi/fetching.py).
    assert last + 4 <= int(threads)


@pytest.mark.parametrize(
    ("name", "secrets"),
    [
        # An access token gives away a hash of its secret.
        ("JWT_SECRETS", "short"),
        ("JWT_SECRETS", ","),
        ("JWT_SECRETS", "x" * 31),
        ("JWT_SECRETS", f"{'x' * 32},short"),
        ("MFA_ENCRYPTION_KEYS", ","),
        ("MFA_ENCRYPTION_KEYS", "x" * 32),
        ("MFA_ENCRYPTION_KEYS", "é" * 43 + "="),
        ("MFA_ENCRYPTION_KEYS", "m" * 43 + "=,short"),
    ],
)
def test_it_does_not_start_with_a_secret_that_will_not_do(name: str, secrets: str):
    environ = {**os.environ, name: secrets, "DATABASE_URL": "postgresql://unused/unused"}
    start = subprocess.run(
        [sys.executable, "-c", "import config.settings"],
        cwd=configured.BASE_DIR,
        env=environ,
        capture_output=True,
        text=True,
    )
    assert start.returncode != 0
    assert f"EnvError: {name} needs at least one" in start.stderr


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, "2"),
        ({"STEMWRIGHT_DEVICE": "cuda:1"}, "8"),
        ({"STEMWRIGHT_DEVICE": "mps", "STEMWRIGHT_JOBS_AT_ONCE": "3"}, "3"),
        ({"STEMWRIGHT_JOBS_AT_ONCE": "0"}, "1"),
    ],
)
def test_how_many_jobs_share_a_device_depends_on_it(values: dict[str, str], expected: str):
    environ = {key: value for key, value in os.environ.items() if "STEMWRIGHT_" not in key}
    start = subprocess.run(
        [sys.executable, "-c", "import config.settings as s; print(s.JOBS_AT_ONCE)"],
        cwd=configured.BASE_DIR,
        env={**environ, **values, "DATABASE_URL": "postgresql://unused/unused"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert start.stdout == f"{expected}\n"
