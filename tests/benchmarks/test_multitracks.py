import numpy as np
import pytest

from benchmarks import multitracks, songs
from tests.separation.media import noise, write_media

RATE = 8000


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("drums", "drums"),
        ("01_Drums", "drums"),
        ("bassguitar", "bass"),
        ("contrabass", "other"),
        ("Lead Vocals", "vocals"),
        ("backing-vox", "vocals"),
        ("clav", "other"),
    ],
)
def test_files_are_known_by_words_of_their_names(name, stem):
    assert multitracks.stem_of(name) == stem


def write_folder(folder, **parts):
    folder.mkdir()
    for name, samples in parts.items():
        write_media(folder / f"{name}.wav", samples, RATE, codec="pcm_f32le")
    return folder


def test_files_of_one_stem_are_added_and_the_mixture_is_all_of_them(tmp_path):
    clav, horns, drums = (0.1 * noise(2000, seed=seed) for seed in range(3))
    folder = write_folder(tmp_path / "song", clav=clav, horns=horns, drums=drums[:, :1500])
    song = multitracks.from_folder(folder, tmp_path / "out", start_s=0.125, seconds=0.1)
    other, beat = songs.read(song.stems["other"]), songs.read(song.stems["drums"])
    assert set(song.stems) == {"other", "drums"}
    np.testing.assert_allclose(other, (clav + horns)[:, 1000:1800], atol=1e-6)
    np.testing.assert_allclose(beat[:, :500], drums[:, 1000:1500], atol=1e-6)
    assert not beat[:, 500:].any()
    np.testing.assert_allclose(songs.read(song.mixture), other + beat, atol=1e-6)


def test_a_mixture_beyond_full_scale_is_turned_down_with_its_stems(tmp_path):
    folder = write_folder(tmp_path / "song", drums=3 * noise(800), bass=noise(800, seed=1))
    song = multitracks.from_folder(folder, tmp_path / "out", start_s=0, seconds=0.1)
    mixture = songs.read(song.mixture)
    assert np.abs(mixture).max() == pytest.approx(0.9)
    total = sum(songs.read(path) for path in song.stems.values())
    np.testing.assert_allclose(mixture, total, atol=1e-6)


def test_rates_that_differ_are_refused(tmp_path):
    folder = write_folder(tmp_path / "song", drums=noise(100))
    write_media(folder / "bass.wav", noise(100), 2 * RATE, codec="pcm_s16le")
    with pytest.raises(ValueError, match="one sample rate"):
        multitracks.from_folder(folder, tmp_path / "out", start_s=0, seconds=1)


def test_a_voice_over_a_song_ends_with_the_shorter_of_both(tmp_path):
    folder = write_folder(tmp_path / "song", drums=0.1 * noise(900))
    song = multitracks.from_folder(folder, tmp_path / "out", start_s=0, seconds=0.1)
    voice = write_media(tmp_path / "voice.wav", 0.1 * noise(700, seed=1), RATE, codec="pcm_f32le")
    mashed = multitracks.mashed(song, voice, "a voice", tmp_path / "mash")
    assert set(mashed.stems) == {"drums", "vocals"}
    np.testing.assert_allclose(songs.read(mashed.stems["vocals"]), songs.read(voice), atol=1e-6)
    assert songs.read(mashed.mixture).shape == (2, 700)
