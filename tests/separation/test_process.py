"""The environment of a process that separates, and how the command line gets it."""

import json
import os
import platform
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from separation.process import environment, plain_environment, restart_prepared

ROOT = Path(__file__).resolve().parent.parent.parent
NAMES = sorted(environment({}))

PROGRAM = """
import json, os, sys
import separation.cli

def main():
    print(json.dumps([os.getpid(), sys.argv[1:], dict(os.environ), sys.stdin.read()]))
    if "die" in sys.argv:
        os.kill(os.getpid(), 9)
    return 7

separation.cli.main = main
"""


@pytest.fixture
def run(tmp_path):
    """`python -m separation …` with another `main`, which says what it finds."""
    # Read by each interpreter at its start: also by the one that takes the first one's place.
    (tmp_path / "sitecustomize.py").write_text(PROGRAM)
    environ = {key: value for key, value in os.environ.items() if key not in NAMES}
    environ["PYTHONPATH"] = f"{tmp_path}{os.pathsep}{ROOT}"

    def one(*arguments, **extra):
        command = [sys.executable, "-m", "separation", *arguments]
        process = subprocess.Popen(
            command, cwd=ROOT, env=environ | extra, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        output, _ = process.communicate(b"what it reads")
        return process, json.loads(output)

    return one


def test_the_operators_own_values_win():
    assert environment({})["OMP_WAIT_POLICY"] == "PASSIVE"
    prepared = environment({"OMP_WAIT_POLICY": "ACTIVE", "OTHER": "x"})
    assert (prepared["OMP_WAIT_POLICY"], prepared["OTHER"]) == ("ACTIVE", "x")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other allocators")
def test_the_allocator_is_set_on_linux_only(monkeypatch):
    assert environment({})["MALLOC_ARENA_MAX"] == "1"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert "MALLOC_ARENA_MAX" not in environment({})
    assert environment({})["OMP_WAIT_POLICY"] == "PASSIVE"


@pytest.mark.skipif(platform.machine() != "x86_64", reason="PyTorch has its own there")
def test_numpy_has_one_thread():
    assert environment({})["OPENBLAS_NUM_THREADS"] == "1"
    assert environment({"OPENBLAS_NUM_THREADS": "4"})["OPENBLAS_NUM_THREADS"] == "4"


def test_a_separation_finds_it_at_its_start_in_the_process_that_was_called(run):
    process, (pid, arguments, values, read) = run("separate", "a b", "--json", OMP_WAIT_POLICY="x")
    assert (process.returncode, pid) == (7, process.pid)
    assert (arguments, read) == (["separate", "a b", "--json"], "what it reads")
    assert {name: values[name] for name in NAMES} == environment({"OMP_WAIT_POLICY": "x"})


def test_other_commands_begin_at_once(run):
    process, (_, _, values, _) = run("catalog")
    assert process.returncode == 7
    assert not set(NAMES) & set(values)


def test_it_starts_anew_once_at_most(run):
    """Also where something takes a variable away again, as some systems do with GLIBC_TUNABLES."""
    _, (_, _, values, _) = run("separate", STEMWRIGHT_PROCESS_PREPARED="1")
    assert not set(NAMES) & set(values)


def test_an_interpreter_without_a_program_goes_on_as_it_is(monkeypatch):
    monkeypatch.setattr(sys, "executable", "")
    monkeypatch.setenv("OMP_WAIT_POLICY", "")
    monkeypatch.delenv("OMP_WAIT_POLICY")
    restart_prepared()
    assert "OMP_WAIT_POLICY" not in os.environ


def test_on_windows_it_would_be_another_process(monkeypatch):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.setattr(os, "name", "nt")
    monkeypatch.setattr(os, "execve", lambda *_: pytest.fail("started anew"))
    restart_prepared()


def test_other_programs_do_not_get_it(run, monkeypatch):
    _, (_, _, values, _) = run("separate", OMP_WAIT_POLICY="ACTIVE")
    assert "STEMWRIGHT_PROCESS_PREPARED" not in values
    monkeypatch.setattr(os, "environ", values)
    ours = set(NAMES) & set(plain_environment())
    assert ours == {"OMP_WAIT_POLICY"}  # it was there before
    assert plain_environment()["PATH"] == values["PATH"]


def test_a_signal_that_ends_it_is_seen_from_outside(run):
    process, _ = run("separate", "die")
    assert process.returncode == -signal.SIGKILL
