"""The denoiser: as many samples as went in, each in its place, and less noise among them."""

import io
import shutil
import tarfile
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import openvino
import pytest
import soxr  # type: ignore[import-untyped]

from separation import catalog, weights
from separation.enhance.denoise import MODEL, Denoiser
from separation.enhance.features import N_BANDS, N_FILTERED, Features, band_sizes
from separation.enhance.graphs import ENCODER, FILTER_DECODER, MASK_DECODER, convert, read_archive
from separation.enhance.network import N_FRAMES, Graph
from separation.enhance.spectra import HOP, N_BINS, SAMPLE_RATE, Analysis, Synthesis
from separation.errors import ModelForbidden, WeightsMismatch
from separation.weights.graphs import load_graphs
from separation.weights.install import install
from tests.separation.media import noise

VOICE = Path("demo/stems/vocals.flac")


@pytest.fixture(scope="module")
def model():
    """The model, its weights installed."""
    tool = catalog.tool(MODEL)
    install(tool)
    return tool


@pytest.fixture(scope="module")
def exported(model):
    """The graphs as they were exported; the archive is kept so that only the first run asks."""
    folder = weights.cache_dir() / "sources"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / model.sources[0].files[0].name
    if not path.is_file():
        path = weights.source_files(model, folder)[path.name]
    return read_archive(path)


@pytest.fixture
def voice(read):
    """Return the demo's voice, (1, n) at 48 kHz."""
    samples = read(VOICE)[:1, : 12 * 44100]
    return soxr.resample(samples[0], 44100, SAMPLE_RATE)[None].astype(np.float32)


def denoised(samples, sample_rate=SAMPLE_RATE, *, block=7001):
    denoiser = Denoiser(sample_rate, len(samples))
    blocks = np.split(samples, range(block, samples.shape[1], block), axis=1)
    return np.concatenate([*map(denoiser.push, blocks), denoiser.flush()], axis=1)


def si_sdr_db(estimate, truth):
    target = (estimate @ truth) / (truth @ truth) * truth
    return 10 * np.log10((target @ target) / ((estimate - target) @ (estimate - target)))


def with_noise(voice, snr_db):
    hiss = noise(voice.shape[1], 1, level=1.0)
    return voice + hiss * np.sqrt(np.sum(voice**2) / np.sum(hiss**2) / 10 ** (snr_db / 10))


# --- the samples: how many, and where ---


@pytest.mark.parametrize("n_channels", [1, 2])
@pytest.mark.parametrize("sample_rate", [8000, 11025, 44100, 48000, 96000])
@pytest.mark.parametrize("duration_s", [0, 0.0001, 0.97, 2.5])
def test_as_many_samples_come_out_as_went_in(model, n_channels, sample_rate, duration_s):
    samples = noise(round(duration_s * sample_rate), n_channels)
    result = denoised(samples, sample_rate)
    assert result.shape == samples.shape
    assert result.dtype == np.float32


@pytest.mark.parametrize("sample_rate", [8000, 16000, 44100, 48000, 96000])
def test_each_sample_is_at_its_place(model, voice, sample_rate):
    samples = soxr.resample(voice[0], SAMPLE_RATE, sample_rate)[None].astype(np.float32)
    result = denoised(samples, sample_rate)
    n = 2 ** int(np.log2(samples.shape[1]))
    spectrum = np.fft.rfft(result[0, :n]) * np.conj(np.fft.rfft(samples[0, :n]))
    assert np.argmax(np.fft.irfft(spectrum)) == 0


def test_the_blocks_do_not_matter(model, voice):
    noisy = with_noise(voice, 5)[:, : 3 * SAMPLE_RATE]
    whole = denoised(noisy, block=noisy.shape[1])
    assert np.array_equal(denoised(noisy, block=333), whole)


def test_each_channel_is_denoised_by_itself(model, voice):
    noisy = with_noise(voice, 5)[:, : 3 * SAMPLE_RATE]
    both = denoised(np.concatenate([noisy, np.zeros_like(noisy)]))
    assert np.array_equal(both[:1], denoised(noisy))
    assert not both[1].any()


def test_what_comes_out_early_does_not_wait_for_the_end(model):
    denoiser = Denoiser(SAMPLE_RATE, 1)
    ready = sum(denoiser.push(noise(SAMPLE_RATE, 1)).shape[1] for _ in range(5))
    assert ready > 4.9 * SAMPLE_RATE


# --- the sound ---


@pytest.mark.parametrize("level_db", [0, -30])
def test_noise_is_taken_out_however_soft_the_recording_is(model, voice, level_db):
    noisy = with_noise(voice, 5) * np.float32(10 ** (level_db / 20))
    gain_db = si_sdr_db(denoised(noisy)[0], voice[0]) - si_sdr_db(noisy[0], voice[0])
    assert gain_db > 7


def test_a_clean_voice_is_left_alone(model, voice):
    # It sings, which the model was not trained on; clean speech comes through at 17 to 40 dB.
    assert si_sdr_db(denoised(voice)[0], voice[0]) > 10


def test_a_voice_after_minutes_of_digital_silence_is_heard(model, voice):
    # Running means decay to zero meanwhile, and are divided by.
    features, analysis = Features(), Analysis()
    for _ in range(150):
        features.push(analysis.push(np.zeros(N_FRAMES * HOP, np.float32)))
    bands, bins = features.push(analysis.push(voice[0, : N_FRAMES * HOP]))
    assert np.isfinite(bands).all()
    assert np.abs(bins).max() < 100
    assert not denoised(np.zeros((1, SAMPLE_RATE), np.float32)).any()


# --- the parts ---


def test_untouched_spectra_give_the_samples_again_a_hop_later():
    samples = noise(20 * HOP, 1)[0]
    analysis, synthesis = Analysis(), Synthesis()
    parts = (synthesis.push(analysis.push(part)) for part in np.split(samples, [3 * HOP, 11 * HOP]))
    result = np.concatenate(list(parts))
    np.testing.assert_allclose(result[HOP:], samples[:-HOP], atol=1e-6)


def test_bands_are_those_of_the_ear():
    # As the authors' library counts them.
    high = [5, 5, 7, 7, 8, 10, 12, 13, 15, 18, 20, 24, 28, 31, 37, 42, 50, 56, 67]
    assert list(band_sizes()) == [2] * 13 + high
    assert sum(band_sizes()) == N_BINS


def test_features_do_not_depend_on_the_level():
    spectra = Analysis().push(noise(300 * HOP, 1)[0])
    bands, bins = Features().push(spectra)
    softer_bands, softer_bins = Features().push(spectra * np.float32(0.05))
    np.testing.assert_allclose(softer_bands, bands, atol=1e-4)
    np.testing.assert_allclose(softer_bins, bins, rtol=1e-3, atol=1e-5)


def test_graphs_run_in_pieces_as_exported_in_one(model, exported):
    n_pieces = 3
    random = np.random.default_rng(0)
    bands = random.normal(0, 0.3, (1, 1, n_pieces * N_FRAMES, N_BANDS)).astype(np.float32)
    bins = random.normal(0, 0.3, (1, 2, n_pieces * N_FRAMES, N_FILTERED)).astype(np.float32)
    encoded = run_whole(exported[ENCODER], {"feat_erb": bands, "feat_spec": bins})
    masks = run_whole(exported[MASK_DECODER], pick(encoded, "emb", "e3", "e2", "e1", "e0"))["m"]
    coefs = run_whole(exported[FILTER_DECODER], pick(encoded, "emb", "c0"))["coefs"]

    core, files = openvino.Core(), load_graphs(model)
    parts = {name: Graph(core, content) for name, content in files.items()}
    memories = {name: part.memory() for name, part in parts.items()}

    def run(name, inputs):
        return parts[name].run(inputs, memories[name])

    for start in range(0, n_pieces * N_FRAMES, N_FRAMES):
        now = slice(start, start + N_FRAMES)
        encoded = run(ENCODER, {"feat_erb": bands[:, :, now], "feat_spec": bins[:, :, now]})
        mask = run(MASK_DECODER, pick(encoded, "emb", "e3", "e2", "e1", "e0"))["m"]
        filters = run(FILTER_DECODER, pick(encoded, "emb", "c0"))["coefs"]
        np.testing.assert_allclose(mask, masks[:, :, now], atol=1e-4)
        np.testing.assert_allclose(filters, coefs[:, now], atol=1e-4)


def run_whole(graph, inputs):
    session = onnxruntime.InferenceSession(graph)
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


def pick(values, *names):
    return {name: values[name] for name in names}


def test_an_archive_without_a_graph_is_refused(tmp_path):
    path = tmp_path / "model.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("tmp/export/enc.onnx"), io.BytesIO())
    with pytest.raises(WeightsMismatch, match="expected graphs"):
        convert({"model.tar.gz": path})


def test_memory_does_not_grow_with_the_recording(model):
    second = noise(SAMPLE_RATE, 1)
    peaks = {}
    for n_seconds in (3, 30):
        denoiser = Denoiser(SAMPLE_RATE, 1)
        denoiser.push(second)
        tracemalloc.start()
        for _ in range(n_seconds):
            denoiser.push(second)
        denoiser.flush()
        peaks[n_seconds] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peaks[30] < 1.2 * peaks[3]


def test_missing_weights_are_installed_first(model, monkeypatch, tmp_path):
    """As those of all other models are."""
    kept = weights.find_installed(model)
    assert kept is not None
    monkeypatch.setenv("STEMWRIGHT_CACHE_DIR", str(tmp_path))

    def fetch(tool):
        for path in (kept, kept.with_name(kept.name + ".sha256")):
            shutil.copy(path, tmp_path / "models")

    (tmp_path / "models").mkdir()
    monkeypatch.setattr(weights, "install", fetch)
    assert Denoiser(SAMPLE_RATE, 1).flush().shape == (1, 0)


def test_a_policy_that_forbids_the_weights_is_kept(monkeypatch):
    refused = replace(catalog.tool(MODEL).licence, commercial_use=False)
    tool = replace(catalog.tool(MODEL), licence=refused)
    monkeypatch.setattr(catalog, "tool", lambda name: tool)
    monkeypatch.setenv("STEMWRIGHT_WEIGHTS_POLICY", "commercial")
    with pytest.raises(ModelForbidden):
        Denoiser(SAMPLE_RATE, 1)
