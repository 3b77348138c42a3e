import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import soundfile

from billing.selectors import ledger_discrepancies
from jobs.models import Job
from separation.catalog.measured import measurements
from tests.e2e.processes import ROOT, service_environment
from tests.makers import make_prices

TIMEOUT_S = 300


@pytest.fixture
def demo(media_dir: Path, transactional_db: None) -> Any:
    """What `make demo` does after its set-up: real server, real clusters, real engine."""
    make_prices()

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "scripts/demo.py", *arguments],
            cwd=ROOT,
            env=service_environment(media_dir),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )

    return run


def last_line(result: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    word, _, report = result.stdout.splitlines()[-1].partition(" ")
    assert word == "DEMO"
    parsed: dict[str, Any] = json.loads(report)
    return parsed


def test_it_takes_the_shipped_song_apart_and_charges_its_duration(demo: Any):
    result = demo()
    assert (result.returncode, result.stderr) == (0, "")
    report = last_line(result)
    assert (report["status"], report["credits_charged"]) == ("succeeded", 57.5)
    job = Job.objects.get(uuid=report["job"])
    assert (job.state, job.charged_mcr) == ("succeeded", 57_500)
    assert ledger_discrepancies() == []
    assert set(report["stems"]) == {"vocals", "drums", "bass", "other"}
    for path in report["stems"].values():
        assert (soundfile.info(path).frames, soundfile.info(path).channels) == (1_014_300, 2)
    # What the catalogue states was measured so; another processor may round a little differently.
    measured = {
        one.stem: one.sdr_db
        for one in measurements()
        if (one.model, one.set.name) == ("htdemucs", "demo") and one.stem in report["stems"]
    }
    assert report["sdr_db"] == pytest.approx(measured, abs=0.1)
    assert report["sdr_db"]["vocals"] > 5
    assert "personal and research use only" in result.stdout


def test_what_cannot_be_done_ends_in_one_sentence_and_charges_nothing(demo: Any):
    result = demo("--stems", "kazoo")
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "kazoo" in result.stderr
    assert "DEMO" not in result.stdout
    assert Job.objects.count() == 0
