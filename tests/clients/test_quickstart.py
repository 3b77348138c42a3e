"""The programs of docs/quickstart.md run as they stand there, against the service."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from jobs.models import Job
from tests.clients.proxy import Proxy

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "quickstart.md").read_text(encoding="utf-8")
PROGRAMS = {
    language: next(
        block
        for block in re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)
        if "/jobs" in block
    )
    for language in ("bash", "python", "javascript")
}


@pytest.mark.parametrize("language", PROGRAMS)
def test_it_runs(
    proxy: Proxy, key: str, real_worker: None, song: Path, tmp_path: Path, language: str
):
    if language == "bash" and shutil.which("jq") is None:
        pytest.skip("there is no jq")
    shutil.copy(song, tmp_path / "song.mp3")
    file = tmp_path / {"bash": "a.sh", "python": "a.py", "javascript": "a.mjs"}[language]
    file.write_text(PROGRAMS[language], encoding="utf-8")
    program = {"bash": "bash", "python": sys.executable, "javascript": "node"}[language]
    ran = subprocess.run(
        [program, str(file)],
        cwd=tmp_path,
        env={**os.environ, "STEMWRIGHT_API_KEY": key, "STEMWRIGHT_BASE_URL": proxy.url},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    made = sorted(path.name for path in tmp_path.glob("song (*.wav"))
    assert made == ["song (instrumental).wav", "song (vocals).wav"]
    assert all(soundfile.info(tmp_path / name).frames == 8820 for name in made)
    assert Job.objects.get().state == "succeeded"
