"""The package as others install it."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from stemwright import Client

PACKAGE = Path(__file__).resolve().parents[2] / "clients" / "python"


def run(*command: str, environ: dict[str, str] | None = None) -> str:
    ran = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, env=environ
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_it_is_installed_by_pip(tmp_path: Path):
    # Away from the checkout, in which the build would leave folders.
    source = shutil.copytree(PACKAGE, tmp_path / "source")
    target = tmp_path / "target"
    pip = ["-m", "pip", "--disable-pip-version-check", "install", "--no-index", "--no-deps"]
    run(sys.executable, *pip, "--no-build-isolation", "--target", str(target), str(source))
    assert (target / "stemwright" / "py.typed").exists()
    # The libraries that it needs are those of this environment.
    libraries = os.pathsep.join([str(target), sysconfig.get_path("purelib")])
    environ = {**os.environ, "PYTHONPATH": libraries}
    said = run(str(target / "bin" / "stemwright"), "--version", environ=environ)
    assert said == "stemwright 0.1.0\n"


@pytest.mark.parametrize(
    ("key", "url", "problem"),
    [
        ("", "http://127.0.0.1", "STEMWRIGHT_API_KEY"),
        ("ap_\n", "127.0.0.1:8000", "no address"),
        ("ap_ü", "http://127.0.0.1", "no API key"),
    ],
)
def test_what_is_missing_is_said(key: str, url: str, problem: str):
    with pytest.raises(ValueError, match=problem):
        Client(key, url)


def test_a_key_is_not_shown():
    with Client("ap_secret", "http://127.0.0.1") as client:
        assert "ap_secret" not in repr(client) + repr(vars(client)) + repr(vars(client._http))
