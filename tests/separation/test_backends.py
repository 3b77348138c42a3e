"""The choice of a backend, and the proof that each computes what the model computes."""

import importlib.util
import json
import logging
import subprocess
import sys
from types import ModuleType
from typing import Any
from unittest import mock
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

from separation import catalog, engines, weights
from separation.engines import backends, processor, proof
from separation.engines.backends import REFERENCE, Backend
from separation.engines.demucs import BACKENDS
from separation.engines.demucs.eager import build_network
from separation.engines.demucs.openvino import _exported
from separation.engines.demucs.spectrum import spectrum_of, waveforms_of
from separation.engines.demucs.whole import WholeDemucs
from separation.errors import InvalidRequest, ModelUnavailable, OutOfMemory
from separation.quality import sdr_db
from separation.weights.cache import checksum_path
from tests.separation.media import noise

HTDEMUCS = catalog.model("htdemucs")
ON_THIS_CPU = [backend.name for backend in BACKENDS if backend.fits("cpu")]


@pytest.fixture
def fresh(monkeypatch):
    """No engine is resident, and none stays."""
    monkeypatch.setattr(engines, "_resident", {})
    yield
    engines.close_engines()


@pytest.fixture
def private_cache(monkeypatch, tmp_path):
    """A cache of the test's own, in which HTDemucs seems to be installed."""
    monkeypatch.setenv("STEMWRIGHT_CACHE_DIR", str(tmp_path))
    path = weights.installed_path(HTDEMUCS)
    path.parent.mkdir()
    path.touch()
    checksum_path(path).write_text(f"{'0' * 64}  {path.name}\n")
    return tmp_path


@pytest.fixture
def fake_backends(monkeypatch, private_cache):
    """Replace HTDemucs' backends by fakes: name -> what `load` and `prove` do."""

    def replace(**behaviours):
        chosen = tuple(Backend(name, frozenset(), f"fake.{name}") for name in behaviours)
        chosen += (Backend(REFERENCE, frozenset(), "fake.reference"),)
        monkeypatch.setattr("separation.engines.demucs.BACKENDS", chosen)
        tried = []

        class Fake:
            def __init__(self, model, backend):
                self.info, self.backend = model, backend

            def load(self, device):
                tried.append(self.backend)
                behaviour = behaviours.get(self.backend)
                if isinstance(behaviour, Exception):
                    raise behaviour

            def close(self):
                pass

        for backend in chosen:
            module: Any = ModuleType(backend.module)
            module.create = Fake
            monkeypatch.setitem(sys.modules, backend.module, module)

        def measure(engine):
            return float(behaviours[engine.backend])

        monkeypatch.setattr(proof, "measure", measure)
        return tried

    return replace


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize("name", [name for name in ON_THIS_CPU if name != REFERENCE])
def test_each_backend_computes_what_the_reference_computes(name):
    engine = engines.load_engine(HTDEMUCS, backend=name)
    assert engine.backend == name
    fidelity_db = proof.measure(engine)
    assert fidelity_db >= (90 if name.endswith("f32") else proof.MIN_FIDELITY_DB)


@pytest.mark.usefixtures("fresh")
@pytest.mark.skipif(not torch.cuda.is_available(), reason="There is no GPU.")
def test_a_gpu_computes_what_the_reference_computes_at_each_batch_size():
    engine = engines.load_engine(HTDEMUCS, "cuda", "cuda-bf16")
    assert engine.backend == "cuda-bf16"
    music, expected = proof.music(HTDEMUCS), proof.reference_stems(HTDEMUCS)
    for size in engine.batch_sizes:
        for stems in engine.separate(np.stack([music] * size)):
            pairs = zip(expected, stems, strict=True)
            assert min(sdr_db(*pair) for pair in pairs) >= proof.MIN_FIDELITY_DB


def test_the_network_with_its_transforms_on_the_device_computes_the_same():
    network = build_network(HTDEMUCS, weights.load_state(HTDEMUCS))
    whole = WholeDemucs(network, HTDEMUCS.segment_samples, torch.bfloat16).eval()
    with torch.inference_mode():
        stems = whole(torch.from_numpy(proof.music(HTDEMUCS))[None])[0].numpy()
    pairs = zip(proof.reference_stems(HTDEMUCS), stems, strict=True)
    assert min(sdr_db(*pair) for pair in pairs) >= proof.MIN_FIDELITY_DB


def test_the_best_backend_of_this_processor_is_taken(htdemucs):
    assert htdemucs.backend == ON_THIS_CPU[0]


@pytest.mark.usefixtures("fresh")
def test_one_that_cannot_load_or_computes_something_else_is_passed_over(fake_backends, caplog):
    tried = fake_backends(broken=ImportError("no such library"), wrong=39.9, good=40.1, slower=99)
    with caplog.at_level(logging.INFO, logger="separation"):
        engine = engines.load_engine(HTDEMUCS)
    assert engine.backend == "good"
    assert tried == ["broken", "wrong", "good"]
    assert [record.getMessage() for record in caplog.records] == [
        "htdemucs: stepping back from broken: no such library",
        "htdemucs: stepping back from wrong: 39.9 dB from the reference in the worst stem",
        "htdemucs runs on cpu with good",
    ]


@pytest.mark.usefixtures("fresh")
def test_with_nothing_else_the_reference_itself_is_taken(fake_backends):
    fake_backends(broken=OSError("no"), nan=float("nan"))
    assert engines.load_engine(HTDEMUCS).backend == REFERENCE


@pytest.mark.usefixtures("fresh")
def test_a_backend_can_be_chosen_and_those_before_it_are_not_tried(fake_backends):
    tried = fake_backends(first=60, second=30, third=60)
    assert engines.load_engine(HTDEMUCS, backend="second").backend == "third"
    assert tried == ["second", "third"]


@pytest.mark.usefixtures("fresh")
def test_a_proof_holds_until_the_machine_changes(fake_backends, monkeypatch):
    fake_backends(good=60)
    engines.load_engine(HTDEMUCS)
    engines.close_engines()
    monkeypatch.setattr(proof, "measure", lambda _: pytest.fail("measured again"))
    assert engines.load_engine(HTDEMUCS).backend == "good"
    engines.close_engines()
    monkeypatch.setattr(processor, "features", lambda: frozenset({"another"}))
    measure = mock.Mock(return_value=50.0)
    monkeypatch.setattr(proof, "measure", measure)
    engines.load_engine(HTDEMUCS)
    measure.assert_called_once()
    (record,) = proof._folder(HTDEMUCS).glob(f"*-cpu-{proof.machine_key()}.json")
    assert json.loads(record.read_text()) == {"fidelity_db": 50.0}


def test_what_a_first_load_does_can_be_done_before(fake_backends):
    tried = fake_backends(good=60)
    assert not backends.is_prepared(HTDEMUCS)
    engine = backends.prepare(HTDEMUCS)
    assert engine is not None
    assert engine.backend == "good"
    assert backends.is_prepared(HTDEMUCS)
    assert backends.prepare(HTDEMUCS) is None
    assert tried == ["good"]


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ModelUnavailable("no weights"), ModelUnavailable),
        (MemoryError(), MemoryError),
        (torch.OutOfMemoryError("full"), OutOfMemory),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), OutOfMemory),
    ],
)
def test_what_another_backend_would_meet_as_well_is_not_passed_over(fake_backends, error, expected):
    tried = fake_backends(first=error, second=60)
    with pytest.raises(expected):
        engines.load_engine(HTDEMUCS)
    assert tried == ["first"]


def test_an_unknown_backend_is_refused_with_the_names_of_the_others():
    with pytest.raises(InvalidRequest, match="no backend 'steam' on 'cpu'; it has .*torch-eager"):
        engines.load_engine(HTDEMUCS, backend="steam")
    with pytest.raises(InvalidRequest, match="no backend 'cuda-bf16' on 'cpu'"):
        engines.load_engine(HTDEMUCS, backend="cuda-bf16")


def test_an_absent_device_is_refused():
    with pytest.raises(InvalidRequest, match="'cuda:7' is not available"):
        engines.load_engine(HTDEMUCS, "cuda:7")


def test_a_processor_without_bfloat16_uses_float32(monkeypatch):
    monkeypatch.setattr(processor, "features", lambda: frozenset({"avx2"}))
    names = [backend.name for backend in BACKENDS if backend.fits("cpu")]
    assert names == ["openvino-f32", "torch-f32", REFERENCE]


def test_a_processor_without_openvino_uses_pytorch(monkeypatch):
    find_spec = importlib.util.find_spec

    def without_openvino(name, *arguments):
        if name == "openvino":
            raise ModuleNotFoundError(name)
        return find_spec(name, *arguments)

    monkeypatch.setattr(importlib.util, "find_spec", without_openvino)
    monkeypatch.setattr(processor, "features", lambda: frozenset({"avx512_bf16"}))
    names = [backend.name for backend in BACKENDS if backend.fits("cpu")]
    assert names == ["torch-bf16", "torch-f32", REFERENCE]


def test_the_number_of_threads_can_be_set(monkeypatch):
    monkeypatch.setenv("STEMWRIGHT_THREADS", "3")
    assert processor.usable_cores() == 3
    monkeypatch.setenv("STEMWRIGHT_THREADS", "all")
    with pytest.raises(InvalidRequest, match="STEMWRIGHT_THREADS"):
        processor.usable_cores()


@pytest.mark.skipif(REFERENCE == ON_THIS_CPU[0], reason="There is only PyTorch here.")
def test_a_process_that_separates_on_a_cpu_does_without_pytorch(htdemucs):
    code = (
        "import sys\n"
        "from separation import catalog, engines\n"
        "engines.load_engine(catalog.model('htdemucs'))\n"
        "print(sorted({'torch', 'openvino_telemetry'} & set(sys.modules)))\n"
    )
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert outcome.stdout == "[]\n", outcome.stderr


def test_the_transforms_are_those_of_the_model():
    network: Any = build_network(HTDEMUCS, weights.load_state(HTDEMUCS))
    n_samples = HTDEMUCS.segment_samples
    waveforms = noise(n_samples, 2, level=0.3)[None]
    spectrum = network._spec(torch.from_numpy(waveforms))
    expected = network._magnitude(spectrum).numpy()
    np.testing.assert_allclose(spectrum_of(waveforms), expected, atol=2e-6)
    parts = torch.view_as_real(spectrum)[0]  # (2, bins, frames, 2)
    back = waveforms_of(parts.permute(1, 2, 0, 3).flatten(2).contiguous().numpy(), n_samples)
    inverse = network._ispec(spectrum, n_samples)[0].numpy()
    np.testing.assert_allclose(back, inverse, atol=2e-6)


def test_only_the_outermost_layers_are_kept_in_float32(htdemucs):
    tree = ElementTree.parse(_exported(HTDEMUCS))
    kinds = ("Convolution", "ConvolutionBackpropData", "MatMul")
    marked: dict[str, set[str]] = {kind: set() for kind in kinds}
    for layer in tree.iterfind("layers/layer[rt_info]"):
        kind, name = layer.get("type", ""), layer.get("name", "")
        if kind in marked and layer.find("rt_info/attribute[@name='precise']") is not None:
            marked[kind].add(name.split("/")[0].rpartition(".")[0])
    found = {name.split(".residual")[0].split(".rewrite")[0] for name in marked["Convolution"]}
    assert found == {
        f"__module.{name}" for name in ("encoder.0", "tencoder.0", "decoder.3", "tdecoder.3")
    }
    assert marked["ConvolutionBackpropData"] == {"__module.decoder.3", "__module.tdecoder.3"}
    assert not marked["MatMul"]
