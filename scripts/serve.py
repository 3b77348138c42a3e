"""Run the whole service on this machine: web, three clusters of workers, janitor, database.

`make serve` calls it after the set-up. It runs until Ctrl-C or SIGTERM, or until one part ends,
and leaves nothing behind.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import os
import shlex
import signal
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

import honcho.compat
import honcho.manager
import honcho.printer

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from config.localdb import ensure_database_url  # noqa: E402

HOST = "127.0.0.1"
# After Ctrl-C, jobs may go on for so long; then their workers hand them back.
JOB_GRACE_S = 5
# More than the supervisors of the clusters take in all: 15 s beyond that, then SIGKILL.
GRACE_S = JOB_GRACE_S + 25
READY_TIMEOUT_S = 120
# What honcho reports after SIGINT and SIGTERM.
ENDED_ON_REQUEST = {130, 143}

honcho.manager.KILL_WAIT = GRACE_S


def main() -> int:
    parser = argparse.ArgumentParser(description="Run the service on this machine until Ctrl-C.")
    parser.add_argument("--port", type=int, default=8000, help=f"on {HOST} (default: 8000)")
    parser.add_argument(
        "--while-stdin-open", action="store_true", help="end when standard input is closed"
    )
    arguments = parser.parse_args()
    port = arguments.port
    reason = port_refusal(port)
    if reason:
        print(reason, file=sys.stderr)
        return 1
    # A closed terminal ends the service as Ctrl-C does, but not under nohup.
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    ensure_database_url()
    scratch_root = Path(os.environ.get("TMPDIR", ROOT / "var" / "tmp"))
    scratch_root.mkdir(parents=True, exist_ok=True)
    # A worker that had to be killed leaves its half-made stems here.
    with tempfile.TemporaryDirectory(prefix="service-", dir=scratch_root) as scratch:
        service = Service(port, scratch, while_stdin_open=arguments.while_stdin_open)
        try:
            service.loop()
        finally:  # Also when the reader of our output is gone and writing failed.
            service.kill()
    return 0 if service.returncode in ENDED_ON_REQUEST else 1


def port_refusal(port: int) -> str | None:
    """Say why the port cannot be used; None when it can."""
    with socket.socket() as probe:
        # As the web server does, so that connections which are still closing do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError) as error:
            what = error.strerror if isinstance(error, OSError) else "there is no such port"
            return (
                f"Port {port} on {HOST} cannot be used ({what}): stop the program that has it, "
                "or choose another with `make serve PORT=…`."
            )
    return None


class LeaderFirst(honcho.compat.ProcessManager):  # type: ignore[misc]
    """Asks a part to end by its first process alone; honcho would cut its workers off too."""

    def terminate(self, pid: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)


class Service(honcho.manager.Manager):  # type: ignore[misc]
    def __init__(self, port: int, scratch: str, *, while_stdin_open: bool) -> None:
        super().__init__(honcho.printer.Printer(sys.stdout))
        self._scratch = scratch
        self.port = port
        self._while_stdin_open = while_stdin_open
        self._procmgr = LeaderFirst()
        python, manage = sys.executable, [sys.executable, "manage.py"]
        web = f"-m gunicorn -c config/gunicorn.py config.wsgi:application -b {HOST}:{port}"
        web += f" --graceful-timeout {GRACE_S - 5}"
        self._add("web", [python, *web.split()])
        for cluster in ("separation", "imports", "default"):
            self._add(cluster, [*manage, "cluster", cluster])
        self._add("janitor", [*manage, "janitor"])

    def _add(self, name: str, command: list[str], **environ: str) -> None:
        # `exec`: signals reach the program itself, not a shell around it.
        self.add_process(
            name,
            f"exec {shlex.join(command)}",
            cwd=ROOT,
            env={
                # Links in mails lead here unless a setting says otherwise.
                "STEMWRIGHT_SITE_URL": f"http://{HOST}:{self.port}",
                "STEMWRIGHT_JOB_STOP_GRACE_SECONDS": str(JOB_GRACE_S),
                # Whoever signs up on their own machine can try it: four minutes of music.
                "STEMWRIGHT_WELCOME_CREDITS": "600",
                **os.environ,
                "PYTHONUNBUFFERED": "1",
                "TMPDIR": self._scratch,
                **environ,
            },
        )

    def _start(self) -> None:
        super()._start()
        # Not earlier: a fork copies locks that another thread holds, and nobody opens them.
        threading.Thread(target=self._announce, daemon=True).start()
        if self._while_stdin_open:
            threading.Thread(target=self._end_with_stdin, daemon=True).start()

    def _end_with_stdin(self) -> None:
        """End with the program that started us, even when that one was killed."""
        while os.read(0, 1024):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    def _announce(self) -> None:
        """Print the address once the service answers."""
        deadline = time.monotonic() + READY_TIMEOUT_S
        while time.monotonic() < deadline and not self._terminating:
            if self._is_ready():
                print(
                    f"Stemwright is ready: http://{HOST}:{self.port} (Ctrl-C ends it)", flush=True
                )
                return
            time.sleep(0.2)

    def _is_ready(self) -> bool:
        # Not urllib: it would ask the proxy of the environment for our own address.
        connection = http.client.HTTPConnection(HOST, self.port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def terminate(self) -> None:
        """End all parts; those that do not end in time are killed."""
        if self._terminating:
            return
        threading.Thread(target=self._terminate_once_started, daemon=True).start()

    def _terminate_once_started(self) -> None:
        # A part's process id arrives a moment after its start; a signal may come before.
        while not self._all_started():
            time.sleep(0.05)
        super().terminate()
        time.sleep(GRACE_S)
        self.kill()


if __name__ == "__main__":
    sys.exit(main())
