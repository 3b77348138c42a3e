"""The command line as its users call it, with the small real model."""

import json
import signal
import subprocess
import sys

import numpy as np
import pytest

from separation import catalog, cli
from tests.separation.media import tones, write_media

N = 44100


@pytest.fixture
def run(tmp_path, spleeter):
    """Run `python -m separation` with the installed weights."""

    def run_command(*arguments):
        command = [sys.executable, "-m", "separation", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)

    return run_command


@pytest.fixture
def recording(tmp_path):
    return write_media(tmp_path / "in.wav", tones(N, 2), codec="pcm_s16le")


def test_separate_prints_one_json_object(run, recording, tmp_path, read):
    out = tmp_path / "out"
    outcome = run(
        "separate", recording, "-o", out, "--model", "spleeter-2stems",
        "--stems", "vocals,instrumental", "--json",
    )  # fmt: skip
    assert outcome.returncode == 0, outcome.stderr
    result = json.loads(outcome.stdout.splitlines()[-1])
    assert result["stems"] == {
        "vocals": str(out / "vocals.wav"),
        "instrumental": str(out / "instrumental.wav"),
    }
    assert (result["sample_rate"], result["n_samples"]) == (44100, N)
    assert result["model"] == "spleeter-2stems"
    assert result["seconds"] > 0
    total = sum(read(path).astype(np.float64) for path in result["stems"].values())
    np.testing.assert_array_equal(total, read(recording))
    lines = outcome.stderr.splitlines()
    assert lines[:3] == ["probe", "load", "separate 0 %"]
    assert lines[-1] == "separate 100 %"


def test_a_device_that_is_not_there_is_one_sentence(run, recording, tmp_path):
    outcome = run("separate", recording, "-o", tmp_path / "out", "--device", "nonsense")
    assert outcome.returncode == 1
    assert outcome.stderr.splitlines()[-1] == (
        "stemwright: The device 'nonsense' is not available here."
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_leaves_nothing_half_made(spleeter, tmp_path, number):
    recording = write_media(tmp_path / "in.wav", tones(16 * N, 2), codec="pcm_s16le")
    out = tmp_path / "out"
    command = [sys.executable, "-m", "separation", "separate", recording, "-o", out]
    with subprocess.Popen(
        [*map(str, command), "--model", "spleeter-2stems"],
        stderr=subprocess.PIPE,
        text=True,
        # Under nohup, or in the background of a script, the tests ignore it, and so would this.
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    ) as process:
        assert process.stderr is not None
        next(line for line in process.stderr if line == "separate 20 %\n")
        process.send_signal(number)
        assert process.stderr.read().endswith("stemwright: cancelled\n")
    assert process.returncode == 130
    assert not out.exists()


def test_installing_all_passes_over_what_the_policy_forbids(run, monkeypatch):
    monkeypatch.setenv("STEMWRIGHT_WEIGHTS_POLICY", "commercial")
    outcome = run("models", "install")
    assert outcome.returncode == 0
    assert "htdemucs: The policy asks for commercial use." in outcome.stdout
    assert run("models", "install", "htdemucs").returncode == 1


def test_an_error_is_one_sentence_and_status_1(run, tmp_path):
    (tmp_path / "in.wav").write_text("nothing")
    outcome = run("separate", tmp_path / "in.wav", "-o", tmp_path / "out")
    assert outcome.returncode == 1
    assert outcome.stdout == ""
    assert outcome.stderr.splitlines()[-1] == (
        "stemwright: The file is not a recording of a kind that can be read."
    )
    assert "Traceback" not in outcome.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["separate", "none.wav", "-o", "out"], 1, "There is no file named 'none.wav'."),
        (["separate", "none.wav", "-o", "out", "--stems", "kazoo"], 1, "no stem named 'kazoo'"),
        (
            [
                *("separate", "none.wav", "-o", "out", "--stems", "guitar"),
                "--model=spleeter-2stems",
            ],
            1,
            "does not make the stem 'guitar'",
        ),
        (["separate", "none.wav", "-o", "out", "--stems", ""], 1, "at least one stem"),
        (["separate", "none.wav", "-o", "out", "--model", "x"], 1, "no model named 'x'"),
        (["models", "install", "x"], 1, "no model named 'x'"),
        (["separate", "none.wav"], 2, "-o"),
        (["separate", "none.wav", "-o", "out", "--format", "wma"], 2, "--format"),
        (["speakers", "none.wav"], 2, "-o"),
        (["speakers", "none.wav", "-o", "out"], 1, "There is no file named 'none.wav'."),
        (["speakers", "none.wav", "-o", "out", "--num-speakers", "21"], 1, "1 to 20 speakers"),
        (["speakers", "none.wav", "-o", "out", "--timeline", "x"], 1, "no file named 'x'"),
        (["speakers", "none.wav", "-o", "out", "--rename", "x"], 2, "SPEAKER=NAME"),
        (["sing", "none.wav"], 2, "sing"),
        ([], 2, "COMMAND"),
    ],
)
def test_exit_status_and_message(tmp_path, monkeypatch, capsys, arguments, status, said):
    monkeypatch.chdir(tmp_path)
    code: object
    try:
        code = cli.main(arguments)
    except SystemExit as stop:
        code = stop.code
    assert code == status
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.out == ""
    assert list(tmp_path.iterdir()) == []


def test_catalog_lists_stems_models_and_licences(capsys):
    assert cli.main(["catalog"]) == 0
    text = capsys.readouterr().out
    for model in catalog.models():
        assert model.licence.summary in text
    measured = catalog.quality_of("vocals", "htdemucs").sdr_db
    assert f"quality  SDR vocals {measured:.1f} dB" in text


def test_catalog_as_json(capsys):
    assert cli.main(["catalog", "--json"]) == 0
    listing = json.loads(capsys.readouterr().out.splitlines()[-1])
    models = {model["name"]: model for model in listing["models"]}
    own = [name for name, model in models.items() if not model["is_optional"]]
    assert own == [model.name for model in catalog.models() if not model.is_optional]
    assert own[:2] == ["htdemucs", "spleeter-2stems"]
    assert models["htdemucs-6s"]["status"] == "fetchable"
    assert models["htdemucs"]["licence"]["commercial_use"] is False
    stems = {stem["name"]: stem for stem in listing["stems"]}
    assert list(stems) == [stem.name for stem in catalog.stems()]
    assert stems["instrumental"]["minus"] == ["vocals"]
    makers = {name: set(stem["models"]) for name, stem in stems.items()}
    assert makers["instrumental"] & {*own} == {"htdemucs", "spleeter-2stems"}
    assert makers["accompaniment"] & {*own} == {"spleeter-2stems"}
    assert makers["piano"] >= {"htdemucs-6s", "bs-roformer-mega"}


def test_installing_what_is_installed_says_so(capsys, spleeter):
    assert cli.main(["models", "install", "spleeter-2stems"]) == 0
    assert capsys.readouterr().out == "spleeter-2stems: Its weights are on this machine.\n"
