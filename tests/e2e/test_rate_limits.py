"""The limits hold for the service, not for each of its processes."""

import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.e2e.processes import ROOT, service_environment, wait_until
from tests.makers import make_key, make_workspace

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def web(environ: dict[str, str], log: Path) -> Iterator[str]:
    """Two web processes, each of which writes its id into the log with every answer."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = f"-m gunicorn config.wsgi:application -b 127.0.0.1:{port} --worker-class gthread"
    command += " --workers 2 --threads 16 --no-control-socket --access-logfile -"
    address = f"http://127.0.0.1:{port}"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *command.split(), "--access-logformat", "served-by %(p)s %(s)s %(U)s"],
            cwd=ROOT,
            env=environ,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_until(lambda: is_up(address), timeout_s=60, log=log)
            yield address
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def is_up(address: str) -> bool:
    try:
        return httpx.get(f"{address}/livez", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def test_two_processes_let_a_hundred_calls_pass_between_them(tmp_path: Path):
    workspace = make_workspace(credits=1)
    key, other_key = make_key(workspace), make_key(workspace)
    log = tmp_path / "web.log"
    with web(service_environment(tmp_path / "media"), log) as address:

        def call(path: str = "/v1/credits", *, key: str = key) -> httpx.Response:
            # A connection of its own: one that is kept would stay with one process.
            headers = {"X-API-Key": key}
            return httpx.get(f"{address}{path}", headers=headers, trust_env=False, timeout=30)

        with ThreadPoolExecutor(30) as pool:
            answers = list(pool.map(lambda _: call(), range(120)))
        assert Counter(answer.status_code for answer in answers) == {200: 100, 429: 20}
        for answer in answers:
            if answer.status_code == 429:
                assert 1 <= int(answer.headers["Retry-After"]) <= 60
                assert answer.headers["RateLimit"].startswith('"default";r=0;t=')
        # Each of the calls that passed was told another remainder.
        left = sorted(int(a.headers["X-RateLimit-Remaining"]) for a in answers)
        assert left == [0] * 20 + list(range(100))
        assert call("/v1/credits/ledger").status_code == 200
        assert call(key=other_key).status_code == 200
        assert call().status_code == 429
    served = [
        line.split()[1]
        for line in log.read_text().splitlines()
        if line.startswith("served-by") and line.endswith("/v1/credits")
    ]
    shares = Counter(served)
    assert (len(shares), shares.total()) == (2, 122)
