"""Public networks compute what their authors' own programs compute."""

from pathlib import Path

import numpy as np
import pytest
import torch
from demucs.htdemucs import HTDemucs

from separation.engines import load_engine
from separation.engines.public import engine as engine_module
from separation.engines.public.bands import SPLIT, mel_bands, split_bands
from separation.engines.public.networks import ARCHITECTURES, Layout, load
from separation.errors import EngineClosed
from tests.separation.public import small

RECORDED = Path(__file__).with_name("recorded")


def network(architecture, **options):
    model = small.entry(architecture, **options)
    return load(model, small.state(model))[1]


@torch.inference_mode()
def run(module, sound):
    return module(torch.from_numpy(sound[None]))[0].numpy()


@pytest.mark.parametrize("architecture", ["bs-roformer", "mel-band-roformer", "mdx23c", "scnet"])
def test_it_computes_what_its_authors_program_computes(architecture):
    expected = np.load(RECORDED / f"{architecture}.npz")["made"][0]
    got = run(network(architecture), small.sound())
    assert expected.std() > 0.01
    np.testing.assert_allclose(got, expected, atol=1e-5)


@torch.inference_mode()
def test_the_mask_of_vr_is_its_authors():
    expected = np.load(RECORDED / "vr.npz")["made"]
    got = network("vr").mask(torch.from_numpy(small.magnitudes())).numpy()
    assert expected.std() > 0.01
    np.testing.assert_allclose(got, expected, atol=1e-5)


@torch.inference_mode()
@pytest.mark.parametrize("n_networks", [1, 2])
def test_a_bag_of_htdemucs_takes_each_stem_from_its_own_network(n_networks):
    sound = small.sound(4096)
    model = small.entry("htdemucs", options={"n_networks": n_networks})
    state = small.state(model)
    expected = []
    for stem in range(2):
        original = HTDemucs(["0", "1"], channels=8, t_layers=1, dconv_mode=3, segment=4096 / 44100)
        before = f"networks.{stem if n_networks == 2 else 0}."
        mine = {k.removeprefix(before): v for k, v in state.items() if k.startswith(before)}
        original.load_state_dict(mine, strict=True)
        expected.append(run(original.eval(), sound)[stem])
    np.testing.assert_allclose(run(load(model, state)[1], sound), expected, atol=1e-6)


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_it_makes_only_what_is_wanted(architecture):
    whole = run(network(architecture), small.sound())
    model = small.entry(architecture, outputs=("", "vocals"))
    layout = Layout.of(model)
    state = small.state(model)
    needed = {name: state[name] for name in layout.build().state_dict()}
    second = run(load(model, needed)[1], small.sound())
    assert second.shape == (1, 2, small.N_SAMPLES)
    np.testing.assert_allclose(second[0], whole[1], atol=1e-5)
    assert (len(needed) < len(state)) is (architecture in {"bs-roformer", "mel-band-roformer"})


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
@pytest.mark.parametrize("n_samples", [600, 1500, 1984])
def test_it_takes_any_length(architecture, n_samples):
    got = run(network(architecture), small.sound(n_samples))
    assert got.shape == (2, 2, n_samples)
    assert np.isfinite(got).all()


def test_what_vr_lets_through_and_what_not_are_the_sound():
    sound = small.sound()
    np.testing.assert_allclose(run(network("vr"), sound).sum(axis=0), sound, atol=1e-5)


def test_bands_of_a_split_lie_side_by_side():
    bands = split_bands(SPLIT)
    assert len(bands) == 62
    assert np.concatenate(bands).tolist() == list(range(1025))


def test_bands_on_the_mel_scale_overlap_and_leave_nothing_out():
    bands = mel_bands(60, 2048, 44100)
    assert len(bands) == 60
    counts = np.bincount(np.concatenate(bands))
    assert len(counts) == 1025
    assert counts.min() >= 1
    assert counts.max() == 2
    # As librosa 0.11 has them.
    assert bands[0].tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert bands[1].tolist() == [4, 5, 6, 7, 8, 9]
    assert bands[-1][[0, -1]].tolist() == [895, 1024]
    assert sum(len(band) for band in bands) == 1979


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_what_no_output_gives_is_what_the_others_leave(put_small, architecture):
    model = put_small(architecture, outputs=("vocals", ""), stems=("vocals", "accompaniment"))
    engine = load_engine(model)
    assert engine.backend == "torch-eager"
    mixtures = np.stack([small.sound(seed=1), small.sound(seed=2)])
    given = mixtures.copy()
    stems = engine.separate(mixtures)
    assert stems.shape == (2, 2, 2, small.N_SAMPLES)
    assert stems.dtype == np.float32
    np.testing.assert_allclose(stems.sum(axis=1), mixtures, atol=1e-6)
    np.testing.assert_array_equal(mixtures, given)
    alone = engine.separate(mixtures[1:])[0]
    np.testing.assert_allclose(stems[1], alone, atol=1e-5)
    engine.close()
    with pytest.raises(EngineClosed):
        engine.separate(mixtures)


def test_outputs_of_one_name_are_added(put_small):
    apart = load_engine(put_small("mdx23c")).separate(small.sound()[None])[0]
    model = put_small("mdx23c", outputs=("vocals", "vocals"), stems=("vocals", "accompaniment"))
    engine = engine_module.create(model, "torch-eager")
    engine.load("cpu")
    together = engine.separate(small.sound()[None])[0]
    np.testing.assert_allclose(together[0], apart.sum(axis=0), atol=1e-6)
    np.testing.assert_allclose(together[1], small.sound() - together[0], atol=1e-6)


def test_the_stems_order_is_the_entrys(put_small):
    forth = load_engine(put_small("scnet")).separate(small.sound()[None])[0]
    model = put_small("scnet", stems=("accompaniment", "vocals"))
    engine = engine_module.create(model, "torch-eager")
    engine.load("cpu")
    back = engine.separate(small.sound()[None])[0]
    np.testing.assert_array_equal(back[::-1], forth)


@pytest.mark.parametrize("n_samples", [1985, 2976, 7000])
def test_longer_sound_goes_through_in_windows_that_it_knows(put_small, n_samples, monkeypatch):
    """A network that gives back what it gets, and notes how much that is."""
    engine = load_engine(put_small("mdx23c", outputs=("vocals", "")))
    lengths = []

    def same(sound):
        lengths.append(sound.shape[-1])
        return sound[:, None]

    monkeypatch.setattr(engine, "_network", same)
    sound = small.sound(n_samples)
    np.testing.assert_allclose(engine.separate(sound[None])[0, 0], sound, atol=1e-6)
    assert set(lengths) == {small.N_SAMPLES}
    assert len(lengths) == 1 + -(-(n_samples - small.N_SAMPLES) // (small.N_SAMPLES // 2))
