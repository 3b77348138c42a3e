"""Recordings in other formats, cleaned or not, by the library and by the command line."""

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from separation import catalog, cli, probe
from separation.audio import several
from separation.audio.encode import StemWriter
from separation.converting import ConversionResult, convert, enhance
from separation.enhance import steps
from separation.errors import (
    InvalidRequest,
    SeparationCancelled,
    StepUnavailable,
    UnknownStep,
    UnsupportedFormat,
)
from tests.separation.media import noise, tones, write_media
from tests.separation.stepping import Gain
from tests.separation.stepping import use_steps as use_steps

N = 50_001
FORMATS = ("wav", "wav24", "wav32f", "flac", "flac24", "mp3")


def wav(path, samples, codec="pcm_s16le", rate=44100):
    return write_media(path, samples, rate, codec=codec)


def left_in(folder):
    return sorted(path.name for path in folder.rglob("*"))


def test_all_formats_hold_the_same_samples(tmp_path, read):
    path = wav(tmp_path / "in.wav", tones(N))
    result = convert(path, tmp_path / "out", output_formats=FORMATS, start=11, end=N - 7)
    assert list(result.files) == list(FORMATS)
    assert [file.name for file in result.files.values()] == [
        "recording.wav", "recording.wav24.wav", "recording.wav32f.wav",
        "recording.flac", "recording.flac24.flac", "recording.mp3",
    ]  # fmt: skip
    expected = read(path)[:, 11 : N - 7]
    for name, file in result.files.items():
        assert probe(file).n_samples == result.n_samples == N - 18
        if name != "mp3":
            np.testing.assert_array_equal(read(file), expected)
    difference = read(result.files["mp3"]) - expected
    assert np.square(difference).mean() < 0.01 * np.square(expected).mean()
    assert (result.steps, result.tools, result.clipped_samples) == ((), (), 0)


def test_24_bits_stay_as_they_are(tmp_path, read):
    path = write_media(tmp_path / "in.flac", noise(N), codec="flac", sample_format="s32")
    assert probe(path).bits_per_sample == 24
    result = convert(path, tmp_path / "out", output_formats=["wav", "flac", "wav24", "wav32f"])
    for file in result.files.values():
        np.testing.assert_array_equal(read(file), read(path))
    assert [probe(file).bits_per_sample for file in result.files.values()] == [24, 24, 24, None]


def test_a_lossy_recording_becomes_whole_samples(tmp_path, read):
    path = wav(tmp_path / "in.mp3", noise(N), "mp3")
    result = convert(path, tmp_path / "out", output_formats=["wav", "wav16"])
    np.testing.assert_array_equal(read(result.files["wav"]), read(path))
    assert probe(result.files["wav"]).is_float
    assert probe(result.files["wav16"]).bits_per_sample == 16


def test_enhancing_does_the_steps_in_order(tmp_path, read, use_steps):
    use_steps(denoise="Louder", dereverb="Quarter")
    path = wav(tmp_path / "in.wav", noise(N), "pcm_f32le")
    result = enhance(
        path, tmp_path / "out", steps=["denoise", "dereverb"], output_formats=["wav", "mp3"]
    )
    assert (result.steps, result.tools) == (("denoise", "dereverb"), ("t-denoise", "t-dereverb"))
    expected = (read(path) * 0.5 + 0.25) * 0.25
    np.testing.assert_allclose(read(result.files["wav"]), expected, atol=1e-7)
    assert left_in(tmp_path / "out") == ["enhanced.mp3", "enhanced.wav"]


def test_what_is_clipped_is_counted(tmp_path, use_steps):
    use_steps(denoise="Louder")
    path = wav(tmp_path / "in.wav", np.full((2, N), 2.0, np.float32), "pcm_f32le")
    result = enhance(path, tmp_path / "out", steps=["denoise"], output_formats=["wav16", "flac16"])
    assert result.clipped_samples == 2 * N


@pytest.mark.parametrize(
    ("options", "kind", "said"),
    [
        ({"steps": []}, InvalidRequest, "at least one step"),
        ({"steps": ["dereverb"]}, StepUnavailable, "step 'dereverb'"),
        ({"steps": ["sing"]}, UnknownStep, "no step named 'sing'"),
        ({"steps": ["denoise"], "output_formats": []}, InvalidRequest, "at least one format"),
        ({"steps": ["denoise"], "output_formats": ["ogg"]}, UnsupportedFormat, "named 'ogg'"),
        ({"steps": ["denoise"], "output_formats": ["mp3"] * 2}, InvalidRequest, "twice"),
        ({"steps": ["denoise"], "start": N}, InvalidRequest, "behind the end"),
    ],
)
def test_what_cannot_be_leaves_nothing(tmp_path, use_steps, options, kind, said):
    use_steps(denoise="Gain")
    path = wav(tmp_path / "in.wav", noise(N))
    with pytest.raises(kind, match=said):
        enhance(path, tmp_path / "out", **options)
    assert left_in(tmp_path) == ["in.wav"]


def test_a_cancel_leaves_nothing(tmp_path, use_steps):
    use_steps(denoise="Gain")
    path = wav(tmp_path / "in.wav", noise(10 * N))
    seen = []

    def stop(*, step, completed, total):
        seen.append(step)
        if step == "enhance" and completed > N:
            raise SeparationCancelled("Enough.")

    with pytest.raises(SeparationCancelled):
        enhance(path, tmp_path / "out", steps=["denoise"], on_progress=stop)
    assert left_in(tmp_path) == ["in.wav"]
    assert list(dict.fromkeys(seen)) == ["probe", "load", "enhance"]


def test_a_format_that_cannot_be_opened_takes_the_others_with_it(tmp_path, monkeypatch):
    path = wav(tmp_path / "in.wav", noise(N, 6))
    with pytest.raises(UnsupportedFormat):
        convert(path, tmp_path / "out", output_formats=["wav", "mp3"])
    (tmp_path / "out").mkdir()
    real: Any = StemWriter
    opened: list[Any] = []

    def second_fails(*arguments, **options):
        if opened:
            raise OSError("no more files")
        opened.append(real(*arguments, **options))
        return opened[0]

    monkeypatch.setattr(several, "StemWriter", second_fails)
    with pytest.raises(OSError, match="no more files"):
        convert(path, tmp_path / "out", output_formats=["wav", "flac"])
    assert left_in(tmp_path) == ["in.wav", "out"]


def test_a_recording_is_not_written_over(tmp_path):
    path = wav(tmp_path / "enhanced.wav", noise(N))
    with pytest.raises(InvalidRequest, match="choose another output folder"):
        enhance(path, tmp_path, steps=["denoise"])
    assert probe(path).n_samples == N


def test_the_result_goes_through_json(tmp_path):
    path = wav(tmp_path / "in.wav", noise(N))
    result = convert(path, tmp_path / "out", output_formats=["wav", "mp3"])
    assert ConversionResult.from_json(json.loads(json.dumps(result.to_json()))) == result


def test_a_tool_does_its_step_by_an_entry_and_a_class(use_steps):
    use_steps(deecho="Gain", dereverb="Quarter")
    assert steps.tool_of("dereverb").name == "t-dereverb"
    assert isinstance(steps.open_step("deecho", 44100, 2), Gain)
    assert {step.name: step.is_available for step in steps.STEPS} == {
        "denoise": False, "deecho": True, "dereverb": True,
    }  # fmt: skip
    with pytest.raises(StepUnavailable, match="step 'denoise'"):
        steps.tool_of("denoise")


def test_a_step_whose_tools_are_forbidden_is_not_available(monkeypatch):
    state = catalog.Availability(catalog.AvailabilityStatus.FORBIDDEN, "The policy says so.")
    monkeypatch.setattr(catalog, "availability", lambda package: state)
    with pytest.raises(StepUnavailable, match="'denoise' is not available. The policy says so"):
        steps.tool_of("denoise")


def test_each_tool_of_a_step_has_its_class():
    for known in steps.STEPS:
        for tool in known.tools:
            module, _, kind = steps._CLASSES[tool.name].partition(":")
            assert hasattr(__import__(module, fromlist=[kind]), kind)


# --- on the command line


@pytest.fixture
def recording(tmp_path):
    return wav(tmp_path / "in.wav", noise(N))


def test_the_command_prints_one_json_object(recording, tmp_path, read):
    arguments = ["enhance", recording, "-o", tmp_path / "out", "--steps", "denoise", "--json"]
    command = [sys.executable, "-m", "separation", *map(str, arguments)]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert outcome.returncode == 0, outcome.stderr
    result = json.loads(outcome.stdout.splitlines()[-1])
    file = str(tmp_path / "out" / "enhanced.wav")
    assert (result["file"], result["files"]) == (file, {"wav": file})
    assert (result["sample_rate"], result["n_samples"], result["channels"]) == (44100, N, 2)
    assert (result["steps"], result["tools"]) == (["denoise"], ["deepfilternet3"])
    assert result["seconds"] > 0
    assert read(file).shape == (2, N)
    # Noise it was, and nothing else.
    assert np.square(read(file)).mean() < 0.1 * np.square(read(recording)).mean()


@pytest.mark.parametrize(
    ("arguments", "file", "n_samples"),
    [
        (["-o", "out", "--start", "0.5", "--end", "1"], "out/enhanced.wav", 22050),
        (["-o", "out", "--format", "mp3", "--start", "1"], "out/enhanced.mp3", N - 44100),
        (["-o", "clean.wav"], "clean.wav", N),
        (["-o", "sub/clean.FLAC", "--end", "9"], "sub/clean.flac", N),
        (["-o", "clean.flac", "--format", "flac24"], "clean.flac", N),
    ],
)
def test_places_formats_and_ranges(
    recording, tmp_path, monkeypatch, capsys, use_steps, arguments, file, n_samples
):
    use_steps(denoise="Gain")
    monkeypatch.chdir(tmp_path)
    assert cli.main(["enhance", "in.wav", "--steps", "denoise", *arguments]) == 0
    assert capsys.readouterr().out == f"{file}\n"
    assert probe(tmp_path / file).n_samples == n_samples


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["in.wav", "-o", "out"], 2, "--steps"),
        (["in.wav", "-o", "out", "--steps", ""], 1, "at least one step"),
        (["none.wav", "-o", "out", "--steps", "denoise,dereverb"], 1, "the step 'dereverb' is"),
        (["none.wav", "-o", "out", "--steps", "denoise"], 1, "no file named 'none.wav'"),
        (["in.wav", "-o", "out", "--steps", "sing"], 1, "no step named 'sing'"),
        (["in.wav", "-o", "a.wav", "--steps", "denoise", "--format", "mp3"], 1, "not named 'a.wav"),
        (["in.wav", "-o", "out", "--steps", "denoise", "--start", "nan"], 1, "in seconds"),
        (["in.wav", "-o", "out", "--steps", "denoise", "--start", "2"], 1, "behind the end"),
        (["in.wav", "-o", "in.wav", "--steps", "denoise"], 1, "choose another output folder"),
    ],
)
def test_wrong_usage(recording, tmp_path, monkeypatch, capsys, use_steps, arguments, status, said):
    use_steps(denoise="Gain")
    monkeypatch.chdir(tmp_path)
    code: object
    try:
        code = cli.main(["enhance", *arguments])
    except SystemExit as stop:
        code = stop.code
    captured = capsys.readouterr()
    assert (code, captured.out) == (status, "")
    assert said in captured.err
    assert left_in(tmp_path) == ["in.wav"]


def test_the_catalogue_shows_the_steps(capsys):
    assert cli.main(["catalog"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "denoise          Noise goes, speech stays. [deepfilternet3]" in lines
    assert "dereverb         The sound of the room goes. [late-reverb]" in lines
    assert cli.main(["catalog", "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])["steps"]
    assert [(step["name"], step["tools"], step["is_available"]) for step in found] == [
        ("denoise", ["deepfilternet3"], True),
        ("deecho", ["echo-prediction"], True),
        ("dereverb", ["late-reverb"], True),
    ]
