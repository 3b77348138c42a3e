"""A recording through public models, one after the other, from its file to its stems' files."""

import numpy as np
import pytest

from separation import catalog, separate, weights
from separation.audio.decode import AudioReader
from separation.engines import close_engines
from tests.separation.media import noise, write_media
from tests.separation.public import small


@pytest.fixture
def shelf(put, monkeypatch):
    """A root and a child, both small, with their checkpoints in the operator's folder."""
    root = small.entry("bs-roformer", is_optional=True)
    child = small.entry(
        "mel-band-roformer",
        outputs=("lead_vocals", ""),
        stems=("lead_vocals", "backing_vocals"),
        input="vocals",
        is_optional=True,
    )
    models = tuple(put(model, {"model.ckpt": small.state(model)}) for model in (root, child))
    monkeypatch.setattr(catalog, "models", lambda: models)
    for model in models:
        weights.install(model)
    yield models
    close_engines()


def test_a_root_and_a_child_take_a_recording_apart(shelf, tmp_path):
    root, child = shelf
    samples = noise(9000, 2, level=0.4)
    path = write_media(tmp_path / "in.wav", samples, 44100, codec="pcm_s24le")
    result = separate(
        path,
        tmp_path / "out",
        stems=["lead_vocals", "backing_vocals", "vocals", "accompaniment"],
        output_format="wav24",
    )
    assert list(result.models) == [root.name, child.name]
    stems = {name: _read(file) for name, file in result.stems.items()}
    assert {stem.shape for stem in stems.values()} == {(2, 9000)}
    np.testing.assert_array_equal(stems["lead_vocals"] + stems["backing_vocals"], stems["vocals"])
    np.testing.assert_array_equal(stems["vocals"] + stems["accompaniment"], _read(path))
    loud = [np.sqrt(np.mean(stem.astype(np.float64) ** 2)) for stem in stems.values()]
    assert min(loud) > 100
    for first, second in ((0, 1), (0, 2), (2, 3)):
        one, other = list(stems.values())[first], list(stems.values())[second]
        assert not np.array_equal(one, other)


def _read(path):
    """The samples of a 24-bit file, as whole numbers."""
    with AudioReader(path) as reader:
        samples = np.concatenate(list(reader.blocks()), axis=1)
    return np.rint(samples.astype(np.float64) * 2**23).astype(np.int64)
