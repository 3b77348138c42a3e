"""The examples run as they stand, against the service with the real engine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from jobs.models import Job
from tests.clients.proxy import Fault, Proxy

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "clients" / "examples"
COMMANDS = {
    "separate.py": [sys.executable, str(EXAMPLES / "separate.py")],
    "separate.sh": ["bash", str(EXAMPLES / "separate.sh")],
    "separate.mjs": ["node", str(EXAMPLES / "separate.mjs")],
}


def test_none_is_left_out():
    assert {path.name for path in EXAMPLES.iterdir() if path.is_file()} == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_it_runs(proxy: Proxy, key: str, real_worker: None, song: Path, tmp_path: Path, name: str):
    # The answer to the order is lost once: an example has to send it again, and pay once.
    proxy.will("POST", "/v1/jobs", Fault(status=503))
    ran = subprocess.run(
        [*COMMANDS[name], str(song)],
        cwd=tmp_path,
        env={
            **os.environ,
            "STEMWRIGHT_API_KEY": key,
            "STEMWRIGHT_BASE_URL": proxy.url,
            "PYTHONPATH": str(ROOT / "clients" / "python" / "src"),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    files = sorted((tmp_path / "out").iterdir())
    assert [path.name for path in files] == ["song (instrumental).wav", "song (vocals).wav"]
    assert [soundfile.info(path).frames for path in files] == [8820, 8820]
    (job,) = Job.objects.all()
    assert (job.state, job.charged_mcr) == ("succeeded", 500)
    keys = {call.headers["idempotency-key"] for call in proxy.called("POST", "/v1/jobs")}
    assert (len(proxy.called("POST", "/v1/jobs")), len(keys)) == (2, 1)


def test_a_refusal_is_no_success(proxy: Proxy, song: Path, tmp_path: Path, media_dir: Path):
    for name, command in COMMANDS.items():
        ran = subprocess.run(
            [*command, str(song)],
            cwd=tmp_path,
            env={
                **os.environ,
                "STEMWRIGHT_API_KEY": "ap_wrong",
                "STEMWRIGHT_BASE_URL": proxy.url,
                "PYTHONPATH": str(ROOT / "clients" / "python" / "src"),
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert ran.returncode != 0, name
    assert not Job.objects.exists()
