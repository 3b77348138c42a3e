"""What docs/clients.md says is so."""

import re
import shlex
import textwrap
from pathlib import Path
from typing import Any

import pytest
import stemwright
from stemwright import Client
from stemwright.cli import parser

from tests.makers import make_wav

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "clients.md").read_text()
README = (ROOT / "clients" / "python" / "README.md").read_text()


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


@pytest.fixture
def environment(
    monkeypatch: pytest.MonkeyPatch, live_server: Any, key: str, tmp_path: Path
) -> None:
    monkeypatch.setenv("STEMWRIGHT_API_KEY", key)
    monkeypatch.setenv("STEMWRIGHT_BASE_URL", live_server.url)
    monkeypatch.chdir(tmp_path)
    Path("song.mp3").write_bytes(make_wav(seconds=0.2))


def test_the_program_of_the_guide_runs(
    environment: None, real_worker: None, capsys: pytest.CaptureFixture[str]
):
    exec(compile(blocks(GUIDE, "python")[0], "docs/clients.md", "exec"), {})
    assert capsys.readouterr().out.endswith("35324 35324\n")
    assert sorted(path.name for path in Path("out").iterdir()) == [
        "song (instrumental).flac",
        "song (vocals).flac",
    ]


def test_the_batch_of_the_guide_is_ordered(environment: None, capsys: pytest.CaptureFixture[str]):
    exec(compile(blocks(GUIDE, "python")[1], "docs/clients.md", "exec"), {})
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()] == ["500", "5"]


@pytest.mark.parametrize("text", [README, str(stemwright.__doc__)])
def test_the_programs_of_the_package_run(environment: None, worker: None, text: str):
    (program,) = blocks(text, "python") or [textwrap.dedent(text.split("\n\n", 1)[1])]
    exec(compile(program, "README.md", "exec"), {})
    assert len(list(Path("out").iterdir())) == 2


def test_the_commands_are_understood():
    lines = "\n".join(blocks(GUIDE, "bash") + blocks(README, "bash")).splitlines()
    commands = [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("stemw")]
    assert len(commands) > 8
    for command in commands:
        assert callable(parser().parse_args(command).run)


def test_the_calls_are_there_and_none_is_left_out():
    with Client("ap_x", "http://127.0.0.1") as client:
        groups = {name: group for name, group in vars(client).items() if name != "_http"}
        for name, group in groups.items():
            (row,) = re.findall(rf"^\| `client\.{name}` \| (.*) \|$", GUIDE, re.M)
            offered = {one for one in dir(group) if not one.startswith("_")}
            assert set(re.findall(r"`([a-z_]+)`", row.replace("speaker_extraction", ""))) == offered


def test_each_error_is_in_the_tree():
    errors = [
        name
        for name, one in vars(stemwright).items()
        if isinstance(one, type) and issubclass(one, stemwright.StemwrightError)
    ]
    assert len(errors) > 15
    assert [name for name in errors if not re.search(rf"\b{name}\b", GUIDE)] == []
