import fcntl
import os
import resource
import subprocess
from pathlib import Path

import pytest

from tests.scripts.conftest import ROOT, TIMEOUT_S, Checkout

LOG = "(Details: var/log/bootstrap.log.)"


def assert_refusal(result: subprocess.CompletedProcess[str], sentence: str) -> None:
    assert result.stderr == sentence + "\n"
    assert result.returncode == 1


def test_it_makes_the_environment_and_then_has_nothing_to_do(bare_checkout: Checkout) -> None:
    first = bare_checkout.bootstrap()
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout.startswith("environment: installing 1 packages and smalltorch==1.0\n")
    assert bare_checkout.has("smallpackage")
    assert bare_checkout.has("smalltorch")

    # Without a registry: it must not be asked again.
    second = bare_checkout.bootstrap(environ={"PIP_FIND_LINKS": os.devnull})
    assert (second.returncode, second.stderr) == (0, "")
    assert second.stdout.startswith("environment … ready (")
    assert second.stdout.count("\n") == 1


def test_it_installs_again_when_the_lock_changes(checkout: Checkout) -> None:
    checkout.bootstrap()
    checkout.lock("another", sha256=checkout.publish("another"))
    assert checkout.bootstrap().returncode == 0
    assert checkout.has("another")


def test_it_makes_an_environment_anew_whose_install_was_cut_short(checkout: Checkout) -> None:
    (checkout.root / ".venv" / "stemwright.unfinished").touch()
    (checkout.root / ".venv" / "half-a-package").touch()
    result = checkout.bootstrap()
    assert result.returncode == 0
    assert result.stdout.startswith("environment: removing an unfinished one\n")
    assert not (checkout.root / ".venv" / "half-a-package").exists()
    assert checkout.has("smalltorch")


def test_it_makes_an_environment_anew_whose_python_is_gone(checkout: Checkout) -> None:
    python = checkout.root / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to(checkout.root / "gone")
    assert checkout.bootstrap().returncode == 0
    assert checkout.has("smallpackage")


def test_it_waits_for_another_set_up(checkout: Checkout) -> None:
    (checkout.root / "var").mkdir()
    with (checkout.root / "var" / "bootstrap.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = subprocess.Popen(
            checkout.command(), env=checkout.environ, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        waits = process.stdout.readline()
    output, _ = process.communicate(timeout=TIMEOUT_S)
    assert waits == "waiting for another set-up of this checkout to end\n"
    assert process.returncode == 0
    assert checkout.has("smallpackage"), output


def test_it_refuses_another_python(bare_checkout: Checkout) -> None:
    script = bare_checkout.root / "scripts" / "bootstrap.py"
    code = (
        "import runpy, sys, platform\n"
        "sys.version_info, sys.executable = (3, 12, 1), '/opt/python3'\n"
        "platform.python_version = lambda: '3.12.1'\n"
        f"sys.argv = [{str(script)!r}]\n"
        f"runpy.run_path({str(script)!r}, run_name='__main__')"
    )
    command = [bare_checkout.command()[0], "-c", code]
    assert_refusal(
        bare_checkout.bootstrap(command=command),
        "Stemwright needs CPython 3.11, but /opt/python3 is CPython 3.12.1: "
        "name one with `make PYTHON=/path/to/python3.11`.",
    )
    assert not (bare_checkout.root / ".venv").exists()


def test_it_says_that_the_registry_cannot_be_reached(checkout: Checkout) -> None:
    # Nothing listens on the discard port.
    environ = {"PIP_NO_INDEX": "0", "PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_FIND_LINKS": ""}
    assert_refusal(
        checkout.bootstrap(environ=environ | {"PIP_RETRIES": "1"}),
        "The package registry cannot be reached: check the network, or pip's settings for index "
        f"and proxy (PIP_INDEX_URL, HTTPS_PROXY, pip.conf), and run again. {LOG}",
    )
    assert "127.0.0.1" in (checkout.root / "var" / "log" / "bootstrap.log").read_text()


def test_it_says_that_the_registry_lacks_a_package(checkout: Checkout) -> None:
    checkout.lock("nowhere", sha256="0" * 64)
    assert_refusal(
        checkout.bootstrap(),
        "The package registry has no nowhere==1.0 for this machine: "
        f"check pip's index settings. {LOG}",
    )


def test_it_refuses_a_package_with_another_hash(checkout: Checkout) -> None:
    checkout.lock("smallpackage", sha256="0" * 64)
    assert_refusal(
        checkout.bootstrap(),
        "smallpackage==1.0 from the registry is not the file that requirements.lock names (its "
        "hash differs): do not use it; run `pip cache purge`, and if that does not help, ask who "
        f"runs the mirror. {LOG}",
    )
    assert not checkout.has("smallpackage")


def test_it_says_that_the_disk_is_full_and_recovers(checkout: Checkout) -> None:
    checkout.lock("large", sha256=checkout.publish("large", size_bytes=2**20))
    full = checkout.bootstrap(
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2**19, 2**19))
    )
    assert_refusal(
        full,
        "The disk is full: free some space (the environment needs 2 GB, with CUDA several more) "
        "and run again. "
        f"{LOG}",
    )
    assert checkout.bootstrap().returncode == 0
    assert checkout.has("large")


def test_it_says_that_python_cannot_make_environments(
    bare_checkout: Checkout, tmp_path: Path
) -> None:
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "venv.py").write_text("raise ModuleNotFoundError(\"No module named 'venv'\")")
    assert_refusal(
        bare_checkout.bootstrap(environ={"PYTHONPATH": str(modules)}),
        "This Python cannot make virtual environments: install its venv module "
        "(Debian: python3.11-venv), or name another Python with "
        f"`make PYTHON=/path/to/python3.11`. {LOG}",
    )


@pytest.mark.parametrize("name", ["nowhere", "/nowhere/python3.11"])
def test_make_says_that_there_is_no_python(name: str) -> None:
    result = subprocess.run(
        ["make", "--no-print-directory", "demo", f"PYTHON={name}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.splitlines()[0] == (
        f"There is no {name}: name CPython 3.11 with 'make PYTHON=/path/to/python3.11'."
    )
