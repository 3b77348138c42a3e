import hashlib
from dataclasses import replace

import pytest
import torch

from separation import engines
from separation.catalog import Source, SourceFile
from tests.separation.public import small


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("STEMWRIGHT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("STEMWRIGHT_WEIGHTS_DIR", str(tmp_path / "weights"))
    monkeypatch.delenv("STEMWRIGHT_WEIGHTS_POLICY", raising=False)
    monkeypatch.setattr(engines, "_resident", {})
    return tmp_path / "cache"


@pytest.fixture
def put(tmp_path):
    """Put files into the operator's folder; return an entry that has them as its source."""

    def put_files(model, contents, *, kind="web", package="http://127.0.0.1:1/nowhere"):
        folder = tmp_path / "weights" / model.name
        folder.mkdir(parents=True, exist_ok=True)
        files = []
        for name, content in contents.items():
            path = folder / name
            if isinstance(content, bytes):
                path.write_bytes(content)
            else:
                torch.save(content, path)
            data = path.read_bytes()
            files.append(SourceFile(name, name, hashlib.sha256(data).hexdigest(), len(data)))
        return replace(model, sources=(Source(kind, package, "", tuple(files)),))

    return put_files


@pytest.fixture
def put_small(put):
    """An entry of a small network whose checkpoint lies in the operator's folder."""

    def put_network(architecture, **options):
        model = small.entry(architecture, **options)
        # Of one network in a bag a checkpoint does not say that it is in one.
        state = small.state(model).items()
        return put(model, {"model.ckpt": {k.removeprefix("networks.0."): t for k, t in state}})

    return put_network
