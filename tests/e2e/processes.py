"""Real processes of the service, for tests that need more than one."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from django.db import connection

ROOT = Path(__file__).resolve().parent.parent.parent
_POLL_S = 0.05


def service_environment(media_dir: Path, **extra: str) -> dict[str, str]:
    """The tests' own database and files, for child processes."""
    database = connection.settings_dict
    host = quote(str(database["HOST"]), safe="")
    address = f"{database['USER']}@{host}:{database['PORT']}/{database['NAME']}"
    return {
        **os.environ,
        "DATABASE_URL": f"postgresql://{address}",
        "STEMWRIGHT_MEDIA_DIR": str(media_dir),
        "STEMWRIGHT_SCRATCH_DIR": str(media_dir.parent / "scratch"),
        "STEMWRIGHT_LOG_LEVEL": "WARNING",
        **extra,
    }


@contextmanager
def manage(
    *arguments: str, environ: dict[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a management command until the block ends, then stop it and all its children."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=environ,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(30)
            finally:
                try:
                    os.killpg(process.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
                process.wait()


def wait_until(condition: Callable[[], bool], *, timeout_s: float, log: Path) -> None:
    """Look until it is so; fail with the log of the process that should have made it so."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"still not so after {timeout_s} s:\n{log.read_text()[-5000:]}")
        time.sleep(_POLL_S)
