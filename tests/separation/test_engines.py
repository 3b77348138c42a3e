"""The real weights, on a few segments."""

from fractions import Fraction

import numpy as np
import onnxruntime
import pytest
import torch

from separation import catalog, weights
from separation.engines import demucs_onnx, load_engine
from separation.engines.demucs import build_network
from separation.engines.spleeter import extend_mask
from separation.errors import WeightsMismatch
from separation.quality import sdr_db
from tests.separation.media import noise, tones

N_PARAMETERS = 41_984_456


def voice_over_chords(n_samples, sample_rate=44100):
    """A gliding, vibrating voice of many partials over sustained chords and clicks."""
    time_s = np.arange(n_samples) / sample_rate
    pitch = 220 * 2 ** (
        np.sin(2 * np.pi * 0.4 * time_s) / 3 + np.sin(2 * np.pi * 5.5 * time_s) / 40
    )
    phase = 2 * np.pi * np.cumsum(pitch) / sample_rate
    formants = [1, 0.9, 0.8, 0.5, 0.3, 0.4, 0.5, 0.3, 0.2, 0.15, 0.1, 0.1]
    voice = sum(level * np.sin((k + 1) * phase) for k, level in enumerate(formants)) / 8
    voice = voice * (np.sin(2 * np.pi * 1.2 * time_s) > -0.3)
    beat = noise(n_samples, 1)[0] * np.exp(-40 * (time_s % 0.5))
    chords = tones(n_samples, 1)[0]
    return tuple(np.stack([sound] * 2).astype(np.float32) for sound in (voice, beat + chords))


def segment_of(engine, *, seed=0):
    return noise(engine.info.segment_samples, 2, seed=seed, level=0.2)


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


def test_torch_equals_the_original_in_onnxruntime(htdemucs, onnx_file):
    voice, band = voice_over_chords(htdemucs.info.segment_samples)
    mixture = voice + band
    options = onnxruntime.SessionOptions()
    options.enable_cpu_mem_arena = False  # it would take 5 GB
    options.enable_mem_pattern = False
    session = onnxruntime.InferenceSession(onnx_file, options, providers=["CPUExecutionProvider"])
    network = build_network(htdemucs.info, weights.load_state(htdemucs.info))
    with torch.inference_mode():
        batch = torch.from_numpy(mixture)[None]
        spectrum = network._spec(batch)
        magnitude = network._magnitude(spectrum)
        names = [item.name for item in session.get_inputs()]
        inputs = dict(zip(names, (batch.numpy(), magnitude.numpy()), strict=True))
        frequency, time = (torch.from_numpy(output) for output in session.run(None, inputs))
        n_samples = batch.shape[-1]
        original = network._ispec(network._mask(spectrum, frequency), n_samples) + time
    converted = htdemucs.separate_segment(mixture)
    difference = np.abs(converted - original[0].numpy()).max()
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


@pytest.mark.parametrize("name", ["htdemucs", "spleeter-2stems"])
def test_shapes_and_silence(name):
    engine = load_engine(catalog.model(name))
    info = engine.info
    stems = engine.separate_segment(np.zeros((2, info.segment_samples), np.float32))
    assert stems.shape == (len(info.stems), 2, info.segment_samples)
    assert stems.dtype == np.float32
    np.testing.assert_allclose(stems, 0, atol=1e-6)


def test_an_engine_is_loaded_once(htdemucs):
    assert load_engine(catalog.model("htdemucs")) is htdemucs


def test_htdemucs_finds_the_voice(htdemucs):
    voice, band = voice_over_chords(htdemucs.info.segment_samples)
    stems = dict(zip(htdemucs.info.stems, htdemucs.separate_segment(voice + band), strict=True))
    assert sdr_db(voice, stems["vocals"]) > sdr_db(voice, voice + band) + 3
    assert sdr_db(voice + band, sum(stems.values())) > 20


def test_spleeter_stems_add_up_to_the_mixture(spleeter):
    mixture = segment_of(spleeter)
    total = spleeter.separate_segment(mixture).sum(axis=0)
    np.testing.assert_allclose(total, mixture, atol=1e-5)


def test_spleeter_finds_the_voice(spleeter):
    voice, band = voice_over_chords(spleeter.info.segment_samples)
    vocals, accompaniment = spleeter.separate_segment(voice + band)
    assert sdr_db(voice, vocals) > sdr_db(voice, accompaniment)
    assert sdr_db(band, accompaniment) > sdr_db(band, vocals)
    assert sdr_db(voice, vocals) > sdr_db(voice, voice + band)


def test_masks_that_add_up_to_one_still_do_when_extended():
    mask = torch.rand(2, 1024, 5)
    extended = extend_mask(mask) + extend_mask(1 - mask)
    assert extended.shape == (2, 2049, 5)
    torch.testing.assert_close(extended, torch.ones(2, 2049, 5))
