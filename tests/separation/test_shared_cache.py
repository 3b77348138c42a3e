"""The cache of weights, shared by processes that start together and by users that may only read."""

import errno
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from separation import catalog, engines, weights
from separation.engines import backends, proof
from separation.engines.demucs import export, openvino
from separation.weights.cache import checksum_path

HTDEMUCS, SPLEETER = catalog.model("htdemucs"), catalog.model("spleeter-2stems")
LIMIT_S = 60  # for what must happen; reached only where a test fails


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """A cache in which all models seem to be installed."""
    monkeypatch.setenv("STEMWRIGHT_CACHE_DIR", str(tmp_path))
    (tmp_path / "models").mkdir()
    for model in catalog.models():
        path = weights.installed_path(model)
        path.touch()
        checksum_path(path).write_text(f"{'0' * 64}  {path.name}\n")
    return tmp_path


@pytest.fixture
def only_to_read(cache, monkeypatch):
    """Whatever would write below the cache is refused; root may write anywhere, so in Python."""
    path_open, mkdir = Path.open, os.mkdir

    def checked_open(self, mode="r", *arguments, **options):
        if "r" not in mode and cache in self.parents:
            raise OSError(errno.EROFS, "Read-only file system", str(self))
        return path_open(self, mode, *arguments, **options)

    def checked_mkdir(path, *arguments, **options):
        if cache in Path(path).parents:
            raise OSError(errno.EACCES, "Permission denied", str(path))
        mkdir(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", checked_open)
    monkeypatch.setattr(os, "mkdir", checked_mkdir)


class FakeEngine:
    backend = "fake"

    def __init__(self, model=HTDEMUCS):
        self.info = model

    def close(self):
        pass


def fake_engine() -> Any:
    return FakeEngine()


# --- who may only read


@pytest.mark.usefixtures("only_to_read")
@pytest.mark.parametrize("has_lock", [True, False])
def test_a_cache_that_may_only_be_read_is_locked_as_far_as_that_goes(cache, has_lock):
    lock = cache / "models" / ".htdemucs.lock"
    if has_lock:
        lock.touch()
    with weights.install_lock(HTDEMUCS):
        pass
    assert lock.exists() == has_lock


@pytest.mark.usefixtures("cache")
def test_a_lock_that_fails_for_another_reason_is_an_error(monkeypatch):
    def full(self, *arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(OSError, match="No space"), weights.install_lock(HTDEMUCS):
        pass


@pytest.mark.usefixtures("only_to_read")
def test_a_proof_that_cannot_be_kept_holds_all_the_same(monkeypatch, caplog):
    monkeypatch.setattr(proof, "measure", lambda engine: 50.0)
    assert proof.prove(fake_engine(), "cpu") == 50.0
    assert not proof.is_known(HTDEMUCS, "fake", "cpu")
    assert "Cannot keep fake-cpu" in caplog.text


class FakeCore:
    """Compiles, but not with a folder of compiled networks that it cannot use."""

    def __init__(self):
        self.asked = []

    def compile_model(self, network, device, settings):
        self.asked.append(settings)
        if "CACHE_DIR" in settings:
            raise RuntimeError("filesystem error: cannot remove: Permission denied")
        return "compiled"


@pytest.mark.usefixtures("cache")
def test_what_another_user_compiled_and_hid_is_compiled_again(monkeypatch, caplog):
    core = FakeCore()
    monkeypatch.setattr("openvino.Core", lambda: core)
    monkeypatch.setattr(openvino, "_exported", lambda model: Path("network.xml"))
    assert openvino._compile(HTDEMUCS, "f32", 1) == "compiled"
    with_cache, without = core.asked
    assert {key for key in with_cache if key not in without} == {"CACHE_DIR"}
    assert "compiling without the cache: filesystem error" in caplog.text


def test_what_is_compiled_can_be_read_by_others(cache, monkeypatch):
    blob = weights.derived_dir(HTDEMUCS) / "compiled" / "1.blob"

    class Core(FakeCore):
        def compile_model(self, network, device, settings):
            blob.parent.mkdir(parents=True)
            blob.touch(0o440)

    monkeypatch.setattr("openvino.Core", Core)
    monkeypatch.setattr(openvino, "_exported", lambda model: Path("network.xml"))
    openvino._compile(HTDEMUCS, "f32", 1)
    assert blob.stat().st_mode & 0o777 == 0o644


# --- who starts together, or was killed


@pytest.mark.usefixtures("cache")
def test_who_starts_together_measures_once(monkeypatch):
    n_measured = 0
    both = threading.Barrier(2, timeout=LIMIT_S)
    read = proof._read

    def read_at_once(record):
        known = read(record)
        if threading.current_thread() not in seen:
            seen.add(threading.current_thread())
            both.wait()
        return known

    def measure(engine):
        nonlocal n_measured
        n_measured += 1
        return 60.0

    seen: set[threading.Thread] = set()
    monkeypatch.setattr(proof, "_read", read_at_once)
    monkeypatch.setattr(proof, "measure", measure)
    with ThreadPoolExecutor(2) as pool:
        outcomes = pool.map(proof.prove, [FakeEngine(), FakeEngine()], ["cpu", "cpu"])
    assert list(outcomes) == [60, 60]
    assert n_measured == 1


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("content", [b"", b"garbage", b"[]", b'{"fidelity_db": null}', b"\xff\xfe"])
def test_a_proof_of_garbage_is_measured_again(monkeypatch, content):
    monkeypatch.setattr(proof, "measure", lambda engine: 50.0)
    record = proof._record_path(HTDEMUCS, "fake", "cpu")
    record.parent.mkdir(parents=True)
    record.write_bytes(content)
    assert proof.prove(fake_engine(), "cpu") == 50.0
    assert proof._read(record) == 50.0


def test_nothing_is_known_of_a_model_that_is_not_installed(monkeypatch, tmp_path):
    monkeypatch.setenv("STEMWRIGHT_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("STEMWRIGHT_WEIGHTS_DIR", raising=False)
    assert not proof.is_known(HTDEMUCS, "fake", "cpu")


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("content", [None, b"", b"\x93NUMPY\x01\x00v\x00", b"garbage"])
def test_a_reference_that_is_not_whole_is_computed_again(monkeypatch, content):
    stems = np.arange(6, dtype=np.float32).reshape(1, 2, 3)
    calls = []

    def run_aside(module, name, path):
        calls.append((module, name))
        np.save(path, stems)

    monkeypatch.setattr(proof, "run_aside", run_aside)
    path = proof._reference_path(HTDEMUCS)
    if content is not None:
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    for _ in range(2):
        np.testing.assert_array_equal(proof.reference_stems(HTDEMUCS), stems)
    assert calls == [("separation.engines.proof", "htdemucs")]
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_an_export_clears_what_a_killed_one_left(cache, monkeypatch):
    path = weights.derived_dir(HTDEMUCS) / "network.xml"
    left = path.parent / f"{export._DRAFTS}x"
    left.mkdir(parents=True)
    (left / "network.bin").touch()
    for name in ("build_network", "_outer_prefixes", "_converted", "_keep_in_float32"):
        monkeypatch.setattr(export, name, lambda *arguments: None)
    monkeypatch.setattr(weights, "load_state", lambda model: None)
    monkeypatch.setattr(export, "HTDemucsCore", lambda *arguments: torch_module())

    def save_model(network, draft, **options):
        draft.touch()
        draft.with_suffix(".bin").touch()

    monkeypatch.setattr("openvino.save_model", save_model)
    export.export(HTDEMUCS, path)
    assert sorted(file.name for file in path.parent.iterdir()) == ["network.bin", "network.xml"]


def torch_module():
    import torch

    return torch.nn.Identity()


_WHERE = """
import sys
from separation import weights
from separation.engines import proof
proof.run_aside("tests.separation.where", "x")
"""


def test_what_runs_aside_sees_the_same_cache(tmp_path):
    # A folder in the environment may be relative, and this package lie elsewhere.
    root = str(Path(__file__).parents[2])
    outcome = subprocess.run(
        [sys.executable, "-c", _WHERE],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": root, "STEMWRIGHT_CACHE_DIR": "cache"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert outcome.stdout == f"{tmp_path / 'cache'} x\n"


# --- who needs what is there already


@pytest.mark.usefixtures("cache")
def test_a_resident_model_does_not_wait_while_another_is_loaded(monkeypatch):
    loading, may_go_on = threading.Event(), threading.Event()

    def load_best(model, device, backend):
        if model is HTDEMUCS:
            loading.set()
            assert may_go_on.wait(LIMIT_S)
        return FakeEngine(model)

    monkeypatch.setattr(engines, "_resident", {})
    monkeypatch.setattr(backends, "load_best", load_best)
    resident = engines.load_engine(SPLEETER)
    with ThreadPoolExecutor(2) as pool:
        other = pool.submit(engines.load_engine, HTDEMUCS)
        assert loading.wait(LIMIT_S)
        assert pool.submit(engines.load_engine, SPLEETER).result(LIMIT_S) is resident
        may_go_on.set()
        assert other.result(LIMIT_S).info is HTDEMUCS
    engines.close_engines()
