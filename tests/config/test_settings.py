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


def test_progress_streams_leave_threads_for_the_rest():
    serve = (Path(configured.BASE_DIR) / "scripts" / "serve.py").read_text()
    (threads,) = re.findall(r"--threads (\d+)", serve)
    assert configured.PROGRESS_STREAMS_PER_PROCESS < int(threads)


@pytest.mark.parametrize("secrets", ["short", ",", "x" * 31, f"{'x' * 32},short"])
def test_it_does_not_start_with_a_secret_that_could_be_guessed(secrets: str):
    """An access token gives away a hash of its secret."""
    environ = {**os.environ, "JWT_SECRETS": secrets, "DATABASE_URL": "postgresql://unused/unused"}
    start = subprocess.run(
        [sys.executable, "-c", "import config.settings"],
        cwd=configured.BASE_DIR,
        env=environ,
        capture_output=True,
        text=True,
    )
    assert start.returncode != 0
    assert "JWT_SECRETS" in start.stderr
