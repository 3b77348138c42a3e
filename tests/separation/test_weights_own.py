"""Weights that come with this software, and methods that have none."""

import dataclasses
import hashlib
import tomllib
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from separation import catalog, cli, engines, plan, weights
from separation.catalog import AvailabilityStatus
from separation.errors import ModelUnavailable, WeightsMismatch
from separation.weights import cache

ENTRY = """
name = "drumkit"
title = "Drum kit"
engine = "tests.separation.test_weights_own"
input = "drums"
stems = ["kick", "snare", "toms", "hihat", "ride", "crash", "percussion"]
rest = "percussion"
adds_mean = false
sample_rate = 44100
channels = 2
segment_samples = 343980
overlap = 0.25
min_memory_mb = 300
reference = "https://arxiv.org/abs/2211.08553"

[licence]
id = "MIT"
summary = "Learned from free samples by this project."
commercial_use = true
declared_in = "LICENSE"

[[sources]]
kind = "own"
package = "separation.training drumkit"
version = "1"

[[sources.files]]
name = "drumkit.safetensors"
member = ""
sha256 = "SHA256"
size_bytes = 100
"""


class Silence:
    """An engine that says what it loaded."""

    backend = "torch-eager"
    lanes = 1
    batch_sizes = (1,)

    def __init__(self, model):
        self.info = model

    def load(self, device):
        self.state = weights.load_state(self.info) if self.info.has_weights else {}

    def close(self):
        pass


def create(model, backend):
    return Silence(model)


BACKENDS = (engines.backends.Backend(engines.backends.REFERENCE, frozenset(), __name__),)


@pytest.fixture
def model(monkeypatch, tmp_path):
    """A model of this software, its file in the place of the real ones; nothing may be fetched."""
    folder = tmp_path / "own"
    folder.mkdir()
    path = folder / "drumkit.safetensors"
    save_file({"numbers": torch.arange(4, dtype=torch.float16)}, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    entry = catalog.Model.from_toml(tomllib.loads(ENTRY.replace("SHA256", digest)))
    monkeypatch.setattr(cache, "own_dir", lambda: folder)
    monkeypatch.setenv("STEMWRIGHT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("STEMWRIGHT_WEIGHTS_DIR", str(tmp_path / "operators"))
    monkeypatch.setattr(catalog, "models", lambda: (entry,))
    monkeypatch.setattr(engines, "_resident", {})
    monkeypatch.setattr("separation.weights.fetch.fetch", None)
    return entry


def test_they_are_always_installed_and_loaded_as_they_are(model, tmp_path):
    state = catalog.availability(model)
    assert state.status is AvailabilityStatus.INSTALLED
    assert state.reason == "Its weights come with this software."
    assert weights.install(model) == tmp_path / "own" / "drumkit.safetensors"
    engine: Any = engines.load_engine(model)
    assert engine.state["numbers"].tolist() == [0, 1, 2, 3]
    assert not (tmp_path / "cache" / "models").exists()


def test_they_are_verified_by_the_pinned_hash(model, tmp_path):
    path = tmp_path / "own" / "drumkit.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(WeightsMismatch):
        engines.load_engine(model)


def test_where_they_are_missing_nothing_is_fetched(model, monkeypatch, tmp_path):
    (tmp_path / "own" / "drumkit.safetensors").unlink()
    state = catalog.availability(model)
    assert state.status is AvailabilityStatus.MISSING
    assert state.reason == "The file drumkit.safetensors is missing from this software."
    with pytest.raises(ModelUnavailable):
        weights.install(model)
    root = dataclasses.replace(
        model, name="root", input="", stems=("drums", "other"), rest="other", sources=()
    )
    monkeypatch.setattr(catalog, "models", lambda: (root, model))
    assert plan(["drums"], require_installed=True).models == (root,)
    with pytest.raises(ModelUnavailable, match=r"'drumkit' .* missing from this software"):
        plan(["kick"])


def test_a_method_without_weights_is_always_there(model, tmp_path):
    method = dataclasses.replace(model, name="method", sources=())
    state = catalog.availability(method)
    assert (state.status, state.reason) == (AvailabilityStatus.INSTALLED, "It has no weights.")
    assert method.source_label == "a method of this software, not learned"
    engine: Any = engines.load_engine(method)
    assert engine.state == {}
    assert weights.derived_dir(method) == tmp_path / "cache" / "derived" / "method-v1"


def test_what_is_derived_of_them_goes_with_the_file(model, tmp_path):
    digest = model.own_file.sha256
    expected = tmp_path / "cache" / "derived" / f"drumkit-{digest[:16]}"
    assert weights.derived_dir(model) == expected


def test_the_command_line_lists_and_installs_them(model, capsys):
    assert cli.main(["models", "install", "drumkit"]) == 0
    assert cli.main(["catalog"]) == 0
    told = capsys.readouterr().out
    assert "drumkit: Its weights come with this software." in told
    assert "takes    drums" in told
    assert "part of this software, made by separation.training drumkit" in told
