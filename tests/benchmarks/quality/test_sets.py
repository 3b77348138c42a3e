"""Songs in pieces: from folders, and of what the project makes itself."""

from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.quality import sets
from benchmarks.quality.sets import RATE, Unavailable
from separation.errors import ModelUnavailable
from tests.separation.media import noise, write_media

MAP = {"clav": "piano", "horns": "brass", "drums": "drums"}


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "song"
    made.mkdir()
    for seed, (name, n) in enumerate({"clav": 900, "horns": 1000, "drums": 800}.items()):
        write_media(made / f"{name}.wav", 0.1 * noise(n, seed=seed), RATE, codec="pcm_f32le")
    return made


def test_a_multitrack_has_each_file_under_its_stem(folder):
    one = sets.multitrack_set(folder, MAP)
    assert (one.name, one.described.kind) == ("song", "real")
    [case] = one.cases()
    assert (list(case.pieces), case.whole) == (["piano", "drums", "brass"], "")
    np.testing.assert_allclose(case.pieces["brass"], 0.1 * noise(1000, seed=1), atol=1e-6)
    # What ends early goes on in silence.
    assert case.pieces["drums"].shape == (2, 1000)
    assert not case.pieces["drums"][:, 800:].any()


def test_files_of_one_stem_are_added(folder):
    [case] = sets.multitrack_set(folder, {**MAP, "horns": "piano"}).cases()
    total = 0.1 * noise(1000, seed=1)
    total[:, :900] += 0.1 * noise(900)
    np.testing.assert_allclose(case.pieces["piano"], total, atol=1e-6)


def test_a_file_beside_them_says_the_same_and_is_overruled(folder):
    (folder / sets.MAP_NAME).write_text('clav = "synth"\nhorns = "brass"\ndrums = "drums"\n')
    [case] = sets.multitrack_set(folder, {"clav": "piano"}).cases()
    assert set(case.pieces) == {"piano", "brass", "drums"}


@pytest.mark.parametrize("mapping", [{"clav": "piano"}, {**MAP, "tuba": "brass"}])
def test_a_file_without_a_stem_and_a_stem_without_a_file_are_refused(folder, mapping):
    with pytest.raises(Unavailable, match=r"horns|tuba"):
        sets.multitrack_set(folder, mapping)


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(Unavailable, match="no folder"):
        sets.multitrack_set(tmp_path / "none", {})


def test_other_rates_and_one_channel_are_read_as_all_the_others(tmp_path):
    path = write_media(tmp_path / "mono.wav", noise(2000, 1), RATE // 2, codec="pcm_f32le")
    samples = sets.read_stereo(path)
    assert samples.shape == (2, 4000)
    np.testing.assert_array_equal(samples[0], samples[1])


class FakeMixer:
    """Two stems that are all there is of its kind."""

    def __init__(self, split, kit=None, classes=("kick", "snare")):
        assert split == "held"
        self.classes, self.kit = classes, kit

    def example(self, rng, n_samples):
        return rng.uniform(-0.1, 0.1, (len(self.classes), 2, n_samples)).astype(np.float32)


@pytest.fixture
def made(monkeypatch):
    """Made-up makers in the place of those that need sources."""
    modules = {
        "separation.training.drums": SimpleNamespace(
            DrumMixer=FakeMixer, held_kits=lambda: ("one", "two")
        ),
        "separation.training.instruments.mixer": SimpleNamespace(
            InstrumentMixer=lambda split: FakeMixer(split, classes=("piano", "brass")),
        ),
        "separation.training.instruments.roles": SimpleNamespace(
            GuitarRolesMixer=lambda split: FakeMixer(
                split, classes=("rhythm_guitar", "lead_guitar")
            ),
        ),
        "separation.training.voices.mixer": SimpleNamespace(
            VoiceMixer=lambda split: FakeMixer(split, classes=("lead_male", "lead_female"))
        ),
    }
    monkeypatch.setattr(sets, "_module", modules.__getitem__)
    monkeypatch.setattr(sets, "_CLIP_S", 0.1)
    return {one.name: one for one in sets.held_sets(n_clips=12)}


def test_each_held_kit_is_a_song(made):
    cases = list(made["kits"].cases())
    assert [case.name for case in cases] == ["one", "two"]
    assert {case.whole for case in cases} == {"drums"}
    assert set(cases[0].pieces) == {"kick", "snare"}
    assert made["kits"].described.kind == "synthetic"


@pytest.mark.parametrize(
    ("name", "whole", "piece"),
    [
        ("instruments", "other", "brass"),
        ("voices", "vocals", "lead_male"),
        ("guitar-roles", "guitar", "lead_guitar"),
    ],
)
def test_songs_of_the_others_are_several_clips(made, name, whole, piece):
    cases = list(made[name].cases())
    assert [case.whole for case in cases] == [whole] * 3
    assert all(piece in case.pieces for case in cases)
    assert cases[0].pieces[piece].shape == (2, 4 * round(0.1 * RATE))
    # Each is another one, and the same each time.
    again = list(made[name].cases())
    first, second = cases[0].pieces[piece], cases[1].pieces[piece]
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(first, again[0].pieces[piece])


def test_whole_songs_hold_all_of_them(made):
    cases = list(made["songs"].cases())
    assert [case.whole for case in cases] == [""] * 3
    assert set(cases[0].pieces) == {"kick", "snare", "piano", "brass", "lead_male", "lead_female"}


def test_what_is_not_there_is_a_set_that_cannot_be_had(monkeypatch):
    monkeypatch.setattr(sets, "_DRUMS", "separation.training.nowhere")
    kits = sets.held_sets(n_clips=1)[0]
    with pytest.raises(Unavailable, match="nowhere"):
        list(kits.cases())


def test_what_cannot_be_fetched_is_a_set_that_cannot_be_had(made, monkeypatch):
    def unreachable(split):
        raise ModelUnavailable("no network")

    monkeypatch.setattr(sets, "_module", lambda name: SimpleNamespace(VoiceMixer=unreachable))
    with pytest.raises(Unavailable, match="no network"):
        list(made["voices"].cases())
