"""What can be broken: programs, the database, the broker, the file system."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from config.localdb import LocalServer

ROOT = Path(__file__).resolve().parent.parent.parent
_STOP_TIMEOUT_S = 90


class Program:
    """A part of the service, with all processes that come from it."""

    def __init__(self, name: str, command: list[str], environ: dict[str, str], logs: Path) -> None:
        self.name = name
        self._command = command
        self._environ = environ
        self._log = logs / f"{name}.log"
        self.start()

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=ROOT,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def family(self) -> list[psutil.Process]:
        """The program's first process and all below it."""
        try:
            first = psutil.Process(self._process.pid)
            return [first, *first.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def kill(self) -> None:
        """SIGKILL to all of it, as when a machine is lost."""
        for process in self.family():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()

    def kill_first(self) -> None:
        """SIGKILL to the first process only; whoever it started must find out."""
        self._process.kill()
        self._process.wait()

    def terminate(self) -> int:
        """SIGTERM, then wait; the exit status."""
        self._process.terminate()
        return self._process.wait(_STOP_TIMEOUT_S)

    def is_running(self) -> bool:
        return self._process.poll() is None


def cluster_processes(program: Program) -> dict[str, list[psutil.Process]]:
    """The processes of a supervised cluster, by what they do."""
    roles: dict[str, list[psutil.Process]] = {}
    for process in program.family():
        with contextlib.suppress(psutil.NoSuchProcess, IndexError):
            roles.setdefault(_role(program, process), []).append(process)
    return roles


def _role(program: Program, process: psutil.Process) -> str:
    title = " ".join(process.cmdline())
    if process.pid == program.family()[0].pid:
        return "supervisor"
    if "separation" in title and " host" in title:
        return "engine"
    for word, role in (
        (" pusher", "pusher"),
        (" monitor", "monitor"),
        (" idle", "idle_worker"),
        (" processing", "busy_worker"),
    ):
        if title.startswith("qcluster") and word in title:
            return role
    parent = process.parent()
    is_leader = parent is not None and parent.pid == program.family()[0].pid
    return "leader" if is_leader else "sentinel"


class Database(LocalServer):
    """A PostgreSQL of the run's own."""

    def restart(self, *, mode: str) -> None:
        """`fast` ends all connections; `immediate` is as good as a crash."""
        self._run("pg_ctl", "stop", "-D", str(self.data_dir), "-m", mode)
        time.sleep(1)
        self._start()


class Redis:
    """A Redis of the run's own, which forgets everything when it is killed."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._folder = folder
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        self._process = subprocess.Popen(
            ["redis-server", "--bind", "127.0.0.1", "--port", str(self.port)]
            + ["--save", "", "--appendonly", "no", "--dir", str(self._folder)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    @contextmanager
    def gone(self, seconds: float) -> Iterator[None]:
        self.kill()
        time.sleep(seconds)
        yield
        self.start()


class FileSystem:
    """A small file system in memory, for the files of the service."""

    def __init__(self, folder: Path, *, size_mb: int) -> None:
        self.folder = folder
        folder.mkdir()
        self._mount("-t", "tmpfs", "-o", f"size={size_mb}m", "none", str(folder))
        self._filler = folder / "filler"

    @contextmanager
    def full(self) -> Iterator[None]:
        """Not a byte is left."""
        with self._filler.open("wb", buffering=0) as filler:
            for block in (1 << 24, 1 << 12):
                with contextlib.suppress(OSError):
                    while True:
                        filler.write(bytes(block))
        try:
            yield
        finally:
            self._filler.unlink()

    @contextmanager
    def failing(self, subfolder: Path) -> Iterator[None]:
        """Nothing that is there can be opened, and nothing can be written."""
        self._mount("-t", "tmpfs", "-o", "ro,size=4k", "none", str(subfolder))
        try:
            yield
        finally:
            self._unmount(subfolder)

    def close(self) -> None:
        self._unmount(self.folder)

    def _mount(self, *arguments: str) -> None:
        subprocess.run(["mount", *arguments], check=True)

    def _unmount(self, folder: Path) -> None:
        # Lazily: a process may have its working directory or a file there.
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def python(*arguments: str) -> list[str]:
    return [sys.executable, *arguments]


def stopped_for(process: psutil.Process, seconds: float) -> None:
    """SIGSTOP, wait, SIGCONT; it may have been killed meanwhile."""
    process.suspend()
    time.sleep(seconds)
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGCONT)
