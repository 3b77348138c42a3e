"""What the beat network hears, and what it makes of it."""

import dataclasses

import numpy as np
import pytest
import torch

from separation import catalog, weights
from separation.errors import WeightsMismatch
from separation.music import beat_network
from separation.music.beat_network import BeatNetwork
from separation.music.beat_spectra import BeatSpectra
from tests.separation.music.sounds import RATE, clicks, noise, pieces

# Of `swept`, by madmom 0.17 (which the network was trained with): spectrum -> sum of its levels,
# sum of its rises, levels of bands 40, 80 and 100, loudest band.
BY_MADMOM = {
    0: (4.53931, 0.0, 0.00024, 0.0, 0.0, 13),
    1: (11.69108, 7.28554, 0.00078, 0.0, 0.0, 16),
    5: (21.02426, 5.4372, 0.01522, 0.0, 0.0, 29),
    17: (3.84824, 2.45327, 0.00006, 0.00002, 0.0, 60),
    30: (6.46584, 1.48025, 0.00002, 0.0108, 0.0, 76),
    49: (2.44116, 0.1953, 0.0, 0.00006, 0.00004, 92),
}


@pytest.fixture(scope="module")
def tool():
    return catalog.tool("beatnet")


def swept():
    time_s = np.arange(RATE) / RATE
    tone = np.sin(2 * np.pi * (200 * time_s + 1500 * time_s**2))
    return (0.5 * tone * np.sin(2 * np.pi * 3 * time_s) ** 2).astype(np.float32)


def spectra_of(samples, n=10**9):
    stream = BeatSpectra()
    return np.concatenate([*(stream.push(block) for block in pieces(samples, n)), stream.finish()])


def test_spectra_are_those_that_it_was_trained_with():
    spectra = spectra_of(swept())
    assert spectra.shape == (50, 272)
    for number, expected in BY_MADMOM.items():
        levels, rises = spectra[number, :136], spectra[number, 136:]
        got = (levels.sum(), rises.sum(), levels[40], levels[80], levels[100], levels.argmax())
        assert got == pytest.approx(expected, abs=2e-5), number


@pytest.mark.parametrize("n_samples", [0, 1, 440, 441, 442, 705, 1411, 5000])
def test_there_is_a_spectrum_for_each_begun_fiftieth(n_samples):
    assert len(spectra_of(noise(1)[:n_samples])) == -(-n_samples // 441)


@pytest.mark.parametrize("n", [100, 441, 7000])
def test_spectra_do_not_depend_on_how_samples_come(n):
    samples = noise(2)
    np.testing.assert_allclose(spectra_of(samples, n), spectra_of(samples), atol=1e-6)


class Original(torch.nn.Module):
    """The network as PyTorch's own layers have it."""

    def __init__(self, state):
        super().__init__()
        self.conv1 = torch.nn.Conv1d(1, 2, 10)
        self.linear0 = torch.nn.Linear(262, 150)
        self.lstm = torch.nn.LSTM(150, 150, 2, batch_first=True)
        self.linear = torch.nn.Linear(150, 3)
        self.load_state_dict(state)

    def forward(self, spectra):
        mapped = torch.relu(self.conv1(spectra[:, None]))  # (n, 2, 263)
        pooled = torch.nn.functional.max_pool1d(mapped, 2).flatten(1)  # (n, 262)
        hidden, _ = self.lstm(self.linear0(pooled)[None])
        return torch.softmax(self.linear(hidden[0]), dim=1)[:, :2]


def test_it_computes_what_its_authors_layers_do(tool):
    state = {name: torch.from_numpy(array) for name, array in weights.load_arrays(tool).items()}
    spectra = spectra_of(clicks(np.arange(0.2, 6, 0.5), 6))
    with torch.inference_mode():
        expected = Original(state)(torch.from_numpy(spectra)).numpy()
    network = BeatNetwork(tool)
    # In pieces: what it heard before counts.
    got = np.concatenate([network.push(block) for block in pieces(spectra, 37)])
    assert expected.max() > 0.8
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_another_network_is_refused(tmp_path):
    path = tmp_path / "model_1_weights.pt"
    torch.save({"conv1.weight": torch.zeros(2, 1, 10)}, path)
    with pytest.raises(WeightsMismatch):
        beat_network.convert({"model_1_weights.pt": path})


def test_its_weights_may_be_used_by_all_who_name_its_authors(tool):
    assert dataclasses.asdict(tool.licence)["id"] == "CC-BY-4.0"
    assert tool.licence.commercial_use
    assert "Heydari" in tool.licence.summary
