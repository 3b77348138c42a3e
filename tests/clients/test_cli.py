"""The command line, in this process and as a program of its own."""

import json
import os
import pty
import re
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stemwright.cli import main

from jobs.models import Job
from tests.clients.proxy import Fault, Proxy
from tests.makers import make_asset, make_job, make_key, make_workspace

Run = Callable[..., "Ran"]


class Ran:
    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err

    @property
    def json(self) -> Any:
        return json.loads(self.out.splitlines()[-1])


@pytest.fixture
def run(live_server: Any, key: str, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("STEMWRIGHT_API_KEY", key)
    monkeypatch.setenv("STEMWRIGHT_BASE_URL", live_server.url)

    def run(*arguments: object) -> Ran:
        capsys.readouterr()
        try:
            status = main([str(one) for one in arguments])
        except SystemExit as exit:
            status = int(exit.code or 0)
        return Ran(status, *capsys.readouterr())

    return run


def test_separate(run: Run, worker: None, song: Path, tmp_path: Path):
    out = tmp_path / "out"
    ran = run("separate", song, "--stems", "vocals, instrumental", "-o", out)
    assert ran.status == 0
    paths = [Path(line) for line in ran.out.splitlines()]
    assert sorted(path.name for path in paths) == ["song (instrumental).wav", "song (vocals).wav"]
    assert all(path.parent == out and path.stat().st_size > 1000 for path in paths)
    lines = ran.err.splitlines()
    assert lines[:2] == ["upload song.wav: 0 %", "upload song.wav: 100 %"]
    assert re.fullmatch(r"Job [0-9a-f-]{36} \(0\.5 credits\)", lines[2])
    assert lines[-1] == "Charged 0.5 credits"


def test_separate_as_json(run: Run, worker: None, song: Path, tmp_path: Path):
    ran = run("separate", song, "--stems", "vocals", "--format", "wav16", "-o", tmp_path, "--json")
    (line,) = ran.out.splitlines()
    told = json.loads(line)
    job = Job.objects.get()
    assert told == {
        "job": str(job.uuid),
        "status": "succeeded",
        "model": "htdemucs",
        "credits_charged": "0.5",
        "charged_mcr": 500,
        "files": [
            {
                "stem": "vocals",
                "kind": "stem",
                "format": "wav16",
                "path": str(tmp_path / "song (vocals).wav"),
            }
        ],
    }


def test_it_says_the_price_first(run: Run, song: Path):
    ran = run("separate", song, "--stems", "vocals", "--estimate", "--quiet")
    assert (ran.status, ran.out, ran.err) == (0, "0.5 credits\n", "")
    assert not Job.objects.exists()


def test_speakers(run: Run, worker: None, song: Path, tmp_path: Path):
    ran = run("speakers", song, "--max-speakers", 4, "--timeline", "rttm,labels", "-o", tmp_path)
    assert ran.status == 0
    assert Job.objects.get().options["max_speakers"] == 4
    names = {Path(line).name for line in ran.out.splitlines()}
    assert {"song.rttm", "song.txt", "song (SPEAKER_0).wav"} <= names
    assert (tmp_path / "song.rttm").read_text().startswith("SPEAKER ")
    (upload,) = run("upload", song).out.split()
    again = run("speakers", upload, "-o", tmp_path / "again", "--json")
    assert again.json["timelines"] == {"rttm": str(tmp_path / "again" / "song.rttm")}
    refused = run("speakers", song, "--timeline", "srt", "-o", tmp_path)
    assert refused.status == 2
    assert Job.objects.count() == 2


def test_jobs_are_shown_and_ended(run: Run, workspace: Any, tmp_path: Path):
    job = str(make_job(workspace, make_asset(workspace, tmp_path)).uuid)
    assert re.search(rf"^{job}  \S+ \S+  queued 0%  separation  vocals ", run("jobs").out, re.M)
    assert run("job", "show", job).status == 0
    assert run("job", "cancel", job).out == "cancelled\n"
    waited = run("job", "wait", job, "--json")
    assert waited.status == 1
    assert waited.json["error"]["code"] == "cancelled"
    assert run("job", "delete", job).status == 0
    assert run("jobs", "--json").json == {"jobs": []}
    missing = run("job", "show", job)
    assert missing.status == 1
    assert re.search(r"\(not_found, request [0-9a-f-]+\)$", missing.err.strip())


def test_the_files_of_a_job_are_fetched_again(run: Run, worker: None, song: Path, tmp_path: Path):
    first = run("separate", song, "--stems", "vocals", "-o", tmp_path / "a", "--json").json
    ran = run("job", "download", first["job"], "-o", tmp_path / "b")
    (path,) = ran.out.splitlines()
    assert Path(path).read_bytes() == Path(first["files"][0]["path"]).read_bytes()
    zipped = run("job", "download", first["job"], "--zip", "-o", tmp_path, "--json")
    assert zipped.json["path"] == str(tmp_path / "song.zip")


def test_credits_and_catalogue(run: Run):
    assert run("credits").out == "100 credits\n"
    ran = run("credits", "--ledger", 5, "--json")
    assert [entry["amount_mcr"] for entry in ran.json["ledger"]] == [100_000]
    assert re.search(r"^vocals +yes +Vocals$", run("catalog").out, re.M)
    assert "max_upload_bytes" in run("catalog", "--json").json


def test_a_wrong_key(run: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("STEMWRIGHT_API_KEY", "ap_wrong")
    ran = run("credits")
    assert (ran.status, ran.out) == (3, "")
    assert ran.err.startswith("stemwright: This API key is not valid. (invalid_key, request ")
    monkeypatch.delenv("STEMWRIGHT_API_KEY")
    assert (run("credits").status, run("credits").err) == (
        3,
        "stemwright: Give an API key, or set STEMWRIGHT_API_KEY.\n",
    )


def test_too_few_credits(run: Run, song: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("STEMWRIGHT_API_KEY", make_key(make_workspace(credits=0)))
    ran = run("separate", song, "--stems", "vocals")
    assert ran.status == 4
    assert "insufficient_credits" in ran.err


def test_no_service(run: Run, proxy: Proxy, pauses: list[float]):
    proxy.will("GET", "/v1/credits", *[Fault(is_passed_on=False)] * 9)
    assert run("credits", "--base-url", proxy.url).status == 5
    assert run("credits", "--base-url", "ftp://x").status == 2


def test_wrong_usage(run: Run, tmp_path: Path):
    assert run().status == 2
    assert run("separate").status == 2
    ran = run("separate", tmp_path / "nothing.wav")
    assert (ran.status, ran.err) == (
        1,
        f"stemwright: {tmp_path / 'nothing.wav'}: No such file or directory\n",
    )


def test_waiting_no_longer_and_what_to_do_then(run: Run, song: Path, tmp_path: Path):
    ran = run("separate", song, "--stems", "vocals", "-o", tmp_path / "out", "--timeout", 0.1)
    job = Job.objects.get()
    assert ran.status == 6
    assert ran.err.splitlines()[-1] == (
        f"stemwright: The job goes on: stemwright job wait {job.uuid} -o {tmp_path / 'out'}"
    )


def test_ctrl_c(run: Run, song: Path, monkeypatch: pytest.MonkeyPatch):
    def interrupt(*arguments: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("stemwright.jobs.changes", interrupt)
    ran = run("separate", song, "--stems", "vocals")
    assert ran.status == 130
    assert f"stemwright job wait {Job.objects.get().uuid}" in ran.err


def test_a_terminal_gets_bars(live_server: Any, key: str, worker: None, song: Path, tmp_path: Path):
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    environ = {
        **os.environ,
        "STEMWRIGHT_API_KEY": key,
        "STEMWRIGHT_BASE_URL": live_server.url,
        "XDG_CACHE_HOME": str(tmp_path),
        "PYTHONPATH": str(Path(sys.modules["stemwright"].__path__[0]).parent),
    }
    command = [sys.executable, "-m", "stemwright", "separate", str(song), "--stems", "vocals"]
    process = subprocess.Popen(
        [*command, "-o", str(tmp_path / "out")],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
    )
    os.close(theirs)
    shown = read_terminal(ours)
    assert process.stdout is not None
    assert process.stdout.read() == f"{tmp_path / 'out' / 'song (vocals).wav'}\n"
    process.stdout.close()
    assert process.wait(60) == 0
    assert re.search(r"upload song\.wav: 100 % \|█+\| 35\.[0-9]k/35\.[0-9]k", shown)
    assert re.search(r"song \(vocals\)\.wav: 100 % \|█+\|", shown)


def read_terminal(descriptor: int) -> str:
    shown = b""
    while True:
        try:
            block = os.read(descriptor, 65536)
        except OSError:  # Its other end is closed.
            break
        if not block:
            break
        shown += block
    os.close(descriptor)
    return shown.decode()


def test_an_order_by_id_is_made_once(run: Run, worker: None, song: Path, tmp_path: Path):
    (upload,) = run("upload", song).out.split()
    order = ("separate", upload, "--stems", "vocals", "--idempotency-key", "song 7", "--json")
    first, second = (run(*order, "-o", tmp_path / name).json for name in "ab")
    assert first["job"] == second["job"]
    assert Job.objects.count() == 1
    # What was made is taken apart further.
    (vocals,) = [
        one["id"] for one in run("job", "show", first["job"], "--json").json["job"]["outputs"]
    ]
    assert run("separate", vocals, "--stems", "vocals", "-o", tmp_path / "c").status == 0
    assert Job.objects.count() == 2


def test_a_part_is_converted(run: Run, real_worker: None, song: Path, tmp_path: Path):
    part = ("--start", 0.05, "--end", 0.1, "--format", "wav16,flac")
    ran = run("convert", song, *part, "-o", tmp_path / "out", "--json")
    assert sorted(one["format"] for one in ran.json["files"]) == ["flac16", "wav16"]
    # 50 mcr a second, rounded up.
    assert ran.json["charged_mcr"] == 3
    assert re.search(
        r"^conversion +1 +0\.0 +0\.003\ntotal +1 +0\.0 ", run("usage", "--by", "service").out, re.M
    )
    assert run("usage", "--json").json["total"]["charged_mcr"] == 3


def test_jobs_are_found_and_made_anew(run: Run, workspace: Any, tmp_path: Path):
    asset = make_asset(workspace, tmp_path)
    first, second = (str(make_job(workspace, asset).uuid) for _ in range(2))
    run("job", "cancel", first)
    found = run("jobs", "--status", "cancelled", "--json").json["jobs"]
    assert [job["id"] for job in found] == [first]
    again = run("job", "retry", first).out.strip()
    assert [job["id"] for job in run("jobs", "--json").json["jobs"]] == [again, second, first]
