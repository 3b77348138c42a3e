import dataclasses
import os
import threading
from unittest import mock

import numpy as np
import pytest

from separation import batching, catalog, engines, weights

# Before PyTorch starts its threads: waiting ones must not spin where tests share two cores.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

SEGMENT = 8192
# They add up to one, and so do the stems to the recording.
GAINS = {"drums": 0.125, "bass": 0.25, "other": 0.25, "vocals": 0.375}

THREADS = {"reader", "finisher_0", "htdemucs-lane-0", "htdemucs-lane-1"}


@pytest.fixture(autouse=True)
def _nothing_loaded_is_told(monkeypatch):
    """Models that other tests loaded are in the memory of the one process of all of them."""
    monkeypatch.setattr("separation.host.loaded_models", lambda: [])


class GainEngine:
    """Each stem is the mixture times its own gain; says what it was given."""

    backend = "gain"
    lanes = 1
    batch_sizes: tuple[int, ...] = (1,)

    def __init__(self, model):
        self._model = model
        self.n_passes = 0

    @property
    def info(self):
        return self._model

    def load(self, device):
        pass

    def separate(self, mixtures):
        assert mixtures.shape[1:] == (2, self._model.segment_samples)
        assert len(mixtures) in self.batch_sizes
        assert mixtures.dtype == np.float32
        self.n_passes += len(mixtures)
        gains = np.array([GAINS[name] for name in self._model.stems], np.float32)
        return gains[:, None, None] * mixtures[:, None]  # (batch, stems, 2, segment)

    def close(self):
        pass


@pytest.fixture
def media_dir():
    """The service's storage, which every other test has, plays no part here."""


@pytest.fixture
def gain_engine(monkeypatch, tmp_path):
    """A model without weights in the place of the real ones."""
    model = dataclasses.replace(catalog.model("htdemucs"), segment_samples=SEGMENT, adds_mean=False)
    engine = GainEngine(model)
    monkeypatch.setenv("STEMWRIGHT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(catalog, "models", lambda: (model,))
    load = mock.create_autospec(engines.load_engine, return_value=engine)
    monkeypatch.setattr(engines, "load_engine", load)
    monkeypatch.setattr(engines, "is_prepared", lambda *_: True)
    before = set(threading.enumerate())
    yield engine
    batching.close_queue(engine)
    left = set(threading.enumerate()) - before
    assert not [thread for thread in left if thread.name in THREADS]


@pytest.fixture(scope="session")
def htdemucs():
    """The real model; its weights are installed by the set-up of the tests."""
    return engines.load_engine(catalog.model("htdemucs"))


@pytest.fixture(scope="session")
def spleeter():
    return engines.load_engine(catalog.model("spleeter-2stems"))


@pytest.fixture(scope="session")
def onnx_file():
    """The original of HTDemucs, kept in the cache so that only the first run fetches it."""
    folder = weights.cache_dir() / "sources"
    folder.mkdir(parents=True, exist_ok=True)
    model = catalog.model("htdemucs")
    path = folder / model.sources[0].files[0].name
    if not path.is_file():
        path = weights.source_files(model, folder)[path.name]
    return path


@pytest.fixture
def read():
    """Decode a whole file: (channels, n) float32."""
    from separation.audio.decode import AudioReader

    def read_file(path):
        with AudioReader(path) as reader:
            return np.concatenate(list(reader.blocks()), axis=1)

    return read_file
