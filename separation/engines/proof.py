"""The proof that a backend computes what the model computes.

A fixed piece of music goes through the backend and through the model as its authors wrote it, in
float32. The outcome is kept beside the weights for as long as machine, libraries and weights stay
the same, so that only the first load pays for it.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from separation import weights
from separation.audio.decode import AudioReader
from separation.engines import processor
from separation.engines.backends import REFERENCE
from separation.process import run_aside
from separation.quality import sdr_db

if TYPE_CHECKING:
    from separation.catalog import Model
    from separation.engines import Engine, FloatArray

logger = logging.getLogger(__name__)

# Below this, in the worst stem, differences are no longer far below what overlap and shift change.
MIN_FIDELITY_DB = 40.0
# Of the code of backends: a change that may change what they compute.
CODE_VERSION = 2
_MUSIC = Path(__file__).with_name("proof.flac")
_LIBRARIES = ("numpy", "openvino", "torch")


class NotProven(Exception):
    """A backend computes something else than the reference."""


def prove(engine: Engine, device: str) -> float | None:
    """Compare an engine with the reference, unless that was done before on this machine.

    Parameters
    ----------
    engine : Engine
        Loaded.
    device : str

    Returns
    -------
    float or None
        SDR against the reference in dB, of the worst stem; None for the reference itself.

    Raises
    ------
    NotProven
        If it is below `MIN_FIDELITY_DB`.
    """
    if engine.backend == REFERENCE:
        return None
    record = _record_path(engine.info, engine.backend, device)
    fidelity_db = _read(record)
    if fidelity_db is None:
        # Processes that start together measure one after the other, and but once.
        with weights.install_lock(engine.info):
            fidelity_db = _read(record)
            if fidelity_db is None:
                fidelity_db = measure(engine)
                _write(record, json.dumps({"fidelity_db": fidelity_db}).encode())
    if not fidelity_db >= MIN_FIDELITY_DB:
        raise NotProven(f"{fidelity_db:.1f} dB from the reference in the worst stem")
    return fidelity_db


def _read(record: Path) -> float | None:
    """Return what was measured before; None if that is not known, or cannot be read."""
    try:
        return float(json.loads(record.read_text())["fidelity_db"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def measure(engine: Engine) -> float:
    """Return the SDR of the worst stem against the reference, in dB; minus infinity for NaN."""
    model = engine.info
    estimates = engine.separate(music(model)[None])[0]  # (stems, 2, segment)
    if not np.isfinite(estimates).all():
        return float("-inf")
    expected = reference_stems(model)
    return min(sdr_db(*pair) for pair in zip(expected, estimates, strict=True))


def music(model: Model) -> FloatArray:
    """Return the fixed segment, (2, segment_samples), repeated where a segment is longer."""
    with AudioReader(_MUSIC) as reader:
        samples = np.concatenate(list(reader.blocks()), axis=1)
    repeats = -(-model.segment_samples // samples.shape[1])
    return np.ascontiguousarray(np.tile(samples, repeats)[:, : model.segment_samples])


def reference_stems(model: Model) -> FloatArray:
    """Return what the reference makes of the segment, (stems, 2, segment_samples).

    It is computed once, by a process of its own: this one may never need PyTorch.
    """
    path = _reference_path(model)
    try:
        stems: FloatArray = np.load(path)
    except (OSError, ValueError, EOFError):  # not there, or no longer whole
        with tempfile.TemporaryDirectory() as folder:
            draft = Path(folder) / path.name
            run_aside("separation.engines.proof", model.name, str(draft))
            content = draft.read_bytes()
        _write(path, content)
        stems = np.load(io.BytesIO(content))
    return stems


def _reference_path(model: Model) -> Path:
    # Of another piece of music, as a later release may have, the stems would be others.
    digest = hashlib.sha256(_MUSIC.read_bytes()).hexdigest()
    return _folder(model) / f"reference-{digest[:16]}.npy"


def write_reference(model_name: str, path: Path) -> None:
    """Compute the reference of one model and write it into a file."""
    from separation import catalog, engines

    model = catalog.model(model_name)
    engine = engines.load_engine(model, "cpu", REFERENCE)
    np.save(path, engine.separate(music(model)[None])[0])


def machine_key() -> str:
    """Return what tells machines and libraries apart that may compute differently."""
    versions = []
    for name in _LIBRARIES:
        try:
            versions.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            versions.append(f"{name} none")
    facts = [str(CODE_VERSION), *versions, *sorted(processor.features())]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:16]


def is_known(model: Model, backend: str, device: str) -> bool:
    """Say whether a backend was measured on this machine before, with whatever outcome."""
    return weights.is_installed(model) and _record_path(model, backend, device).is_file()


def _record_path(model: Model, backend: str, device: str) -> Path:
    kind = device.partition(":")[0]
    if kind == "cuda":
        import torch

        kind = torch.cuda.get_device_name(device).replace(" ", "-").replace("/", "-")
    return _folder(model) / f"{backend}-{kind}-{machine_key()}.json"


def _folder(model: Model) -> Path:
    return weights.derived_dir(model) / "proof"


def _write(path: Path, content: bytes) -> None:
    """Keep something for the next process; where that cannot be, it will do the work again."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            draft = Path(folder) / path.name
            draft.write_bytes(content)
            draft.chmod(0o644)  # other users run workers from the same cache
            draft.replace(path)
    except OSError as error:
        logger.warning("Cannot keep %s: %s", path.name, error)


if __name__ == "__main__":
    write_reference(sys.argv[1], Path(sys.argv[2]))
