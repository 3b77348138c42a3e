"""The service as a child process, for scripts that are its customers."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

import httpx
import psutil

ROOT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
READY_TIMEOUT_S = 120
# More than the service gives its own parts.
STOP_TIMEOUT_S = 40


class ServiceError(Exception):
    """The service does not run; the message is one sentence."""


class Service:
    """Starts scripts/serve.py on a free port; leaving the block stops all of it."""

    def __init__(self) -> None:
        self.log = ROOT / "var" / "log" / "demo.log"

    def __enter__(self) -> Service:
        port = _free_port()
        self.url = f"http://{HOST}:{port}"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "scripts/serve.py", "--port", str(port), "--while-stdin-open"],
                cwd=ROOT,
                # An open pipe: should this process be killed, the service ends too.
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C reaches this process alone, which then ends the service in order.
                start_new_session=True,
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def workspace_create(self, *, name: str, credits: int) -> str:
        """Make a workspace as an operator does; return its API key."""
        command = ["manage.py", "workspace_create", "--name", name, "--credits", str(credits)]
        result = subprocess.run(
            [sys.executable, *command, "--json"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode != 0:
            reason = (result.stderr.strip() or "it gave no reason").splitlines()[-1]
            raise ServiceError(f"The workspace could not be made: {reason}")
        return str(json.loads(result.stdout.strip().splitlines()[-1])["key"])

    def check(self) -> None:
        """Raise if the service has ended."""
        if self._process.poll() is not None:
            raise ServiceError(f"The service has ended by itself; its log is {self.log}.")

    def stop(self) -> None:
        # Taken now: once the parent is gone, nobody can say whose children they were.
        with contextlib.suppress(psutil.NoSuchProcess):
            family = psutil.Process(self._process.pid).children(recursive=True)
            self._process.terminate()
            try:
                self._process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                for process in family:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        process.kill()
                self._process.kill()
        self._process.wait()

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_TIMEOUT_S
        while time.monotonic() < deadline:
            self.check()
            with contextlib.suppress(httpx.HTTPError):
                # No proxy of the environment stands between this machine and itself.
                if httpx.get(f"{self.url}/readyz", trust_env=False).status_code == 200:
                    return
            time.sleep(0.1)
        raise ServiceError(
            f"The service is not ready after {READY_TIMEOUT_S} s; its log is {self.log}."
        )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
