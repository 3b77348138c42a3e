"""Networks of masks as engines: lengths, sums, and what their files say."""

import dataclasses

import numpy as np
import pytest
import torch

from separation import catalog, weights
from separation.engines.backends import REFERENCE
from separation.engines.masknet.bands import Bands, band_edges
from separation.engines.masknet.engine import MaskEngine
from separation.engines.masknet.files import write_weights
from separation.engines.masknet.network import MaskNet, Shape
from separation.errors import EngineClosed, WeightsMismatch

SHAPE = Shape(
    classes=("kick", "snare", "percussion"),
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


@pytest.fixture
def open_engine(monkeypatch, tmp_path):
    """An engine of random weights, whose stems are as they are named."""
    torch.manual_seed(3)
    network = MaskNet(SHAPE).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    path = tmp_path / "random.safetensors"
    write_weights(network, path)
    monkeypatch.setattr(weights, "verified", lambda model: path)

    def opened(stems=SHAPE.classes, rest="percussion", **options):
        model = dataclasses.replace(
            catalog.model("htdemucs"), stems=stems, rest=rest, input="drums", **options
        )
        engine = MaskEngine(model, REFERENCE)
        engine.load("cpu")
        return engine

    return opened


def noise(n, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((1, 2, n)).astype(np.float32) * np.float32(0.1)


@pytest.mark.parametrize("n", [1, 255, 4096, 44_101])
def test_stems_are_as_long_as_what_they_are_of_and_add_up_to_it(open_engine, n):
    mixture = noise(n)
    stems = open_engine().separate(mixture)
    assert stems.shape == (1, 3, 2, n)
    assert np.abs(stems.sum(axis=1) - mixture).max() < 1e-6
    assert all(np.abs(a - b).max() > 1e-4 for a, b in zip(stems[0], stems[0, 1:], strict=False))


def test_loudness_changes_nothing_else(open_engine):
    engine, mixture = open_engine(), noise(8192)
    loud, soft = engine.separate(mixture), engine.separate(mixture * np.float32(1e-3))
    assert np.abs(loud - 1e3 * soft).max() < 1e-4


def test_silence_stays_silent(open_engine):
    assert not open_engine().separate(np.zeros((1, 2, 4096), np.float32)).any()


def test_a_stem_may_be_several_classes(open_engine):
    sums = {"drum_kit": ["kick", "snare"], "percussion": ["percussion"]}
    apart = open_engine().separate(noise(8192))[0]
    together = open_engine(
        ("drum_kit", "percussion"), "percussion", network={"sums": sums}
    ).separate(noise(8192))[0]
    assert np.abs(together[0] - apart[:2].sum(axis=0)).max() < 1e-5
    assert np.abs(together[1] - apart[2]).max() < 1e-5


@pytest.mark.parametrize(
    ("stems", "network"),
    [
        (("kick", "snare", "toms"), {}),
        (("drum_kit", "percussion"), {"sums": {"drum_kit": ["kick"], "percussion": ["snare"]}}),
    ],
)
def test_weights_of_other_stems_are_refused(open_engine, stems, network):
    with pytest.raises(WeightsMismatch, match="make other stems"):
        open_engine(stems, stems[-1], network=network)


def test_a_closed_engine_says_so(open_engine):
    engine = open_engine()
    engine.close()
    with pytest.raises(EngineClosed):
        engine.separate(noise(4096))


def test_bands_hold_every_bin_once():
    for n_fft, n_bands, top_hz in ((2048, 192, 16_000), (4096, 384, 16_000), (512, 32, 16_000)):
        edges = band_edges(n_bands, round(top_hz / 44_100 * n_fft))
        assert len(edges) == n_bands + 1
        assert (np.diff(edges) >= 1).all()
        bands = Bands(n_fft, n_fft // 4, n_bands, top_hz)
        ones = bands.pooled(torch.ones(n_fft // 2 + 1, 1))
        assert ones.sum() == n_fft // 2 + 1
        assert (bands.spread(ones)[: edges[-1]] >= 1).all()
