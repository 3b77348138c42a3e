"""Make a checkout ready: environment, weights, database, static files. `make` calls it each time.

Runs on the machine's own Python, so the standard library is all it has. Each step is skipped when
its work is done. Each failure ends with one sentence; what the tools said is in the log.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import os
import platform
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOCK_FILE = ROOT / "requirements.lock"
LOG = ROOT / "var" / "log" / "bootstrap.log"
# In the environment itself: who deletes the one deletes the other.
STAMP = VENV / "stemwright.stamp"
UNFINISHED = VENV / "stemwright.unfinished"
PROGRESS_EVERY_S = 10

# The first that a tool's output matches is the one to tell; {0} is the match's group.
CAUSES = [
    (
        r"No space left on device|Disk quota exceeded|File too large",
        "The disk is full: free some space (the environment needs 2 GB, with CUDA several more) "
        "and run again.",
    ),
    (
        r"DO NOT MATCH THE HASHES.*\n\s*(\S+)",
        "{0} from the registry is not the file that requirements.lock names (its hash differs): "
        "do not use it; run `pip cache purge`, and if that does not help, ask who runs the mirror.",
    ),
    (
        r"No module named '?(?:venv|ensurepip)|ensurepip is not available",
        "This Python cannot make virtual environments: install its venv module "
        "(Debian: python3.11-venv), or name another Python with `make PYTHON=/path/to/python3.11`.",
    ),
    (
        r"NewConnectionError|ProxyError|ConnectTimeoutError|ReadTimeoutError|SSLError|"
        r"name resolution|Connection refused|Could not fetch URL|HTTP error \d+|"
        r"IncompleteRead|ProtocolError|RemoteDisconnected",
        "The package registry cannot be reached: check the network, or pip's settings for index "
        "and proxy (PIP_INDEX_URL, HTTPS_PROXY, pip.conf), and run again.",
    ),
    (
        r"No matching distribution found for (\S+)",
        "The package registry has no {0} for this machine: check pip's index settings.",
    ),
    (
        r"command '[^']*(?:cc|clang|\+\+)[^']*' failed|Failed building wheel for (\S+)",
        "A package could not be compiled: check that a C compiler (cc) works.",
    ),
    (
        r"Permission denied",
        "This user may not write here: give the checkout to the user who runs make.",
    ),
]


class SetupError(Exception):
    """The message is the one sentence that the user reads."""


def main() -> int:
    arguments = _arguments()
    try:
        _check_python()
        # `make` and service managers end with SIGTERM; the tool in progress must end with us.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        LOG.parent.mkdir(parents=True, exist_ok=True)
        with _alone():
            LOG.write_text("")
            for name, work, wanted in (
                ("environment", environment_install, True),
                ("weights", weights_install, arguments.weights),
                ("database", database_migrate, arguments.database),
                ("static files", static_collect, arguments.static),
            ):
                if wanted:
                    started = time.monotonic()
                    work()
                    say(f"{name} … ready ({time.monotonic() - started:.1f} s)")
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(explain(str(error), what="Setting up"), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("The set-up was interrupted; the next run continues it.", file=sys.stderr)
        return 130
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Make a checkout ready to run.")
    parser.add_argument("--weights", action="store_true", help="install the models' weights too")
    parser.add_argument("--database", action="store_true", help="migrate the database too")
    parser.add_argument("--static", action="store_true", help="collect the static files too")
    return parser.parse_args()


def _check_python() -> None:
    is_right = sys.version_info[:2] == (3, 11) and platform.python_implementation() == "CPython"
    if not is_right:
        raise SetupError(
            f"Stemwright needs CPython 3.11, but {sys.executable} is "
            f"{platform.python_implementation()} {platform.python_version()}: "
            "name one with `make PYTHON=/path/to/python3.11`."
        )


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Wait for another set-up of this checkout to end; the kernel frees the lock of a dead one."""
    with (ROOT / "var" / "bootstrap.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another set-up of this checkout to end")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def environment_install() -> None:
    torch = torch_spec()
    stamp = _digest(LOCK_FILE.read_bytes(), platform.python_version(), torch)
    if PYTHON.exists() and STAMP.exists() and STAMP.read_text() == stamp:
        return
    # An install that was cut short may have left halves of packages that pip takes for whole.
    if VENV.exists() and (UNFINISHED.exists() or not _environment_works()):
        say("environment: removing an unfinished one")
        shutil.rmtree(VENV)
    if not VENV.exists():
        VENV.mkdir()
        UNFINISHED.touch()
        run([sys.executable, "-m", "venv", str(VENV)], what="Making the virtual environment")
        UNFINISHED.unlink()
    packages = len(re.findall(r"^\S+==", LOCK_FILE.read_text(), re.MULTILINE))
    say(f"environment: installing {packages} packages and {torch}")
    pip_install("--no-deps", "--require-hashes", "-r", str(LOCK_FILE), expected=packages)
    # Apart and with its dependencies: docs/adr/0002-environment-and-lock.md says why.
    pip_install(*shlex.split(torch))
    STAMP.write_text(stamp)
    UNFINISHED.unlink(missing_ok=True)


def _environment_works() -> bool:
    code = "import pip, sys; sys.exit(sys.version_info[:2] != (3, 11))"
    try:
        result = subprocess.run([PYTHON, "-c", code], capture_output=True, check=False)
    except OSError:
        return False
    return result.returncode == 0


def torch_spec() -> str:
    """Return what to ask pip for: the pinned version, or what STEMWRIGHT_TORCH_SPEC names."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned = next(line for line in project["dependencies"] if line.startswith("torch=="))
    return os.environ.get("STEMWRIGHT_TORCH_SPEC") or str(pinned)


def pip_install(*arguments: str, expected: int | None = None) -> None:
    found = 0

    def count(line: str) -> str | None:
        nonlocal found
        # Until here pip has only fetched: a failure before it leaves a usable environment.
        if line.startswith("Installing collected packages"):
            UNFINISHED.touch()
        if expected is None:
            return line if line.startswith(("Downloading", "Installing")) else None
        found += line.startswith(("Collecting ", "Requirement already satisfied"))
        return f"{min(found, expected)} of {expected} packages"

    command = [str(PYTHON), "-m", "pip", "install", "--no-input", "--disable-pip-version-check"]
    # A user-wide `user = true` in pip.conf would make pip refuse to work in an environment.
    run([*command, *arguments], what="Installing packages", progress=count, PIP_USER="0")


def weights_install() -> None:
    # It shows its own progress, and says its own sentence when it fails.
    result = subprocess.run(
        [PYTHON, "-m", "separation", "models", "install"], cwd=ROOT, check=False
    )
    if result.returncode != 0:
        sys.exit(result.returncode)


def database_migrate() -> None:
    manage("migrate", "--noinput", what="Preparing the database")


def static_collect() -> None:
    files = [f"{p}{p.stat().st_mtime_ns}" for p in sorted((ROOT / "static").rglob("*"))]
    stamp = _digest(LOCK_FILE.read_bytes(), *files)
    stamp_file = ROOT / "var" / "static.stamp"
    if (ROOT / "var" / "static").is_dir() and stamp_file.exists():
        if stamp_file.read_text() == stamp:
            return
        stamp_file.unlink()
    manage("collectstatic", "--noinput", what="Collecting static files")
    stamp_file.write_text(stamp)


def manage(*arguments: str, what: str) -> None:
    run([str(PYTHON), "manage.py", *arguments], what=what)


def run(
    command: list[str],
    *,
    what: str,
    progress: Callable[[str], str | None] = lambda line: None,
    **environ: str,
) -> None:
    """Run a tool; its output goes to the log, and to the sentence when it fails."""
    output = []
    shown_at = time.monotonic()
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **environ, "LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    try:
        with LOG.open("a") as log:
            for line in process.stdout or ():
                log.write(line)
                output.append(line)
                status = progress(line.strip())
                if status and time.monotonic() - shown_at > PROGRESS_EVERY_S:
                    say(f"  {status}")
                    shown_at = time.monotonic()
        if process.wait() != 0:
            raise SetupError(explain("".join(output), what=what))
    finally:
        process.terminate()
        process.wait()


def explain(output: str, *, what: str) -> str:
    """Say in one sentence what went wrong and what to do."""
    log = LOG.relative_to(ROOT)
    for pattern, sentence in CAUSES:
        match = re.search(pattern, output)
        if match:
            return f"{sentence.format(*match.groups())} (Details: {log}.)"
    lines = [line.strip() for line in output.splitlines() if line.strip()] or ["nothing was said"]
    errors = [line for line in lines if line.startswith("ERROR:")]
    return f"{what} failed: {(errors or lines)[-1]} (Details: {log}.)"


def say(line: str) -> None:
    print(line, flush=True)


def _digest(*parts: bytes | str) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part if isinstance(part, bytes) else part.encode())
        digest.update(b"\0")
    return digest.hexdigest()


if __name__ == "__main__":
    sys.exit(main())
