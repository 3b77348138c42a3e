"""Keeps one cluster of workers alive: starts it, watches it, and starts it anew when it hangs.

django-q2 replaces processes that die, but not all of their deaths can be survived: one that is
killed while it waits for a task takes the queue's lock with it, and all others wait for ever
(docs/adr/0016-supervision.md). So this process trusts only what comes out: pulses in a folder.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil
import structlog
from django.conf import settings

from jobs.instance import BUSY_PREFIX, FOLDER_VARIABLE, Pulse, folder_prepare, stop_request
from jobs.queue import SEPARATION
from jobs.tallies import tally_add_aside

log = structlog.get_logger(__name__)

_LOOK_S = 0.5
# A supervisor that did not look for so long was stopped itself, and its cluster perhaps with it.
_GAP_S = 5.0
# After the work was handed back: for writing it down, and for the processes to end.
_STOP_MARGIN_S = 15
# Nothing outlives SIGKILL, but a process may take a moment over it.
_KILL_PATIENCE_S = 10
# A task that is over its time is ended by django-q2; what hangs even so is ended here.
_TIMEOUT_MARGIN_S = 15
_PAUSES_S = (0.5, 1, 2, 5, 10, 30)
# A cluster that lived so long did not fail at its start.
_SETTLED_S = 60


def supervise(name: str) -> None:
    """Run the cluster until SIGTERM or SIGINT."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    failures = 0
    while not stop.is_set():
        started_at = time.monotonic()
        try:
            with Cluster(name) as cluster:
                problem = cluster.watch(stop)
                if problem is None:
                    log.info("cluster_stopped", cluster=name, graceful=cluster.stop())
                    return
        except OSError:
            # A full disk, or no more processes to be had.
            log.exception("cluster_not_watched", cluster=name)
            problem = "ended"
        failures = 1 if time.monotonic() - started_at > _SETTLED_S else failures + 1
        reason = "ended" if problem == "ended" else "hung"
        tally_add_aside("cluster_restarts", cluster=name, reason=reason)
        if problem == "ended":
            pause_s = _PAUSES_S[min(failures, len(_PAUSES_S)) - 1]
            log.error("cluster_ended", cluster=name, pause_s=pause_s)
            stop.wait(pause_s)
        else:
            log.error("cluster_hung", cluster=name, why=problem)
    log.info("cluster_stopped", cluster=name, graceful=True)


class Cluster:
    """A process group, and the folder through which it is heard."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._folder = Path(tempfile.mkdtemp(prefix=f"cluster-{name}-"))
        self._pulses = Touches(self._folder)
        self._looked_at = time.monotonic()
        self._stopped_since: float | None = None
        try:
            folder_prepare(self._folder)
            self._process = self._start()
        except OSError:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        log.info("cluster_started", cluster=name, pid=self._process.pid)

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(self, *exc: object) -> None:
        self._kill()

    def watch(self, stop: threading.Event) -> str | None:
        """Wait until it ends or hangs, and say which; None when it shall stop."""
        while not stop.wait(_LOOK_S):
            problem = self._problem()
            if problem is not None:
                return problem
        return None

    def stop(self) -> bool:
        """Let it finish or give back what it has; whether it ended by itself."""
        with suppress(OSError):
            stop_request(self._folder)
        # Not `terminate()`: it would bury one that has just ended, and so give its id away.
        os.kill(self._process.pid, signal.SIGTERM)
        deadline = time.monotonic() + settings.JOB_STOP_GRACE_SECONDS + _STOP_MARGIN_S
        while not self._has_ended():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True

    def _start(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(  # noqa: S603  (our own program)
            [sys.executable, str(settings.BASE_DIR / "manage.py"), "cluster_workers"],
            env={**os.environ, "Q_CLUSTER_NAME": self._name, FOLDER_VARIABLE: str(self._folder)},
            # Never written to. It closes when this process ends, however that comes about, and the
            # cluster ends with it.
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def _kill(self) -> None:
        """End all its processes, also those that are stopped, and wait until they are gone."""
        pid = self._process.pid
        # Asked for first: whose child a process was is known only while its parent lives.
        family = self._family()
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.communicate()
        _, left = psutil.wait_procs(family, timeout=_KILL_PATIENCE_S)
        if left:
            pids = [process.pid for process in left]
            log.error("cluster_outlived_sigkill", cluster=self._name, pids=pids)
        # In a container this process may have inherited them, and nobody else buries them.
        with suppress(ChildProcessError):
            while os.waitpid(-pid, os.WNOHANG)[0]:
                pass
        shutil.rmtree(self._folder, ignore_errors=True)

    def _problem(self) -> str | None:
        if self._has_ended():
            return "ended"
        self._look()
        patience_s = settings.CLUSTER_PATIENCE_SECONDS
        if self._is_stopped_for(patience_s):
            return "a process is stopped"
        if not self._pulses.was_touched(Pulse.WORKER):
            late = self._pulses.age_s(Pulse.WORKER) > settings.CLUSTER_START_PATIENCE_SECONDS
            return "it does not start" if late else None
        if self._pulses.age_s(Pulse.WORKER) > patience_s and not self._are_all_busy():
            return "no worker takes a task"
        if self._pulses.age_s(Pulse.SENTINEL) > patience_s:
            return "nobody looks after the workers"
        # Nothing comes to the monitor while all workers are busy: only what came before counts.
        unheard_s = self._pulses.age_s(Pulse.MONITOR) - self._pulses.age_s(Pulse.CANARY)
        return "nobody takes outcomes" if unheard_s > patience_s else None

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._looked_at > _GAP_S:
            self._pulses.forgive()
        self._looked_at = now
        self._pulses.look()
        if not any(_status_of(pid) == psutil.STATUS_STOPPED for pid in self._members()):
            self._stopped_since = None
        elif self._stopped_since is None:
            self._stopped_since = now

    def _is_stopped_for(self, seconds: float) -> bool:
        since = self._stopped_since
        return since is not None and time.monotonic() - since > seconds

    def _has_ended(self) -> bool:
        # It is left unburied, so that its id, which is that of the group, is not given away.
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self._process.pid, flags) is not None

    def _are_all_busy(self) -> bool:
        """Whether each worker has a task that may still take its time."""
        # A job shows its pulse itself.
        if self._name == SEPARATION:
            return False
        conf = {**settings.Q_CLUSTER, **settings.Q_CLUSTER["ALT_CLUSTERS"].get(self._name, {})}
        limit_s = conf["timeout"] + _TIMEOUT_MARGIN_S
        busy = [f"{BUSY_PREFIX}{pid}" for pid in self._members()]
        ages_s = [self._pulses.age_s(name) for name in busy if self._pulses.was_touched(name)]
        return [age_s < limit_s for age_s in ages_s].count(True) >= int(conf["workers"])

    def _members(self) -> list[int]:
        """The process ids of the group, without those that only wait to be buried."""
        group = self._process.pid
        return [pid for pid in psutil.pids() if _group_of(pid) == group and not _is_dead(pid)]

    def _family(self) -> list[psutil.Process]:
        """Its group, and what workers started in groups of their own, such as engines: of those
        whose worker has died only the environment tells."""
        family = set()
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                is_member = _group_of(process.pid) == self._process.pid
                if is_member or process.environ().get(FOLDER_VARIABLE) == str(self._folder):
                    family.update([process, *process.children(recursive=True)])
        return [process for process in family if not _is_dead(process.pid)]


class Touches:
    """How long ago the files of a folder were touched, by the clock of this process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._since = time.monotonic()
        self._seen: dict[str, tuple[int, float]] = {}

    def look(self) -> None:
        now = time.monotonic()
        seen = {}
        for path in self._folder.iterdir():
            with suppress(FileNotFoundError):
                mark = path.stat().st_mtime_ns
                known = self._seen.get(path.name)
                if mark:
                    seen[path.name] = known if known and known[0] == mark else (mark, now)
        self._seen = seen

    def forgive(self) -> None:
        """Nobody looked for a while: begin anew."""
        self._since = time.monotonic()

    def was_touched(self, name: str) -> bool:
        return name in self._seen

    def age_s(self, name: str) -> float:
        """Since it was touched; for a file that never was, since the beginning."""
        _, seen_at = self._seen.get(name, (0, self._since))
        return time.monotonic() - max(seen_at, self._since)


def _group_of(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except (ProcessLookupError, PermissionError):
        return None


def _status_of(pid: int) -> str | None:
    try:
        return psutil.Process(pid).status()  # type: ignore[no-any-return]
    except psutil.NoSuchProcess:
        return None


def _is_dead(pid: int) -> bool:
    return _status_of(pid) in (None, psutil.STATUS_ZOMBIE)
