"""Where converted weights are kept and how they are verified."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from separation.errors import ModelUnavailable, WeightsMismatch

if TYPE_CHECKING:
    from separation.catalog.entries import Package, SourceFile

# What opening a file for writing says where this user may not, or nobody may.
_ONLY_TO_READ = {errno.EACCES, errno.EPERM, errno.EROFS}


def cache_dir() -> Path:
    """Return the folder that keeps converted weights (STEMWRIGHT_CACHE_DIR)."""
    configured = os.environ.get("STEMWRIGHT_CACHE_DIR")
    return Path(configured) if configured else platformdirs.user_cache_path("stemwright")


def local_dir() -> Path | None:
    """Return the operator's own folder of weights (STEMWRIGHT_WEIGHTS_DIR), if one is set."""
    configured = os.environ.get("STEMWRIGHT_WEIGHTS_DIR")
    return Path(configured) if configured else None


def installed_path(model: Package) -> Path:
    """Return where the cache keeps the converted weights of `model`, installed or not."""
    return cache_dir() / "models" / _converted_name(model)


def own_dir() -> Path:
    """Return the folder of the weights that come with this software."""
    return Path(__file__).with_name("own")


def find_installed(model: Package) -> Path | None:
    """Return the converted weights, from the operator's folder or the cache; no hashing.

    Those that come with this software are taken from there only.
    """
    if model.own_file is not None:
        path = own_dir() / model.own_file.name
        return path if path.is_file() else None
    local = local_dir()
    candidates = [installed_path(model)]
    if local is not None:
        candidates.insert(0, local / _converted_name(model))
    for path in candidates:
        if path.is_file() and checksum_path(path).is_file():
            return path
    return None


def is_installed(model: Package) -> bool:
    """Say whether converted weights and their checksum are there, if it has any; no hashing."""
    return not model.has_weights or find_installed(model) is not None


def derived_dir(model: Package) -> Path:
    """Return the folder for what is computed from the installed weights, and only from them.

    Raises
    ------
    ModelUnavailable
        If they are not installed.
    """
    key = f"v{model.converter_version}"
    if model.has_weights:
        key = _sha256(model, _found(model))[:16]
    return cache_dir() / "derived" / f"{model.name}-{key}"


def verified(model: Package) -> Path:
    """Return the installed weights, once they are known to be what they were, or are to be.

    Raises
    ------
    ModelUnavailable
        If they are not installed.
    WeightsMismatch
        If the file was changed since.
    """
    path = _found(model)
    verify(path, path.name, _sha256(model, path))
    return path


def _found(model: Package) -> Path:
    path = find_installed(model)
    if path is None:
        raise ModelUnavailable(f"The weights of '{model.name}' are not installed.")
    return path


def _sha256(model: Package, path: Path) -> str:
    """Return what the installed file's hash must be: the pinned one, or that of its conversion."""
    if model.own_file is not None:
        return model.own_file.sha256
    return checksum_path(path).read_text().split()[0]


def checksum_path(weights: Path) -> Path:
    """Return the file that holds the SHA-256 of converted weights."""
    return weights.with_name(weights.name + ".sha256")


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file as hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify_source(path: Path, expected: SourceFile) -> None:
    """Compare a fetched file with its pinned hash.

    Raises
    ------
    WeightsMismatch
        If the hash differs.
    """
    verify(path, expected.name, expected.sha256)


def verify(path: Path, name: str, expected: str) -> None:
    """Raise WeightsMismatch unless the file's SHA-256 is `expected`."""
    got = file_sha256(path)
    if got != expected:
        raise WeightsMismatch(
            f"The weights file {name} is not the pinned one: expected SHA-256 {expected}, "
            f"got {got}."
        )


@contextlib.contextmanager
def install_lock(model: Package) -> Iterator[None]:
    """Keep other processes from installing the same model at the same time.

    A cache that may only be read holds what somebody else prepared: there is nothing to keep
    apart, and no lock where there is no file for it.
    """
    path = cache_dir() / "models" / f".{model.name}.lock"
    with contextlib.ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context(path.open("w"))
        except OSError as error:
            if error.errno not in _ONLY_TO_READ:
                raise
            if path.is_file():
                file = stack.enter_context(path.open())
            else:
                file = None
        if file is not None:
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _converted_name(model: Package) -> str:
    return f"{model.name}-v{model.converter_version}.safetensors"
