"""The conversion of community-1, on made-up files of its shape, and how they are come by."""

import dataclasses
import http.server
import sys
import threading
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from separation import catalog, weights
from separation.catalog import AvailabilityStatus
from separation.errors import ModelUnavailable, WeightsMismatch
from separation.speakers import networks
from separation.speakers.networks import load_networks, onnx_graphs, pyannote
from separation.weights import hub_files
from tests.separation.media import noise

STAGES = ((32, 3), (64, 4), (128, 6), (256, 3))
N_TAPS, HALF = 251, 125
TIMES = 2 * np.pi * np.arange(-HALF, 0, dtype=np.float32) / 16000
WINDOW = np.hamming(N_TAPS)[:HALF].astype(np.float32)


@pytest.fixture(scope="module")
def segmentation():
    """Names and shapes as published; small values, so that no layer saturates."""
    random = torch.Generator().manual_seed(1)

    def values(*shape):
        return 0.1 * torch.randn(shape, generator=random)

    low = torch.linspace(0, 6000, 40)[:, None]
    state = {
        "sincnet.wav_norm1d.weight": torch.tensor([0.01]),
        "sincnet.wav_norm1d.bias": torch.tensor([0.0]),
        "sincnet.conv1d.0.filterbank.low_hz_": -low,
        "sincnet.conv1d.0.filterbank.band_hz_": torch.linspace(10, 900, 40)[:, None],
        "sincnet.conv1d.0.filterbank.window_": torch.from_numpy(WINDOW),
        "sincnet.conv1d.0.filterbank.n_": torch.from_numpy(TIMES[None]),
        "sincnet.conv1d.1.weight": values(60, 80, 5),
        "sincnet.conv1d.1.bias": values(60),
        "sincnet.conv1d.2.weight": values(60, 60, 5),
        "sincnet.conv1d.2.bias": values(60),
    }
    for level, n in enumerate((80, 60, 60)):
        state[f"sincnet.norm1d.{level}.weight"] = 1 + values(n)
        state[f"sincnet.norm1d.{level}.bias"] = values(n)
    for level in range(4):
        for suffix in (f"l{level}", f"l{level}_reverse"):
            state[f"lstm.weight_ih_{suffix}"] = values(512, 60 if level == 0 else 256)
            state[f"lstm.weight_hh_{suffix}"] = values(512, 128)
            state[f"lstm.bias_ih_{suffix}"] = values(512)
            state[f"lstm.bias_hh_{suffix}"] = values(512)
    for name, shape in (
        ("linear.0", (128, 256)),
        ("linear.1", (128, 128)),
        ("classifier", (7, 128)),
    ):
        state[f"{name}.weight"], state[f"{name}.bias"] = values(*shape), values(shape[0])
    return state


@pytest.fixture(scope="module")
def embedding():
    random = torch.Generator().manual_seed(2)
    state = {"resnet.seg_1.weight": 0.01 * torch.randn((256, 5120), generator=random)}
    state["resnet.seg_1.bias"] = torch.randn(256, generator=random)

    def convolution(name, n_in, n_out, size):
        scale = 1 / np.sqrt(n_in * size * size)
        state[f"{name}.weight"] = scale * torch.randn((n_out, n_in, size, size), generator=random)

    def norm(name, n):
        state[f"{name}.weight"] = 1 + 0.1 * torch.randn(n, generator=random)
        state[f"{name}.bias"] = 0.1 * torch.randn(n, generator=random)
        state[f"{name}.running_mean"] = 0.1 * torch.randn(n, generator=random)
        state[f"{name}.running_var"] = 0.5 + torch.rand(n, generator=random)
        state[f"{name}.num_batches_tracked"] = torch.tensor(9)

    convolution("resnet.conv1", 1, 32, 3)
    norm("resnet.bn1", 32)
    n_in = 32
    for stage, (n_out, n_blocks) in enumerate(STAGES, start=1):
        for index in range(n_blocks):
            name = f"resnet.layer{stage}.{index}"
            convolution(f"{name}.conv1", n_in, n_out, 3)
            norm(f"{name}.bn1", n_out)
            convolution(f"{name}.conv2", n_out, n_out, 3)
            norm(f"{name}.bn2", n_out)
            if n_in != n_out:
                convolution(f"{name}.shortcut.0", n_in, n_out, 1)
                norm(f"{name}.shortcut.1", n_out)
            n_in = n_out
    return state


@pytest.fixture(scope="module")
def plda():
    random = np.random.default_rng(3)
    return {
        "plda.npz": {
            "mu": random.normal(size=128),
            "tr": random.normal(size=(128, 128)),
            "psi": random.uniform(0.1, 9, 128),
        },
        "xvec_transform.npz": {
            "mean1": random.normal(size=256),
            "mean2": random.normal(size=128),
            "lda": random.normal(size=(256, 128)),
        },
    }


def checkpoint(state):
    """As a checkpoint of pyannote.audio is: its classes lie beside the tensors."""
    task = types.ModuleType("pyannote.audio.core.task")
    for name in ("Specifications", "Problem", "Resolution"):
        setattr(task, name, type(name, (), {"__module__": task.__name__}))
    specifications = task.Specifications()
    specifications.problem, specifications.resolution = task.Problem(), task.Resolution()
    about = {
        "versions": {"torch": torch.torch_version.TorchVersion("2.8.0")},
        "specifications": specifications,
    }
    return task, {"state_dict": state, "pyannote.audio": about, "epoch": 3}


@pytest.fixture
def write(tmp_path, monkeypatch, segmentation, embedding, plda):
    """Write the four files into the operator's folder, with changes."""
    folder = tmp_path / "weights" / "pyannote-community-1"
    monkeypatch.setenv("STEMWRIGHT_WEIGHTS_DIR", str(folder.parent))
    monkeypatch.setenv("STEMWRIGHT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(networks, "_resident", {})

    def write_files(*, segmentation=segmentation, embedding=embedding, plda=plda):
        for name, state in (("segmentation", segmentation), ("embedding", embedding)):
            (folder / name).mkdir(parents=True, exist_ok=True)
            task, content = checkpoint(state)
            with monkeypatch.context() as patch:
                patch.setitem(sys.modules, task.__name__, task)
                torch.save(content, folder / name / "pytorch_model.bin")
        (folder / "plda").mkdir(exist_ok=True)
        for name, arrays in plda.items():
            np.savez(folder / "plda" / name, **arrays)
        return folder

    return write_files


@pytest.fixture
def tool():
    return catalog.tool("pyannote-community-1")


def test_it_is_converted_from_the_operators_folder(write, tool, segmentation, embedding, plda):
    write()
    assert catalog.availability(tool).status is AvailabilityStatus.FETCHABLE
    loaded = load_networks(tool)
    assert catalog.availability(tool).is_installed
    assert loaded.backend == "torch-f32"

    chunks = noise(16000 * 10, 2)
    with torch.inference_mode():
        expected = reference_segmentation(segmentation, torch.from_numpy(chunks)).numpy()
        features = torch.from_numpy(noise(41 * 80, 1, level=2).reshape(1, 41, 80))
        rows = reference_trunk(embedding, features).numpy()
    got = loaded.segment(chunks)
    assert got.shape == (2, 589, 7)
    np.testing.assert_allclose(got, expected, atol=1e-4)
    np.testing.assert_allclose(loaded.trunk(features.numpy()), rows, atol=1e-3, rtol=1e-3)
    statistics = noise(5120, 2)
    weight, bias = embedding["resnet.seg_1.weight"], embedding["resnet.seg_1.bias"]
    by_hand = statistics @ weight.numpy().T + bias.numpy()
    np.testing.assert_allclose(loaded.project(statistics), by_hand, rtol=1e-5, atol=1e-5)
    assert loaded.plda is not None
    assert sorted(loaded.plda.between) == sorted(plda["plda.npz"]["psi"])


def reference_segmentation(state, chunks):
    """The network once more, from its published names, with nothing of ours."""

    def norm(x, name):
        return functional.instance_norm(
            x, weight=state[f"{name}.weight"], bias=state[f"{name}.bias"]
        )

    low = 50 + state["sincnet.conv1d.0.filterbank.low_hz_"].abs().double().numpy()
    high = low + 50 + state["sincnet.conv1d.0.filterbank.band_hz_"].abs().double().numpy()
    time = 2 * np.pi * np.arange(-HALF, HALF + 1) / 16000
    with np.errstate(invalid="ignore"):
        even = (np.sin(high * time) - np.sin(low * time)) / (time * (high - low))
        odd = (np.cos(low * time) - np.cos(high * time)) / (time * (high - low))
    even[:, HALF], odd[:, HALF] = 1, 0
    filters = np.concatenate([even, odd]) * np.hamming(N_TAPS)
    filters[:, HALF] = np.repeat([1, 0], 40)
    kernel = torch.from_numpy(filters.astype(np.float32))[:, None]
    x = norm(chunks[:, None], "sincnet.wav_norm1d")
    x = functional.conv1d(x, kernel, stride=10).abs()
    for level in range(3):
        if level:
            name = f"sincnet.conv1d.{level}"
            x = functional.conv1d(x, state[f"{name}.weight"], state[f"{name}.bias"])
        x = functional.leaky_relu(norm(functional.max_pool1d(x, 3), f"sincnet.norm1d.{level}"))
    lstm = torch.nn.LSTM(60, 128, 4, bidirectional=True, batch_first=True)
    lstm.load_state_dict({k[5:]: v for k, v in state.items() if k.startswith("lstm.")})
    x = lstm(x.transpose(1, 2))[0]
    for name in ("linear.0", "linear.1"):
        x = functional.leaky_relu(
            functional.linear(x, state[f"{name}.weight"], state[f"{name}.bias"])
        )
    x = functional.linear(x, state["classifier.weight"], state["classifier.bias"])
    return functional.log_softmax(x, dim=-1)


def reference_trunk(state, features):
    def layer(x, convolution, norm, stride=1, padding=1):
        x = functional.conv2d(x, state[f"{convolution}.weight"], stride=stride, padding=padding)
        keys = ("running_mean", "running_var", "weight", "bias")
        return functional.batch_norm(x, *(state[f"{norm}.{key}"] for key in keys))

    x = functional.relu(layer(features.transpose(1, 2)[:, None], "resnet.conv1", "resnet.bn1"))
    for stage, (_, n_blocks) in enumerate(STAGES, start=1):
        for index in range(n_blocks):
            name = f"resnet.layer{stage}.{index}"
            stride = 2 if stage > 1 and index == 0 else 1
            around = x
            if f"{name}.shortcut.0.weight" in state:
                around = layer(x, f"{name}.shortcut.0", f"{name}.shortcut.1", stride, 0)
            x = functional.relu(layer(x, f"{name}.conv1", f"{name}.bn1", stride))
            x = functional.relu(layer(x, f"{name}.conv2", f"{name}.bn2") + around)
    return x.flatten(1, 2).transpose(1, 2)


def test_filters_are_those_that_a_published_graph_holds():
    """Band edges are read off the filters of the ONNX graph; from them come the same filters."""
    tool = catalog.tool("pyannote-wespeaker")
    graph = weights.load_graphs(tool)["segmentation.onnx"]
    published = onnx_graphs.segmentation_state(graph)["filters.weight"][:, 0].astype(np.float64)
    even, odd = published[:40, :HALF] / WINDOW, published[40:, :HALF] / WINDOW
    time = TIMES.astype(np.float64)
    # Both are a slow one, of the width, times a cosine and a sine of the middle.
    slow = np.hypot(even, odd)
    phase = np.unwrap(np.arctan2(odd, even)[:, ::-1])  # from the centre outwards
    near = slow[:, ::-1] > 0.5
    middle = np.array(
        [np.polyfit(time[::-1][n], p[n], 1)[0] for p, n in zip(phase, near, strict=True)]
    )
    widths = np.linspace(50, 4000, 79001)[:, None]
    lags = time[::-1][:40:8]
    error = [np.abs(np.sinc(widths * lags / 2 / np.pi) - s[::-1][:40:8]).sum(axis=1) for s in slow]
    width = widths[np.argmin(error, axis=1), 0]
    low_hz, band_hz = (
        torch.from_numpy(value.astype(np.float32))[:, None]
        for value in (np.abs(middle) - width / 2 - 50, width - 50)
    )
    assert (low_hz > -1).all()
    assert (band_hz >= 0).all()
    ours = pyannote.filters(
        low_hz.clamp(min=0), band_hz, torch.from_numpy(TIMES[None]), torch.from_numpy(WINDOW)
    )
    np.testing.assert_allclose(ours[:, 0].numpy(), published, atol=2e-4)


def test_the_converted_file_says_what_it_was_made_of(write, tool):
    from safetensors import safe_open

    folder = write()
    path = weights.install(tool)
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    assert metadata["source"] == "official checkpoint pyannote/speaker-diarization-community-1"
    for name in ("segmentation/pytorch_model.bin", "plda/plda.npz"):
        assert metadata[f"sha256:{name}"] == weights.cache.file_sha256(folder / name)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsMismatch):
        load_networks(tool)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda state: state.pop("classifier.bias"), "segmentation/pytorch_model.bin"),
        (lambda state: state.pop("sincnet.conv1d.0.filterbank.n_"), "filterbank.n_"),
        (lambda state: state.update({"lstm.weight_ih_l4": torch.zeros(512, 256)}), "segmentation/"),
        (lambda state: state.update({"classifier.weight": torch.zeros(3, 128)}), "segmentation/"),
    ],
)
def test_another_segmentation_is_refused(write, tool, segmentation, change, named):
    changed = dict(segmentation)
    change(changed)
    write(segmentation=changed)
    with pytest.raises(WeightsMismatch, match=named):
        weights.install(tool)
    assert not weights.is_installed(tool)


@pytest.mark.parametrize(
    "lost", ["resnet.seg_1.bias", "resnet.layer4.2.bn2.bias", "resnet.conv1.weight"]
)
def test_another_embedding_is_refused(write, tool, embedding, lost):
    write(embedding={name: value for name, value in embedding.items() if name != lost})
    with pytest.raises(WeightsMismatch, match="embedding/pytorch_model.bin"):
        weights.install(tool)


@pytest.mark.parametrize(
    ("file", "name", "value"),
    [
        ("plda.npz", "psi", np.ones(127)),
        ("xvec_transform.npz", "lda", np.ones((192, 128))),
        ("plda.npz", "tr", np.array([{}], object)),
    ],
)
def test_another_plda_is_refused(write, tool, plda, file, name, value):
    write(plda={**plda, file: {**plda[file], name: value}})
    with pytest.raises(WeightsMismatch, match="PLDA|plda"):
        weights.install(tool)


class Harmful:
    def __reduce__(self):
        return (Path.touch, (Path("harmful"),))


def test_a_checkpoint_runs_nothing(write, tool, segmentation, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = write()
    torch.save(
        {"state_dict": segmentation, "extra": Harmful()}, folder / "segmentation/pytorch_model.bin"
    )
    with pytest.raises(WeightsMismatch, match="does not hold a network's tensors"):
        weights.install(tool)
    assert not (tmp_path / "harmful").exists()


def test_openvino_does_not_run_it(write, tool):
    from separation.errors import InvalidRequest

    write()
    with pytest.raises(InvalidRequest, match="it has torch-f32"):
        load_networks(tool, backend="openvino-f32")


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A hub on the loopback, spoken to by the real client; it lets in who has the right key."""
    repository = "/pyannote/speaker-diarization-community-1/resolve/main/"
    served: dict[str, bytes] = {}

    class Hub(http.server.BaseHTTPRequestHandler):
        refusal = "GatedRepo"

        def do_GET(self):
            name = self.path.removeprefix(repository)
            if self.headers["Authorization"] != "Bearer secret":
                self.answer(401, b"", {"X-Error-Code": self.refusal})
            elif name in served:
                about = {"X-Repo-Commit": 40 * "a", "ETag": f'"{len(name)}"'}
                self.answer(200, served[name], about)
            else:
                self.answer(404, b"", {"X-Error-Code": "EntryNotFound"})

        do_HEAD = do_GET

        def answer(self, status, content, headers):
            self.send_response(status)
            for name, value in {**headers, "Content-Length": len(content)}.items():
                self.send_header(name, str(value))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("STEMWRIGHT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("STEMWRIGHT_WEIGHTS_DIR", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("HF_TOKEN", "secret")
    yield types.SimpleNamespace(served=served, handler=Hub)
    server.shutdown()
    server.server_close()
    thread.join()


def test_it_comes_from_the_hub_with_the_operators_key(write, hub, tool):
    folder = write()
    for file in tool.sources[0].files:
        hub.served[file.member] = (folder / file.name).read_bytes()
    weights.install(tool)
    assert load_networks(tool).plda is not None
    cache = weights.cache_dir()
    assert sorted(path.name for path in cache.rglob("*") if path.is_file()) == [
        ".pyannote-community-1.lock",
        "pyannote-community-1-v1.safetensors",
        "pyannote-community-1-v1.safetensors.sha256",
    ]


@pytest.mark.parametrize("refusal", ["GatedRepo", "RepoNotFound"])
@pytest.mark.parametrize("key", ["", "of somebody else"])
def test_terms_that_were_not_accepted_are_one_sentence(hub, tool, monkeypatch, refusal, key):
    monkeypatch.setattr(hub.handler, "refusal", refusal)
    monkeypatch.setenv("HF_TOKEN", key)
    with pytest.raises(ModelUnavailable) as caught:
        weights.install(tool)
    assert caught.value.message == hub_files.how_to_be_let_in(tool.sources[0])
    named = ("speaker-diarization-community-1", "accepted", "HF_TOKEN", "STEMWRIGHT_WEIGHTS_DIR")
    assert [part for part in named if part not in caught.value.message] == []
    assert not weights.is_installed(tool)


def test_a_hub_without_the_files_is_one_sentence(hub, tool):
    with pytest.raises(ModelUnavailable, match="could not be fetched; check that its source"):
        weights.install(tool)


def test_availability_names_the_terms(tool, monkeypatch, tmp_path):
    monkeypatch.delenv("STEMWRIGHT_WEIGHTS_DIR", raising=False)
    monkeypatch.setenv("STEMWRIGHT_CACHE_DIR", str(tmp_path))
    state = catalog.availability(tool)
    assert state.status is AvailabilityStatus.FETCHABLE
    assert "models install pyannote-community-1" in state.reason
    assert "HF_TOKEN" in state.reason
    licence = dataclasses.replace(tool.licence, commercial_use=False)
    monkeypatch.setenv("STEMWRIGHT_WEIGHTS_POLICY", "commercial")
    forbidden = catalog.availability(dataclasses.replace(tool, licence=licence))
    assert forbidden.status is AvailabilityStatus.FORBIDDEN
