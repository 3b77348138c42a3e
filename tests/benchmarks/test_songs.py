import numpy as np
import pytest

from benchmarks import songs
from separation.quality import sdr_db
from tests.separation.media import noise, write_media

RATE = 8000


def make_song(tmp_path, n=1000):
    # Whole steps of 16 bits, so that nothing is rounded on the way.
    parts = {name: np.rint(noise(n, seed=seed) * 8000) / 2**15 for seed, name in enumerate("ab")}
    files = {"mixture": parts["a"] + parts["b"], **parts}
    paths = {
        name: write_media(
            tmp_path / f"{name}.wav", samples.astype(np.float32), RATE, codec="pcm_s16le"
        )
        for name, samples in files.items()
    }
    return songs.Song("made", "", paths.pop("mixture"), paths), parts


@pytest.mark.parametrize("n", [300, 1000, 2500])
def test_a_looped_song_and_its_stems_repeat_together(tmp_path, n):
    song, parts = make_song(tmp_path)
    looped = songs.looped(song, n / RATE, tmp_path / "looped")
    for name, path in looped.stems.items():
        np.testing.assert_array_equal(songs.read(path), np.tile(parts[name], 3)[:, :n])
    total = sum(songs.read(path) for path in looped.stems.values())
    np.testing.assert_array_equal(songs.read(looped.mixture), total)


def test_a_song_may_be_looped_without_its_stems(tmp_path):
    song, _ = make_song(tmp_path)
    assert songs.looped(song, 1, tmp_path / "looped", with_stems=False).stems == {}


def test_the_sdr_of_long_files_is_that_of_the_library(monkeypatch):
    monkeypatch.setattr(songs, "_CHUNK_SAMPLES", 7)
    reference = noise(100)
    estimate = reference + 0.1 * noise(100, seed=1)
    assert songs.sdr_of(reference, estimate) == pytest.approx(sdr_db(reference, estimate))
    assert songs.sdr_of(noise(9, level=0), noise(9, level=0)) == 0


def test_the_sdr_refuses_other_lengths():
    with pytest.raises(ValueError, match="same shape"):
        songs.sdr_of(noise(10), noise(11))


def test_stems_are_compared_by_name_and_up_to_a_sample(tmp_path):
    first, other = noise(100), noise(100, seed=1)
    wrong_end = first.copy()
    wrong_end[:, 50:] = 0
    paths = {
        name: write_media(tmp_path / f"{name}.wav", samples, RATE, codec="pcm_f32le")
        for name, samples in {"true": first, "cut": wrong_end, "other": other}.items()
    }
    references = {"a": paths["true"]}
    estimates = {"a": paths["cut"], "b": paths["other"]}
    assert songs.sdr_of_stems(references, estimates, 50)["a"] > 100
    assert songs.sdr_of_stems(references, estimates)["a"] < 10


def test_the_demo_song_is_what_its_stems_add_up_to():
    song = songs.demo()
    assert set(song.stems) == {"drums", "bass", "other", "vocals"}
    total = sum(songs.read(path) for path in song.stems.values())
    np.testing.assert_allclose(songs.read(song.mixture), total, atol=2**-14)
