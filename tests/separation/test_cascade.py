"""Stems of stems: what is made, in how many passes, and that all of it adds up."""

import dataclasses
import itertools
import json
from typing import Any

import numpy as np
import pytest

from separation import catalog, cli, engines, plan, separate
from separation.errors import SeparationCancelled, StemUnavailable
from separation.planning import can_be_made, makers
from tests.separation.conftest import GAINS, SEGMENT
from tests.separation.crooked import make_crooked
from tests.separation.family import CHILDREN, family, passes
from tests.separation.media import noise, write_media

__all__ = ["family"]  # a fixture

N = 30_011
EXACT = ["wav16", "wav24", "flac16", "flac24"]
TWELVE = catalog.stem_set("full-split").stems
# Each with what it adds up to; the empty name is the recording.
FAMILIES = [
    ("", list(GAINS)),
    *((parent, list(shares)) for parent, shares in CHILDREN.values()),
    ("guitar", ["acoustic_guitar", "electric_guitar"]),
    ("keys", ["keyboard", "synth"]),
    ("keys", ["piano", "organ", "synth"]),
    ("winds", ["brass", "woodwinds"]),
    ("cymbals", ["hihat", "ride", "crash"]),
    ("drums", ["drum_kit", "percussion"]),
    ("", ["vocals", "instrumental"]),
    *(("", list(one.stems)) for one in catalog.sets() if one.adds_up),
]


def every_stem():
    """All that the family makes: what only another root makes is left out."""
    return [stem.name for stem in catalog.stems() if stem.name != "accompaniment"]


def recording(tmp_path, n_samples=N, n_channels=2, *, level=0.9, rate=44100, codec="pcm_s24le"):
    samples = noise(n_samples, n_channels, level=level)
    return write_media(tmp_path / "in.wav", samples, rate, codec=codec)


def stems_of(path, folder, read, **options):
    result = separate(path, folder, **options)
    return {name: read(file).astype(np.float64) for name, file in result.stems.items()}


# --- what is made


def test_every_stem_of_the_catalogue_can_be_made(family):
    assert can_be_made() == set(every_stem())


def test_a_child_hears_the_stem_of_its_parent(family, tmp_path, read):
    path = recording(tmp_path, codec="pcm_f32le")
    stems = stems_of(path, tmp_path / "out", read, stems=["kick", "drums"], residual="keep")
    np.testing.assert_allclose(stems["drums"], GAINS["drums"] * read(path), atol=1e-6)
    # The first of a child's stems is not late.
    np.testing.assert_allclose(stems["kick"], 0.4 * stems["drums"], atol=1e-6)


def test_a_child_of_a_sum_hears_the_sum(family, tmp_path, read):
    path = recording(tmp_path, codec="pcm_f32le")
    names = ["rhythm_guitar", "guitar"]
    stems = stems_of(path, tmp_path / "out", read, stems=names, residual="keep")
    np.testing.assert_allclose(stems["rhythm_guitar"], 0.6 * stems["guitar"], atol=1e-6)
    assert np.abs(stems["guitar"]).max() > 0.05


def test_stems_that_were_not_asked_for_are_not_written(family, tmp_path):
    result = separate(recording(tmp_path), tmp_path / "out", stems=["lead_guitar", "snare"])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "lead_guitar.wav",
        "snare.wav",
    ]
    assert list(result.stems) == ["lead_guitar", "snare"]
    assert result.model == "htdemucs"
    assert sorted(result.models) == sorted(["htdemucs", "instruments", "guitar-roles", "drumkit"])
    assert set(result.clipped_samples) == {"lead_guitar", "snare"}


@pytest.mark.parametrize(
    ("stems", "models"),
    [
        (["vocals", "instrumental"], {"htdemucs"}),
        (["kick"], {"htdemucs", "drumkit"}),
        (["drum_kit", "percussion", "cymbals"], {"htdemucs", "drumkit"}),
        (["guitar", "keys", "winds", "fx"], {"htdemucs", "instruments"}),
        (["lead_guitar"], {"htdemucs", "instruments", "guitar-roles"}),
        (["lead_vocals", "female_vocals"], {"htdemucs", "lead-and-backing", "male-and-female"}),
        (TWELVE, {"htdemucs", "drumkit", "instruments", "lead-and-backing"}),
        (None, {"htdemucs"}),
    ],
)
def test_each_model_that_is_needed_hears_each_segment_once(family, tmp_path, stems, models):
    path = recording(tmp_path, 5 * SEGMENT)
    separate(path, tmp_path / "0", stems=["vocals"])
    n_segments = family["htdemucs"].n_passes
    family["htdemucs"].n_passes = 0
    separate(path, tmp_path / "out", stems=stems)
    assert passes(family) == dict.fromkeys(models, n_segments)


def test_silence_goes_through_no_model(family, tmp_path, read, monkeypatch):
    monkeypatch.setitem(GAINS, "drums", 0.0)
    path = recording(tmp_path)
    stems = stems_of(path, tmp_path / "out", read, stems=["kick", "crash"])
    assert "drumkit" not in passes(family)
    assert not any(stem.any() for stem in stems.values())


def test_a_stem_of_several_models_is_made_by_all_of_them(family):
    assert makers(catalog.stem("kick")) == ("drumkit",)
    assert makers(catalog.stem("rest_of_eight")) == ("htdemucs", "drumkit", "instruments")


# --- the sums


@pytest.mark.parametrize("output_format", EXACT)
@pytest.mark.parametrize("residual", ["spread", "rest"])
def test_siblings_add_up_to_the_last_bit(
    family, gain_engine, monkeypatch, tmp_path, read, output_format, residual
):
    make_crooked(gain_engine, monkeypatch)
    bits = output_format.endswith("24")
    path = recording(tmp_path, level=0.999, codec="pcm_s24le" if bits else "pcm_s16le")
    options = {"stems": every_stem(), "output_format": output_format, "residual": residual}
    stems = stems_of(path, tmp_path / "out", read, **options)
    assert_sums(stems | {"": read(path)}, atol=0)


def assert_sums(stems, *, atol):
    for parent, children in FAMILIES:
        total = sum(stems[name] for name in children)
        np.testing.assert_allclose(total, stems[parent], rtol=0, atol=atol, err_msg=parent)


@pytest.mark.parametrize("residual", ["spread", "rest"])
def test_floats_add_up_within_their_rounding(family, tmp_path, read, residual):
    path = recording(tmp_path, codec="pcm_f32le")
    stems = stems_of(path, tmp_path / "out", read, stems=every_stem(), residual=residual)
    # Each of twelve has 24 bits of its own.
    assert_sums(stems | {"": read(path)}, atol=12 * 2.0**-25)


@pytest.mark.parametrize("n_channels", [1, 3, 6])
@pytest.mark.parametrize("rate", [44100, 48000, 8000])
def test_they_add_up_in_every_channel_at_every_rate(family, tmp_path, read, n_channels, rate):
    path = recording(tmp_path, n_channels=n_channels, rate=rate)
    stems = stems_of(path, tmp_path / "out", read, stems=every_stem())
    assert {stem.shape for stem in stems.values()} == {(n_channels, N)}
    assert_sums(stems | {"": read(path)}, atol=0)


@pytest.mark.parametrize("output_format", ["wav16", "wav24"])
def test_sums_of_what_is_as_loud_as_can_be_are_not_clipped(
    family, tmp_path, read, monkeypatch, output_format
):
    # Parts that are each louder than their parent, and against one another.
    monkeypatch.setitem(GAINS, "other", 1.0)
    shares = dict.fromkeys(CHILDREN["instruments"][1], -1.0)
    shares |= {"acoustic_guitar": 3.0, "electric_guitar": 2.0, "piano": 2.5, "fx": -3.0}
    monkeypatch.setitem(CHILDREN, "instruments", ("other", shares))
    for name in ("drums", "bass", "vocals"):
        monkeypatch.setitem(GAINS, name, 0.0)
    path = recording(tmp_path, level=1.0, codec="pcm_s16le")
    result = separate(path, tmp_path / "out", stems=every_stem(), output_format=output_format)
    stems = {name: read(file).astype(np.float64) for name, file in result.stems.items()}
    assert_sums(stems | {"": read(path)}, atol=0)
    for name in ("guitar", "keys", "keyboard", "winds"):
        assert result.clipped_samples[name] == 0
    assert np.abs(stems["guitar"]).max() > 0.98


def test_a_stem_is_the_same_whatever_else_is_asked_for(family, tmp_path, read):
    path = recording(tmp_path, codec="pcm_s16le")
    together = stems_of(path, tmp_path / "all", read, stems=every_stem())
    for name in ("kick", "drum_kit", "lead_guitar", "keyboard", "fx", "male_vocals", "drums"):
        alone = stems_of(path, tmp_path / name, read, stems=[name])
        np.testing.assert_array_equal(alone[name], together[name], err_msg=name)


def test_no_two_stems_are_the_same(family, gain_engine, monkeypatch, tmp_path, read):
    make_crooked(gain_engine, monkeypatch)
    stems = stems_of(recording(tmp_path), tmp_path / "out", read, stems=every_stem())
    for one, other in itertools.combinations(stems, 2):
        assert np.abs(stems[one] - stems[other]).max() > 0.001, (one, other)


def test_by_setting_parts_are_what_the_networks_returned(family, tmp_path, read):
    path = recording(tmp_path, codec="pcm_f32le")
    names = ["snare", "kick"]
    stems = stems_of(path, tmp_path / "out", read, stems=names, residual="keep", overlap=0)
    expected = 0.3 * np.roll(stems["kick"] / 0.4, 1, axis=1)
    inside = np.arange(N) % SEGMENT > 0
    inside[-SEGMENT - 1 :] = False
    np.testing.assert_allclose(stems["snare"][:, inside], expected[:, inside], atol=1e-6)


def test_several_formats_in_one_pass(family, tmp_path, read):
    path = recording(tmp_path)
    names = [*TWELVE, "lead_guitar", "drums"]
    options: dict[str, Any] = {"output_format": "flac16", "more_formats": ["wav24", "wav32f"]}
    result = separate(path, tmp_path / "out", stems=names, **options)
    for output_format, files in result.more_stems.items():
        alone = separate(path, tmp_path / output_format, stems=names, output_format=output_format)
        for name, file in files.items():
            np.testing.assert_array_equal(read(file), read(alone.stems[name]))


# --- parts, ends


def test_it_goes_on_after_a_part_with_the_same_bits(family, tmp_path):
    path = recording(tmp_path, 100_000, codec="pcm_s16le")
    options: dict[str, Any] = {"stems": [*TWELVE, "lead_guitar", "drums"], "part_seconds": 0.5}
    expected = separate(path, tmp_path / "1", **options)
    n_all = passes(family)
    for engine in family.values():
        engine.n_passes = 0
    n_parts = 0

    def stop(*, step, completed, total):
        nonlocal n_parts
        n_parts += step == "part"
        if n_parts == 3:
            raise SeparationCancelled("Enough.")

    options["parts_dir"] = tmp_path / "parts"
    with pytest.raises(SeparationCancelled):
        separate(path, tmp_path / "out", on_progress=stop, **options)
    for engine in family.values():
        engine.n_passes = 0
    result = separate(path, tmp_path / "out", **options)
    for name, file in result.stems.items():
        assert file.read_bytes() == expected.stems[name].read_bytes(), name
    assert passes(family).keys() == n_all.keys()
    assert all(n < n_all[name] for name, n in passes(family).items())


def test_parts_of_other_models_are_made_anew(family, tmp_path, monkeypatch):
    path = recording(tmp_path, 100_000)
    folders: dict[str, Any] = {"parts_dir": tmp_path / "parts", "part_seconds": 0.5}
    separate(path, tmp_path / "1", stems=["kick"], **folders)
    n_all = family["drumkit"].n_passes
    separate(path, tmp_path / "2", stems=["kick"], **folders)
    assert family["drumkit"].n_passes == n_all  # all parts were there
    markers = sorted((tmp_path / "parts").glob("*.json"))
    request = json.loads(markers[0].read_text())["request"]
    assert request["models"] == ["htdemucs", "drumkit"]
    for marker in markers:
        text = marker.read_text().replace('"drumkit"', '"another"')
        marker.write_text(text)
    separate(path, tmp_path / "3", stems=["kick"], **folders)
    assert family["drumkit"].n_passes == 2 * n_all


def test_what_a_child_meets_ends_the_separation(family, tmp_path, monkeypatch):
    def fail(mixtures):
        raise ArithmeticError("It cannot.")

    monkeypatch.setattr(family["guitar-roles"], "separate", fail)
    with pytest.raises(ArithmeticError):
        separate(recording(tmp_path), tmp_path / "out", stems=["lead_guitar"])
    assert not (tmp_path / "out").exists()


def test_a_cancel_does_not_wait_for_a_child(family, tmp_path, monkeypatch):
    def stop(*, step, completed, total):
        if step == "separate" and family["drumkit"].n_passes:
            raise SeparationCancelled("Enough.")

    with pytest.raises(SeparationCancelled):
        separate(
            recording(tmp_path, 40 * SEGMENT),
            tmp_path / "out",
            stems=["kick", "fx"],
            on_progress=stop,
        )
    assert not (tmp_path / "out").exists()
    assert family["drumkit"].n_passes <= 3


def test_the_command_line_makes_them(family, tmp_path, capsys):
    path = recording(tmp_path)
    arguments = ["separate", str(path), "-o", str(tmp_path / "out"), "--json"]
    assert cli.main([*arguments, "--stems", "kick,snare,guitar"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert list(told["stems"]) == ["kick", "snare", "guitar"]
    assert told["model"] == "htdemucs"
    assert told["models"] == ["htdemucs", "drumkit", "instruments"]


def test_a_child_takes_nothing_apart_that_is_not_whole(family, gain_engine, monkeypatch):
    # A root that makes guitars itself: what it calls other has none.
    root = dataclasses.replace(
        gain_engine.info,
        name="six",
        stems=("drums", "bass", "other", "vocals", "guitar", "piano"),
    )
    _, *children = catalog.models()
    monkeypatch.setattr(catalog, "models", lambda: (root, *children))
    assert [model.name for model in plan(["guitar", "piano", "kick"]).models] == ["six", "drumkit"]
    assert [model.name for model in plan(["lead_guitar"]).models] == ["six", "guitar-roles"]
    with pytest.raises(StemUnavailable):
        plan(["brass"])


def test_a_cancel_is_heard_between_two_models(family, tmp_path, monkeypatch):
    loaded = []

    def load(model, *_):
        loaded.append(model.name)
        return family[model.name]

    def stop(*, step, completed, total):
        if step == "load" and loaded:
            raise SeparationCancelled("Enough.")

    monkeypatch.setattr(engines, "load_engine", load)

    with pytest.raises(SeparationCancelled):
        separate(recording(tmp_path), tmp_path / "out", stems=TWELVE, on_progress=stop)
    assert loaded == ["htdemucs"]
    assert not (tmp_path / "out").exists()
