"""Child models without weights: a tree of stems below those of the engine of gains."""

import dataclasses
import threading

import numpy as np
import pytest

from separation import batching, catalog, engines, weights
from tests.separation.conftest import SEGMENT, GainEngine

# What each child takes, and the shares that it returns; the rest comes last. They do not add up.
CHILDREN = {
    "drumkit": (
        "drums",
        {"kick": 0.4, "snare": 0.3, "toms": 0.1, "hihat": 0.05, "ride": 0.02, "crash": -0.15,
         "percussion": 0.2},
    ),
    "instruments": (
        "other",
        {"acoustic_guitar": 0.5, "electric_guitar": 0.25, "piano": -0.2, "organ": 0.15,
         "synth": 0.1, "strings": 0.05, "brass": 0.3, "woodwinds": 0.02, "fx": 0.01},
    ),
    "lead-and-backing": ("vocals", {"lead_vocals": 0.7, "backing_vocals": 0.2}),
    "male-and-female": ("vocals", {"male_vocals": 0.35, "female_vocals": 0.45}),
    "guitar-roles": ("guitar", {"rhythm_guitar": 0.6, "lead_guitar": 0.5}),
}  # fmt: skip


def children_of(root):
    """The entries of these models, as `models.toml` would hold them for a method not learned."""
    return [
        dataclasses.replace(
            root,
            name=name,
            title=name,
            input=parent,
            stems=tuple(shares),
            rest=list(shares)[-1],
            sources=(),
        )
        for name, (parent, shares) in CHILDREN.items()
    ]


class ShareEngine(GainEngine):
    """Each stem is the input times its share, a little late: they do not add up."""

    backend = "torch-eager"

    def separate(self, mixtures):
        assert mixtures.dtype == np.float32
        assert mixtures.shape[:2] == (1, 2)
        self.n_passes += 1
        shares = CHILDREN[self._model.name][1].values()
        stems = np.array([*shares], np.float32)[:, None, None] * mixtures[:, None]
        for index in range(stems.shape[1]):
            stems[:, index] = np.roll(stems[:, index], index, axis=-1)
        return stems


@pytest.fixture
def family(gain_engine, monkeypatch):
    """The engines by the names of their models; the first is the root's."""
    children = children_of(gain_engine.info)
    found = {gain_engine.info.name: gain_engine}
    found |= {model.name: ShareEngine(model) for model in children}
    monkeypatch.setattr(catalog, "models", lambda: (gain_engine.info, *children))
    monkeypatch.setattr(weights, "is_installed", lambda _: True)
    monkeypatch.setattr(engines.load_engine, "side_effect", lambda model, *_: found[model.name])
    before = set(threading.enumerate())
    yield found
    for engine in found.values():
        batching.close_queue(engine)
    assert not [t for t in set(threading.enumerate()) - before if "-lane-" in t.name]


def passes(family):
    """How many segments each engine had that had any."""
    return {name: engine.n_passes for name, engine in family.items() if engine.n_passes}


__all__ = ["CHILDREN", "SEGMENT", "children_of", "family", "passes"]
