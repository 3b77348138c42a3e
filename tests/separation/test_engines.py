"""The real weights, on a few segments."""

import importlib
from fractions import Fraction
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from separation import catalog, weights
from separation.engines import backends, demucs_onnx, load_engine
from separation.engines.demucs.eager import build_network
from separation.engines.spleeter.network import extend_mask
from separation.errors import EngineClosed, WeightsMismatch
from separation.quality import sdr_db
from tests.separation.media import noise, tones

N_PARAMETERS = 41_984_456


def voice_over_chords(n_samples, sample_rate=44100):
    """A gliding, vibrating voice of many partials, and sustained chords with clicks."""
    time_s = np.arange(n_samples) / sample_rate
    glide = np.sin(2 * np.pi * 0.4 * time_s) / 3 + np.sin(2 * np.pi * 5.5 * time_s) / 40
    phase = 2 * np.pi * np.cumsum(220 * 2**glide) / sample_rate
    formants = [1, 0.9, 0.8, 0.5, 0.3, 0.4, 0.5, 0.3, 0.2, 0.15, 0.1, 0.1]
    voice = sum(level * np.sin((k + 1) * phase) for k, level in enumerate(formants)) / 8
    voice = voice * (np.sin(2 * np.pi * 1.2 * time_s) > -0.3)
    beat = noise(n_samples, 1)[0] * np.exp(-40 * (time_s % 0.5))
    return stereo(voice), stereo(beat + tones(n_samples, 1)[0])


def drums_and_bass(n_samples, sample_rate=44100):
    """Kick, snare and hi-hat at 120 beats a minute, and a plucked bass of four notes."""
    time_s = np.arange(n_samples) / sample_rate
    hiss = noise(n_samples, 1, level=0.5)[0]
    since_beat = time_s % 0.5
    sweep = 50 * since_beat + 10 * (1 - np.exp(-30 * since_beat))
    kick = 0.4 * np.sin(2 * np.pi * sweep) * np.exp(-9 * since_beat)
    snare = 0.5 * hiss * np.exp(-18 * ((time_s + 0.5) % 1))
    hat = 0.15 * np.diff(hiss, prepend=0) * np.exp(-60 * (time_s % 0.25))
    notes = np.choose((time_s / 0.5).astype(int) % 4, [55.0, 55.0, 73.4, 82.4])
    phase = 2 * np.pi * np.cumsum(notes) / sample_rate
    pluck = np.minimum(1, 40 * since_beat) * np.exp(-2 * since_beat)
    bass = sum(level * np.sin((k + 1) * phase) for k, level in enumerate([1, 0.5, 0.25, 0.1]))
    return stereo(kick + snare + hat), stereo(0.15 * pluck * bass)


def stereo(sound):
    return np.stack([sound, sound]).astype(np.float32)


def separated(engine, mixture):
    """One segment, taken apart as a batch of one."""
    return engine.separate(mixture[None])[0]


@pytest.fixture(scope="module")
def band(htdemucs):
    """True drums and bass, and what the model makes of their sum; one pass for several tests."""
    drums, bass = drums_and_bass(htdemucs.info.segment_samples)
    return drums, bass, separated(htdemucs, drums + bass)


def test_the_conversion_has_every_parameter(htdemucs):
    state = weights.load_state(htdemucs.info)
    assert len(state) == 533
    assert sum(tensor.numel() for tensor in state.values()) == N_PARAMETERS
    assert {tensor.dtype for tensor in state.values()} == {torch.float32}


def test_loading_is_strict(htdemucs):
    state = weights.load_state(htdemucs.info)
    lost = state.pop("freq_emb.embedding.weight")
    with pytest.raises(RuntimeError, match="Missing key"):
        build_network(htdemucs.info, state)
    with pytest.raises(RuntimeError, match="Unexpected key"):
        build_network(htdemucs.info, state | {"freq_emb.embedding.weight": lost, "more": lost})


def test_the_network_is_fully_materialised(htdemucs):
    network = build_network(htdemucs.info, weights.load_state(htdemucs.info))
    tensors = [*network.parameters(), *network.buffers()]
    assert not any(tensor.is_meta for tensor in tensors)
    assert sum(parameter.numel() for parameter in network.parameters()) == N_PARAMETERS
    assert network.segment == Fraction(39, 5)
    assert not network.training


def test_torch_equals_the_original_in_onnxruntime(htdemucs, onnx_file, band):
    drums, bass, _ = band
    mixture = drums + bass
    options = onnxruntime.SessionOptions()
    options.enable_cpu_mem_arena = False  # it would take 5 GB
    options.enable_mem_pattern = False
    session = onnxruntime.InferenceSession(onnx_file, options, providers=["CPUExecutionProvider"])
    network: Any = build_network(htdemucs.info, weights.load_state(htdemucs.info))
    with torch.inference_mode():
        batch = torch.from_numpy(mixture)[None]
        spectrum = network._spec(batch)
        magnitude = network._magnitude(spectrum)
        names = [item.name for item in session.get_inputs()]
        inputs = dict(zip(names, (batch.numpy(), magnitude.numpy()), strict=True))
        frequency, time = (torch.from_numpy(output) for output in session.run(None, inputs))
        n_samples = batch.shape[-1]
        original = network._ispec(network._mask(spectrum, frequency), n_samples) + time
        difference = (network(batch) - original).abs().max()
    assert difference < 1e-3 * np.abs(mixture).max()


def test_a_file_of_other_tensors_is_refused(tmp_path):
    import onnx

    node = onnx.helper.make_node("Add", ["x", "onnx::Add_1"], ["y"], name="/encoder.9/strange/Add")
    value = onnx.numpy_helper.from_array(np.zeros(3, np.float32), "onnx::Add_1")
    x, y = (onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [3]) for n in "xy")
    graph = onnx.helper.make_graph([node], "g", [x], [y], [value])
    path = tmp_path / "htdemucs.onnx"
    onnx.save(onnx.helper.make_model(graph), path)
    with pytest.raises(WeightsMismatch):
        demucs_onnx.convert({"htdemucs.onnx": path})


def test_silence_stays_silent(spleeter):
    info = spleeter.info
    stems = separated(spleeter, np.zeros((2, info.segment_samples), np.float32))
    assert stems.shape == (2, 2, info.segment_samples)
    assert stems.dtype == np.float32
    np.testing.assert_allclose(stems, 0, atol=1e-6)


def test_an_engine_is_loaded_once(htdemucs):
    assert load_engine(catalog.model("htdemucs")) is htdemucs


def test_htdemucs_finds_drums_and_bass(htdemucs, band):
    drums, bass, estimates = band
    assert estimates.shape == (4, 2, htdemucs.info.segment_samples)
    assert estimates.dtype == np.float32
    stems = dict(zip(htdemucs.info.stems, estimates, strict=True))
    assert sdr_db(drums, stems["drums"]) > 15
    assert sdr_db(bass, stems["bass"]) > 15
    assert sdr_db(drums + bass, sum(stems.values())) > 20
    assert np.abs(stems["vocals"]).max() < 0.01


def test_spleeter_stems_add_up_to_the_mixture(spleeter):
    mixture = noise(spleeter.info.segment_samples, level=0.2)
    total = separated(spleeter, mixture).sum(axis=0)
    np.testing.assert_allclose(total, mixture, atol=1e-5)


def test_spleeter_finds_the_voice(spleeter):
    voice, chords = voice_over_chords(spleeter.info.segment_samples)
    vocals, accompaniment = separated(spleeter, voice + chords)
    assert sdr_db(voice, vocals) > sdr_db(voice, accompaniment)
    assert sdr_db(chords, accompaniment) > sdr_db(chords, vocals)
    assert sdr_db(voice, vocals) > sdr_db(voice, voice + chords)


def test_masks_that_add_up_to_one_still_do_when_extended():
    mask = torch.rand(2, 1024, 5)
    extended = extend_mask(mask) + extend_mask(1 - mask)
    assert extended.shape == (2, 2049, 5)
    torch.testing.assert_close(extended, torch.ones(2, 2049, 5))


@pytest.mark.parametrize("name", ["htdemucs", "spleeter-2stems"])
def test_an_engine_that_was_closed_says_so(name):
    # `close_engines` may come between a separation's load and its first segment.
    model = catalog.model(name)
    for backend in backends.candidates(model, "cpu", None):
        engine = importlib.import_module(backend.module).create(model, backend.name)
        with pytest.raises(EngineClosed):
            engine.separate(np.zeros((1, 2, model.segment_samples), np.float32))
