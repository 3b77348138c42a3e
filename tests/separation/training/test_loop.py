"""Training learns, and goes on where it was stopped."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from separation.engines.masknet.bands import Bands
from separation.engines.masknet.files import write_weights
from separation.engines.masknet.network import MaskNet, Shape
from separation.errors import WeightsMismatch
from separation.training.examples import example_of
from separation.training.loop import Budget, Training
from separation.training.loss import SongLoss, errors
from separation.training.recipes import RECIPES, Recipe

SHAPE = Shape(
    classes=("low", "high"),
    n_fft=512,
    hop=256,
    n_bands=32,
    top_hz=16_000.0,
    patch=(2, 2),
    widths=(8, 16),
    time_strides=(2,),
    hidden=8,
    n_blocks=1,
)


class TonesMixer:
    """A low tone and a high one, each coming and going."""

    def __init__(self, split):
        pass

    def example(self, rng, n_samples):
        time = np.arange(n_samples) / 44100
        low, high = rng.uniform(200, 800), rng.uniform(3000, 9000)
        gains = rng.uniform(0.1, 0.5, (2, 2, 1))
        gates = np.sin(2 * np.pi * rng.uniform(2, 6, (2, 1, 1)) * time) > 0
        tones = np.sin(2 * np.pi * np.array([low, high])[:, None] * time)[:, None]
        return (tones * gains * gates).astype(np.float32)


RECIPE = Recipe(
    name="tones",
    mixer=f"{__name__}:TonesMixer",
    shape=SHAPE,
    n_frames=32,
    batch=4,
)


@pytest.fixture(autouse=True)
def _cache(monkeypatch, tmp_path):
    monkeypatch.setenv("STEMWRIGHT_CACHE_DIR", str(tmp_path))


def run(training, n_steps):
    return training.run(Budget(minutes=5, max_steps=n_steps, n_held=8, capacity=32))


def test_it_learns_and_goes_on():
    training = Training(RECIPE)
    first = run(training, 40)
    again = Training(RECIPE)
    assert (again.step, again.next_seed) == (40, training.next_seed)
    for name, value in training.average.state_dict().items():
        assert torch.equal(value, again.average.state_dict()[name]), name
    second = run(again, 40)
    assert again.step == 80
    assert min(first.values()) > 0
    assert all(second[name] > first[name] for name in SHAPE.classes)


def test_it_begins_with_weights_that_were_written(tmp_path):
    torch.manual_seed(3)
    path, written = tmp_path / "tones.safetensors", MaskNet(SHAPE)
    write_weights(written, path)
    training = Training(RECIPE, begin_with=path)
    assert training.step == 0
    for name, value in training.average.named_parameters():
        torch.testing.assert_close(value, written.get_parameter(name), rtol=1e-3, atol=1e-5)
    other = dataclasses.replace(RECIPE, shape=dataclasses.replace(SHAPE, hidden=16))
    with pytest.raises(WeightsMismatch, match="no weights of the recipe 'tones'"):
        Training(other, begin_with=path)


def test_the_error_is_that_of_the_sound():
    rng = np.random.default_rng(1)
    bands = Bands(SHAPE.n_fft, SHAPE.hop, SHAPE.n_bands, SHAPE.top_hz)
    stems = TonesMixer("train").example(rng, RECIPE.n_samples)
    recipe = dataclasses.replace(RECIPE, groups=(("low", "high"),))
    example = example_of(stems, recipe, bands)
    masks = torch.rand(1, 2, 2, SHAPE.n_bands, RECIPE.n_frames).softmax(dim=1)
    features, best, left = (
        torch.from_numpy(part.astype(np.float32))[None]
        for part in (example.features, example.best, example.left)
    )
    error = errors(masks, features, best, left, ((0, 1),))[0]
    sdr_db = 10 * torch.log10(torch.from_numpy(example.energy) / error)
    spectra = bands.spectrum(torch.from_numpy(stems))
    away = bands.spread(masks[0]) * spectra.sum(dim=0) - spectra
    own = spectra.abs().square().sum(dim=(1, 2, 3))
    expected = 10 * torch.log10(own / away.abs().square().sum(dim=(1, 2, 3)))
    assert torch.allclose(sdr_db[:2], expected, atol=0.1)
    assert sdr_db[2] > 40  # both together are the mixture, whatever the masks


def test_what_leaks_where_a_stem_is_silent_is_an_error_of_the_song():
    energy = torch.tensor([[1.0], [0.0]])  # of one stem, that the second example is without
    error = torch.tensor([[0.1], [0.1]], requires_grad=True)
    loss = SongLoss(1, 0)
    (grad,) = torch.autograd.grad(loss(error, energy, torch.ones(2, 1)), error)
    assert loss.sdr_db == pytest.approx(10 * math.log10(5))
    assert grad[0] == grad[1] > 0


def test_a_trace_of_a_stem_weighs_little_more_than_one_that_is_loud():
    loss = SongLoss(1, 0)
    grads = []
    for level in (1.0, 1.0, 1e-4):
        error = torch.tensor([[0.1 * level]], requires_grad=True)
        (grad,) = torch.autograd.grad(loss(error, torch.tensor([[level]]), torch.ones(1, 1)), error)
        grads.append(float(grad))
    assert loss.sdr_db == pytest.approx(10)
    assert grads[0] == pytest.approx(grads[1], rel=0.01)
    assert grads[1] < grads[2] < 10 * grads[1]  # by itself it would be 10,000 times


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))
def test_every_network_takes_its_examples(recipe):
    narrow = dataclasses.replace(
        recipe.shape, widths=tuple(8 for _ in recipe.shape.widths), hidden=8
    )
    network = MaskNet(narrow).eval()
    with torch.inference_mode():
        masks = network(torch.randn(1, 3, narrow.n_bands, 4 * narrow.frames_multiple))
    assert masks.shape[1:3] == (len(narrow.classes), 2)
    assert torch.allclose(masks.sum(dim=1), torch.ones(()), atol=1e-5)
