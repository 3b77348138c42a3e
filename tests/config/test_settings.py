import re
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
