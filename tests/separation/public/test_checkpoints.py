"""Checkpoints in the formats in which others publish them, read as tensors alone."""

import fractions
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from demucs.htdemucs import HTDemucs
from safetensors.torch import load_file, save

from separation import weights
from separation.engines import load_engine
from separation.engines.public.networks import load
from separation.engines.public_checkpoint import convert
from separation.errors import WeightsMismatch
from tests.separation.public import small

N_SAMPLES = small.N_SAMPLES


@pytest.fixture
def model():
    return small.entry("bs-roformer")


def wrapped(state, kind):
    if kind == "state_dict":
        return {"state_dict": state, "epoch": 3, "optimizer_states": [], "hyper_parameters": {}}
    if kind == "lightning":
        return {"state_dict": {f"model.{name}": tensor for name, tensor in state.items()}}
    if kind == "best_state":
        return {"best_state": state, "history": [{"loss": 0.1}]}
    return OrderedDict(state)


@pytest.mark.parametrize("kind", ["plain", "state_dict", "lightning", "best_state"])
@pytest.mark.parametrize("name", ["model.ckpt", "model.pth", "model.bin"])
def test_a_pickled_checkpoint_is_read(put, model, kind, name):
    state = small.state(model)
    path = weights.install(put(model, {name: wrapped(state, kind)}))
    installed = load_file(path)
    assert set(installed) == set(state)
    assert all(torch.equal(installed[key], state[key]) for key in state)


def test_safetensors_are_read(put, model):
    state = small.state(model)
    path = weights.install(put(model, {"model.safetensors": save(state, {"any": "thing"})}))
    assert set(load_file(path)) == set(state)


def test_half_precision_stays_so_on_disk_and_is_computed_in_full(put, model):
    state = {name: tensor.half() for name, tensor in small.state(model).items()}
    model = put(model, {"model.ckpt": state})
    stems = load_engine(model).separate(small.sound()[None])[0]
    assert {tensor.dtype for tensor in weights.load_state(model).values()} == {torch.float16}
    full = {name: tensor.float() for name, tensor in state.items()}
    expected = load(model, full)[1](torch.from_numpy(small.sound()[None]))[0]
    np.testing.assert_array_equal(stems, expected.detach().numpy())


def test_layers_that_share_a_tensor_are_read(put, model):
    """As trainers share one table of angles among all layers."""
    state = small.state(model)
    shared = [name for name in state if name.endswith("rotary_embed.freqs")]
    state.update(dict.fromkeys(shared, state[shared[0]]))
    assert len(shared) == 4
    path = weights.install(put(model, {"model.ckpt": state}))
    assert torch.equal(load_file(path)[shared[3]], state[shared[0]])


def demucs_package(state, *, half=True):
    """As `demucs.states.save_with_checksum` writes one."""
    return {
        "klass": HTDemucs,
        "args": (),
        "kwargs": {"sources": ["a", "b"], "segment": fractions.Fraction(4096, 44100)},
        "state": {name: tensor.half() if half else tensor for name, tensor in state.items()},
        "training_args": {"dset": {"musdb": "/x"}, "seed": 42, "svd": {"penalty": 0.0}},
    }


@pytest.mark.parametrize("n_networks", [1, 2])
def test_demucs_own_packages_are_read(put, n_networks):
    model = small.entry("htdemucs", options={"n_networks": n_networks})
    state = small.state(model)
    packages = {}
    for index in range(n_networks):
        before = f"networks.{index}."
        mine = {k.removeprefix(before): v for k, v in state.items() if k.startswith(before)}
        packages[f"{index}-abcdef12.th"] = demucs_package(mine)
    model = put(model, packages)
    installed = load_file(weights.install(model))
    assert set(installed) == set(state)
    assert all(torch.equal(installed[name], state[name].half()) for name in state)
    assert load_engine(model).separate(small.sound()[None]).shape == (1, 2, 2, N_SAMPLES)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: s.pop("final_norm.gamma"), "it lacks final_norm.gamma."),
        (lambda s: s.update(more=torch.zeros(1)), "it has more."),
        (
            lambda s: s.update({"final_norm.gamma": torch.zeros(3)}),
            r"it has final_norm.gamma in \(3,\) for \(16,\).",
        ),
        (
            lambda s: [s.pop(name) for name in sorted(s)[:5]],
            r"it lacks [^,]+, lacks [^,]+, lacks [^,]+, and 2 more\.",
        ),
    ],
)
def test_another_network_is_refused_by_name(put, model, change, said):
    state = small.state(model)
    change(state)
    model = put(model, {"model.ckpt": state})
    with pytest.raises(WeightsMismatch, match=f"not that of 'small-bs-roformer': {said}"):
        weights.install(model)
    assert not weights.is_installed(model)


def test_what_is_not_wanted_is_checked_and_not_kept(put):
    model = small.entry("mel-band-roformer", outputs=("vocals", ""), stems=("vocals", "drums"))
    state = small.state(model)
    installed = load_file(weights.install(put(model, {"model.ckpt": state})))
    gone = {name for name in state if name.startswith("mask_estimators.1.")}
    assert gone
    assert set(installed) == set(state) - gone
    lost = {name: tensor for name, tensor in state.items() if name not in gone}
    other = put(small.entry("mel-band-roformer", outputs=("", "vocals")), {"model.ckpt": lost})
    weights.installed_path(model).unlink()
    with pytest.raises(WeightsMismatch, match=r"lacks mask_estimators\.1\."):
        weights.install(other)


class Harmful:
    def __reduce__(self):
        return (Path.touch, (Path("harmful"),))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"garbage",
        {},
        [torch.zeros(1)],
        {"state_dict": {"a": torch.zeros(1), "b": "text"}},
        {"a": torch.zeros(1), "b": Harmful()},
        {"state_dict": {"a": torch.zeros(1)}, "more": Harmful()},
    ],
)
@pytest.mark.parametrize("name", ["model.ckpt", "model.th"])
def test_what_is_not_tensors_alone_is_refused_and_runs_nothing(
    put, model, content, name, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    model = put(model, {name: content})
    with pytest.raises(WeightsMismatch, match=f"The file {name} does not hold a network's tensors"):
        weights.install(model)
    assert not (tmp_path / "harmful").exists()
    assert not weights.is_installed(model)


def test_garbage_is_no_safetensors(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"garbage and more")
    with pytest.raises(WeightsMismatch, match="does not hold a network's tensors"):
        convert({"model.safetensors": path})


def test_the_classes_beside_tensors_are_not_made(put):
    """Loading makes no HTDemucs: what a package says about its arguments is not believed."""
    state = {"a": torch.zeros(1)}
    package = {**demucs_package(state, half=False), "args": (["x"] * 10**4,)}
    model = put(small.entry("htdemucs"), {"x.th": package})
    with pytest.raises(WeightsMismatch, match="not that of"):
        weights.install(model)
