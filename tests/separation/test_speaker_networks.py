"""The real networks that tell speakers apart, each way of running them beside the others."""

import dataclasses
import subprocess
import sys
import threading
from pathlib import Path
from unittest import mock

import numpy as np
import onnxruntime
import pytest
import soxr  # type: ignore[import-untyped]
import torch

from separation import catalog, weights
from separation.engines import processor
from separation.errors import EngineClosed, InvalidRequest, ModelForbidden, OutOfMemory
from separation.speakers import fbank, networks
from separation.speakers.networks import (
    CHUNK_FRAMES,
    CHUNK_SAMPLES,
    EMBEDDING_SIZE,
    POWERSET,
    SAMPLE_RATE,
    TRUNK_SIZE,
    TRUNK_STRIDE,
    compiled,
    load_networks,
    proof,
    statistics,
)
from tests.separation.media import noise

VOCALS = Path(__file__).parents[2] / "demo" / "stems" / "vocals.flac"

needs_bfloat16 = pytest.mark.skipif(
    not processor.multiplies_bfloat16(), reason="this processor does not multiply bfloat16"
)


@pytest.fixture(scope="module")
def tool():
    """Its weights are installed by the set-up of the tests."""
    return catalog.tool("pyannote-wespeaker")


@pytest.fixture(scope="module")
def load(tool):
    yield lambda backend: load_networks(tool, backend=backend)
    networks.close_networks()


@pytest.fixture(scope="module")
def voice():
    """A voice that sings, from its first sound on, (n,) float32 at 16 kHz."""
    from separation.audio.decode import AudioReader

    with AudioReader(VOCALS) as reader:
        samples = np.concatenate(list(reader.blocks()), axis=1).mean(axis=0)
    sound = soxr.resample(samples, 44100, SAMPLE_RATE).astype(np.float32)
    return sound[sound.nonzero()[0][0] :]


@pytest.fixture(scope="module")
def chunks(voice):
    starts = range(0, 5 * SAMPLE_RATE, SAMPLE_RATE)
    return np.stack([voice[start : start + CHUNK_SAMPLES] for start in starts])


@pytest.fixture(scope="module")
def features(voice):
    whole = fbank.filter_bank(voice)[:1003]
    return (whole - whole.mean(axis=0))[None]


def original(tool, name):
    """The graph as its authors exported it, in another library."""
    graph = weights.load_graphs(tool)[name]
    return onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])


def cosines(a, b):
    return (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


@pytest.mark.parametrize("backend", ["openvino-f32", "torch-f32"])
def test_segmentation_is_what_the_original_computes(load, tool, chunks, backend):
    (expected,) = original(tool, "segmentation.onnx").run(None, {"input_values": chunks[:, None]})
    got = load(backend).segment(chunks)
    assert got.shape == (len(chunks), CHUNK_FRAMES, len(POWERSET))
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected, atol=1e-3, rtol=0)
    np.testing.assert_array_equal(got.argmax(axis=-1), expected.argmax(axis=-1))
    assert len(np.unique(got.argmax(axis=-1))) > 1  # somebody, and nobody


@pytest.mark.parametrize("backend", ["openvino-f32", "torch-f32"])
def test_trunk_pooling_and_projection_are_the_whole_graph(load, tool, features, backend):
    (expected,) = original(tool, "embedding.onnx").run(None, {"feats": features})
    loaded = load(backend)
    rows = loaded.trunk(features)
    assert rows.shape == (1, -(-features.shape[1] // TRUNK_STRIDE), TRUNK_SIZE)
    assert rows.dtype == np.float32
    embedding = loaded.project(statistics(rows[0])[None])
    assert embedding.shape == (1, EMBEDDING_SIZE)
    assert embedding.dtype == np.float32
    np.testing.assert_allclose(embedding, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("n_chunks", [1, 4, 7, 21])
def test_any_number_of_chunks_gives_each_its_own_result(load, voice, n_chunks):
    starts = range(0, n_chunks * 4000, 4000)
    batch = np.stack([voice[start : start + CHUNK_SAMPLES] for start in starts])
    loaded = load("openvino-f32")
    each = np.concatenate([loaded.segment(chunk[None]) for chunk in batch])
    np.testing.assert_allclose(loaded.segment(batch), each, atol=1e-3, rtol=0)


@needs_bfloat16
def test_bfloat16_keeps_embeddings_and_leaves_segmentation_alone(load, chunks, features):
    exact, lowered = load("openvino-f32"), load("openvino-bf16")
    np.testing.assert_array_equal(lowered.segment(chunks), exact.segment(chunks))
    rows, expected = lowered.trunk(features)[0], exact.trunk(features)[0]
    assert not np.array_equal(rows, expected)
    spans = [slice(start, start + 12) for start in range(0, len(rows) - 12, 12)]  # 1 s each
    pairs = [
        loaded.project(np.stack([statistics(all_rows[span]) for span in spans]))
        for loaded, all_rows in ((lowered, rows), (exact, expected))
    ]
    assert cosines(*pairs).min() > 0.998


@needs_bfloat16
@pytest.mark.parametrize("n_frames", [1, 8, 9])
def test_of_next_to_nothing_each_row_is_still_computed(load, features, n_frames):
    few = features[:, :n_frames]
    exact, lowered = load("openvino-f32").trunk(few), load("openvino-bf16").trunk(few)
    assert lowered.shape == (1, -(-n_frames // TRUNK_STRIDE), TRUNK_SIZE)
    np.testing.assert_allclose(lowered, exact, atol=0.05 * np.abs(exact).max(), rtol=0)


@pytest.mark.parametrize("sound", ["silence", "noise", "loud"])
def test_whatever_the_sound_probabilities_add_up_to_one(load, sound):
    chunk = {
        "silence": np.zeros((1, CHUNK_SAMPLES), np.float32),
        "noise": noise(CHUNK_SAMPLES, 1),
        "loud": 1e6 * noise(CHUNK_SAMPLES, 1),
    }[sound]
    total = np.exp(load(None).segment(chunk)).sum(axis=-1)
    np.testing.assert_allclose(total, 1, atol=1e-5)


def test_openvino_needs_no_torch():
    program = (
        "import sys, numpy as np\n"
        "from separation import catalog\n"
        "from separation.speakers.networks import load_networks\n"
        "loaded = load_networks(catalog.tool('pyannote-wespeaker'))\n"
        "loaded.trunk(np.zeros((1, 16, 80), np.float32))\n"
        "assert loaded.backend.startswith('openvino'), loaded.backend\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


def test_networks_are_loaded_once(load, tool):
    found = []
    threads = [threading.Thread(target=lambda: found.append(load_networks(tool))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len({id(loaded) for loaded in found}) == 1


def test_an_unknown_backend_is_refused(tool):
    with pytest.raises(InvalidRequest, match="no backend 'tpu' on 'cpu'; it has .*torch-f32"):
        load_networks(tool, backend="tpu")


def test_the_policy_forbids_loading(tool, monkeypatch):
    licence = dataclasses.replace(tool.licence, commercial_use=False)
    monkeypatch.setenv("STEMWRIGHT_WEIGHTS_POLICY", "commercial")
    with pytest.raises(ModelForbidden):
        load_networks(dataclasses.replace(tool, licence=licence))


def test_a_library_that_fails_is_stepped_back_from(tool, monkeypatch, caplog):
    def broken(*_):
        raise RuntimeError("no such instruction")

    monkeypatch.setattr(networks, "_resident", {})
    monkeypatch.setattr(compiled, "create", broken)
    assert load_networks(tool).backend == "torch-f32"
    assert "stepping back from openvino-f32: no such instruction" in caplog.text


def test_each_backend_is_near_what_is_expected(load):
    for backend in (each.name for each in networks.BACKENDS if each.fits("cpu")):
        proof.compare(load(backend))


@pytest.mark.parametrize(
    ("kind", "said"), [("segment", "segmentation is off by 0."), ("trunk", "has a cosine of")]
)
def test_a_backend_that_computes_something_else_is_stepped_back_from(
    tool, monkeypatch, caplog, tmp_path, kind, said
):
    method = getattr(compiled.CompiledNetworks, kind)

    def wrong(self, values):
        result = method(self, values)
        return np.roll(result, 3, axis=1) if kind == "segment" else np.sqrt(result)

    monkeypatch.setattr(networks, "_resident", {})
    monkeypatch.setattr(weights, "derived_dir", lambda tool: tmp_path)
    monkeypatch.setattr(compiled.CompiledNetworks, kind, wrong)
    assert load_networks(tool).backend == "torch-f32"
    assert said in caplog.text
    assert list(tmp_path.iterdir()) == []


def test_it_is_proved_once_on_a_machine(tool, monkeypatch, tmp_path):
    compare = mock.create_autospec(proof.compare)
    monkeypatch.setattr(proof, "compare", compare)
    monkeypatch.setattr(weights, "derived_dir", lambda tool: tmp_path)
    for _ in range(2):
        monkeypatch.setattr(networks, "_resident", {})
        load_networks(tool, backend="openvino-f32")
    assert compare.call_count == 1
    (record,) = (tmp_path / "proof").iterdir()
    assert record.name.startswith("openvino-f32-")


def test_without_openvino_it_is_torch(tool, monkeypatch):
    monkeypatch.setattr(networks, "_resident", {})
    monkeypatch.setattr(networks, "has_module", lambda name: False)
    assert load_networks(tool).backend == "torch-f32"


@pytest.mark.parametrize("backend", ["openvino-f32", "torch-f32"])
def test_closed_networks_say_so(tool, monkeypatch, backend):
    monkeypatch.setattr(networks, "_resident", {})
    loaded = load_networks(tool, backend=backend)
    networks.close_networks()
    for call in (
        lambda: loaded.segment(np.zeros((1, CHUNK_SAMPLES), np.float32)),
        lambda: loaded.trunk(np.zeros((1, 16, 80), np.float32)),
        lambda: loaded.project(np.zeros((1, 2 * TRUNK_SIZE), np.float32)),
    ):
        with pytest.raises(EngineClosed):
            call()


def test_want_of_memory_is_said_as_such(load, chunks, monkeypatch):
    loaded = load("torch-f32")
    monkeypatch.setattr(
        loaded, "_segmentation", mock.Mock(side_effect=torch.OutOfMemoryError("CUDA out of memory"))
    )
    with pytest.raises(OutOfMemory):
        loaded.segment(chunks[:1])
    monkeypatch.setattr(loaded, "_segmentation", mock.Mock(side_effect=RuntimeError("broken")))
    with pytest.raises(RuntimeError, match="broken"):
        loaded.segment(chunks[:1])


def test_a_gpu_is_given_more_chunks_at_once(load, tool, chunks, monkeypatch):
    loaded = load("torch-f32")
    seen = []

    def watched(batch):
        seen.append(len(batch))
        return torch.zeros(len(batch), CHUNK_FRAMES, 7)

    monkeypatch.setattr(loaded, "_segmentation", watched)
    many = np.zeros((loaded.batch_size + 3, CHUNK_SAMPLES), np.float32)
    assert loaded.segment(many).shape == (len(many), CHUNK_FRAMES, 7)
    assert seen == [loaded.batch_size, 3]
    monkeypatch.setattr(loaded, "_device", torch.device("meta"))
    assert loaded.batch_size > 16


@pytest.mark.parametrize("backend", ["openvino-f32", "torch-f32"])
@pytest.mark.parametrize("n_frames", [1, 8, 9, 24])
def test_short_features_make_rows_for_what_there_is(load, backend, n_frames):
    rows = load(backend).trunk(np.ones((2, n_frames, 80), np.float32))
    assert rows.shape == (2, -(-n_frames // TRUNK_STRIDE), TRUNK_SIZE)


@pytest.mark.parametrize("block", [1, 159, 160, 399, 7777, 10**6])
def test_filter_banks_do_not_depend_on_the_blocks(voice, block):
    sound = voice[: min(len(voice), 400 * block)][: 2 * SAMPLE_RATE]
    bank = fbank.FilterBank()
    parts = [bank.feed(sound[start : start + block]) for start in range(0, len(sound), block)]
    whole = fbank.filter_bank(sound)
    assert len(whole) == max(0, 1 + (len(sound) - 400) // 160)
    np.testing.assert_array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize(
    ("n_samples", "n_frames"), [(0, 0), (399, 0), (400, 1), (559, 1), (560, 2)]
)
def test_filter_banks_leave_out_what_is_shorter_than_a_frame(n_samples, n_frames):
    frames = fbank.filter_bank(noise(n_samples, 1)[0])
    assert frames.shape == (n_frames, fbank.N_BINS)
    assert frames.dtype == np.float32


def test_filter_banks_are_logarithms_of_mel_energies_of_windowed_frames(voice):
    """By hand, from the definition: the frame at one second."""
    frame = voice[SAMPLE_RATE : SAMPLE_RATE + 400].astype(np.float64) * 32768
    frame -= frame.mean()
    frame = frame - 0.97 * np.concatenate([frame[:1], frame[:-1]])
    frame *= 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(400) / 399)
    power = np.abs(np.fft.rfft(frame, 512)) ** 2
    mel = 1127 * np.log(1 + np.arange(257) * SAMPLE_RATE / 512 / 700)
    edges = np.linspace(1127 * np.log(1 + 20 / 700), 1127 * np.log(1 + 8000 / 700), 82)
    width = edges[1] - edges[0]
    weights_of = np.maximum(0, 1 - np.abs(mel - edges[1:-1, None]) / width)  # (80, 257)
    expected = np.log(weights_of[:, :256] @ power[:256])
    got = fbank.filter_bank(voice[SAMPLE_RATE : SAMPLE_RATE + 400])[0]
    np.testing.assert_allclose(got, expected, atol=1e-3)


def test_filter_banks_of_silence_and_of_no_number_are_finite():
    sound = noise(800, 1)[0]
    sound[::7] = np.nan
    sound[1::7] = np.inf
    for samples in (np.zeros(800, np.float32), sound):
        assert np.isfinite(fbank.filter_bank(samples)).all()


def test_filter_banks_keep_no_more_than_they_need():
    """An hour goes through one of them, so frames that were taken must go."""
    bank = fbank.FilterBank()
    for _ in range(50):
        bank.feed(np.zeros(SAMPLE_RATE, np.float32))
    with pytest.raises(RuntimeError, match="already removed"):
        bank._fbank.get_frame(0)
