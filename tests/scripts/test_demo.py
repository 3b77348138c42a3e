from pathlib import Path
from typing import Any

from tests.scripts.conftest import ROOT


def test_it_refuses_a_recording_that_is_not_there(run_script: Any, tmp_path: Path) -> None:
    audio = tmp_path / "no such song.wav"
    result = run_script("scripts/demo.py", AUDIO=str(audio), STEMS="")
    assert result.stdout == ""
    assert result.stderr == (
        f"There is no file {audio}: name a recording with `make demo AUDIO=file`.\n"
    )
    assert result.returncode == 1


def test_it_refuses_a_folder(run_script: Any, tmp_path: Path) -> None:
    result = run_script("scripts/demo.py", "--audio", str(tmp_path))
    assert result.stderr == (
        f"There is no file {tmp_path}: name a recording with `make demo AUDIO=file`.\n"
    )
    assert result.returncode == 1


def test_it_refuses_an_empty_list_of_stems(run_script: Any) -> None:
    result = run_script("scripts/demo.py", "--audio", __file__, "--stems", " , ")
    assert result.stderr == "Name at least one stem: `make demo STEMS=vocals,drums`.\n"
    assert result.returncode == 1


def test_it_does_not_remove_its_own_input(run_script: Any) -> None:
    results = ROOT / "var" / "demo"
    results.mkdir(parents=True, exist_ok=True)
    audio = results / "test-input.wav"
    audio.touch()
    try:
        result = run_script("scripts/demo.py", "--audio", str(audio))
        assert audio.exists()
    finally:
        audio.unlink()
    assert result.stderr == (f"Each demo empties {results}: move test-input.wav out of it first.\n")
    assert result.returncode == 1
