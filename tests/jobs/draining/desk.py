"""In the place of the engine, and what tests ask of the jobs at it."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import separation
from accounts.models import Workspace
from billing.models import Transaction
from billing.selectors import ledger_discrepancies, wallet_get
from jobs.draining import Crew
from jobs.engine import EngineLost
from jobs.models import Job
from tests.makers import make_wav


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


class Desk:
    """In the place of the engine: each job stays on it until it is let go."""

    def __init__(self) -> None:
        self.within: list[str] = []
        # Those who were within together, each time that one came.
        self.met: list[set[str]] = []
        self.errors: dict[str, Exception] = {}
        # Whose work ends the engine for all who are within.
        self.poison = ""
        self.looks = 0
        self.crew: Crew | None = None
        self._free: set[str] = set()
        self._all_free = False
        self._crashes = 0
        self._lock = threading.Lock()

    def let_go(self, *jobs: Job) -> None:
        self._free.update(str(job.uuid) for job in jobs)
        self._all_free = not jobs

    def has(self, *jobs: Job) -> bool:
        return sorted(self.within) == sorted(str(job.uuid) for job in jobs)

    def separate(
        self,
        *,
        folder: Path,
        watch: Callable[[], None],
        info: separation.AudioInfo,
        stems: list[str],
        model: str,
        **_: Any,
    ) -> separation.SeparationResult:
        name = folder.name.partition(".")[0]
        with self._lock:
            self.within.append(name)
            self.met.append(set(self.within))
            crashes = self._crashes
        try:
            while not (self._all_free or name in self._free):
                watch()
                if self._crashes > crashes:
                    break
                time.sleep(0.002)
            if name == self.poison:
                self._crashes += 1
            if self._crashes > crashes:
                raise EngineLost(-9)
            if name in self.errors:
                raise self.errors.pop(name)
        finally:
            with self._lock:
                self.within.remove(name)
        paths = {stem: folder / f"{stem}.wav" for stem in stems}
        for path in paths.values():
            path.write_bytes(make_wav(seconds=0.1))
        return separation.SeparationResult(
            paths, info.sample_rate, info.n_samples, 2, model, 0.0, dict.fromkeys(stems, 0)
        )


def states() -> Counter[str]:
    return Counter(Job.objects.values_list("state", flat=True))


def after_some_looks(desk: Desk) -> None:
    looks = desk.looks
    until(lambda: desk.looks > looks + 3)


def assert_charged_once(workspace: Workspace, n_succeeded: int, price_mcr: int) -> None:
    wallet = wallet_get(workspace=workspace)
    assert (wallet.posted_mcr, wallet.held_mcr) == (1_000_000 - n_succeeded * price_mcr, 0)
    assert Transaction.objects.filter(kind="capture").count() == n_succeeded
    assert ledger_discrepancies() == []
