"""The resident process, with several callers in it at the same time."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from jobs.engine import EngineLost, EngineProcess
from separation.errors import OutOfMemory
from separation.host import UnexpectedError
from tests.jobs.engine_host import use_obedient_host


class Enough(Exception):
    """What a heartbeat raises."""


class Caller:
    """One that waits in a thread of its own."""

    def __init__(self, engine: EngineProcess, pool: ThreadPoolExecutor, **arguments: Any) -> None:
        self.looks = 0
        self.steps = 0
        self.has_enough = False
        arguments = {"input": "x", "output_dir": "x", "info": None, **arguments}
        self._future: Future[Any] = pool.submit(
            engine.run, "separate", arguments, watch=self._watch, on_progress=self._on_progress
        )

    def process(self) -> int:
        """In which it was separated."""
        return int(self._future.result(60)["result"]["model"])

    def error(self) -> BaseException | None:
        return self._future.exception(60)

    def until_within(self) -> "Caller":
        until(lambda: self.steps > 0)
        return self

    def _watch(self) -> None:
        self.looks += 1
        if self.has_enough:
            raise Enough

    def _on_progress(self, **_: Any) -> None:
        self.steps += 1


Call = Callable[..., Caller]


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EngineProcess]:
    use_obedient_host(tmp_path, monkeypatch)
    process = EngineProcess()
    yield process
    process.close()


@pytest.fixture
def call(engine: EngineProcess) -> Iterator[Call]:
    pool = ThreadPoolExecutor(8)
    yield lambda work="", **arguments: Caller(engine, pool, work=work, **arguments)
    engine.close()
    pool.shutdown()


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    return tmp_path / "gate"


def test_callers_share_one_process(engine: EngineProcess, call: Call):
    """They meet in it: each waits for the other."""
    callers = [call("meet"), call("meet")]
    assert {caller.process() for caller in callers} == {engine.pid}


def test_it_outlives_the_thread_that_was_the_first_to_call(engine: EngineProcess):
    """The kernel ends a process with the thread that started it."""
    with ThreadPoolExecutor(1) as pool:
        pid = Caller(engine, pool, work="").process()
    with ThreadPoolExecutor(1) as pool:
        assert Caller(engine, pool, work="").process() == pid == engine.pid


def test_a_caller_that_has_enough_leaves_the_others_alone(call: Call, gate: Path):
    leaving = call("segments", gate=str(gate)).until_within()
    staying = call("segments", gate=str(gate)).until_within()
    leaving.has_enough = True
    assert isinstance(leaving.error(), Enough)
    gate.touch()
    assert staying.process() == call().process()


def test_one_within_a_long_segment_is_let_go_and_not_heard_again(
    engine: EngineProcess, call: Call, gate: Path
):
    """It does not see the request to stop before the gate opens."""
    leaving = call("long segment", gate=str(gate)).until_within()
    leaving.has_enough = True
    assert isinstance(leaving.error(), Enough)
    steps = leaving.steps
    pid = call().process()
    gate.touch()
    resident = engine._current
    assert resident is not None
    until(lambda: not resident._left)
    assert (leaving.steps, engine.pid, call().process()) == (steps, pid, pid)
    assert not engine.is_winding_up


def test_a_process_that_dies_is_lost_for_all_who_are_within(
    engine: EngineProcess, call: Call, gate: Path
):
    callers = [call("segments", gate=str(gate)).until_within(), call("meet"), call("meet")]
    pid = callers[1].process()
    call("crash")
    error = callers[0].error()
    assert isinstance(error, EngineLost)
    assert error.status == -signal.SIGSEGV
    assert not psutil.pid_exists(pid)
    assert call().process() != pid


@pytest.mark.parametrize(("work", "kind"), [("fail", UnexpectedError), ("memory", OutOfMemory)])
def test_what_one_broke_never_meets_the_next_and_those_within_finish(
    engine: EngineProcess, call: Call, gate: Path, work: str, kind: type[Exception]
):
    innocent = call("segments", gate=str(gate)).until_within()
    pid = engine.pid
    assert type(call(work).error()) is kind
    assert engine.is_winding_up
    newcomer = call()
    # It goes on asking whether it may wait.
    until(lambda: newcomer.looks > 2)
    assert newcomer.steps == 0
    gate.touch()
    assert innocent.process() == pid
    assert newcomer.process() != pid
    assert pid is not None
    assert not psutil.pid_exists(pid)
    assert not engine.is_winding_up


def test_a_newcomer_that_has_enough_stops_waiting(engine: EngineProcess, call: Call, gate: Path):
    innocent = call("segments", gate=str(gate)).until_within()
    assert isinstance(call("fail").error(), UnexpectedError)
    newcomer = call()
    newcomer.has_enough = True
    assert isinstance(newcomer.error(), Enough)
    gate.touch()
    innocent.process()


def test_one_that_never_stops_is_ended_with_its_process(
    engine: EngineProcess, call: Call, gate: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("jobs.resident._HANG_PATIENCE_S", 0)
    monkeypatch.setattr("jobs.resident._TICK_S", 0.01)
    hanging = call("hang", gate=str(gate)).until_within()
    pid = engine.pid
    assert pid is not None
    hanging.has_enough = True
    assert isinstance(hanging.error(), Enough)
    until(lambda: not psutil.pid_exists(pid))
    assert call().process() != pid


def test_a_load_takes_longer_than_a_segment_may(
    engine: EngineProcess, call: Call, gate: Path, monkeypatch: pytest.MonkeyPatch
):
    """Else whoever waits for the same model would lose it with the one that was cancelled."""
    monkeypatch.setattr("jobs.resident._HANG_PATIENCE_S", 0)
    loading = call("load", gate=str(gate)).until_within()
    other = call("load", gate=str(gate)).until_within()
    pid, resident = engine.pid, engine._current
    assert resident is not None
    loading.has_enough = True
    assert isinstance(loading.error(), Enough)
    assert len(resident._left) == 1
    assert not resident._hangs()
    gate.touch()
    assert other.process() == pid
    until(lambda: not resident._left)
    assert not resident._loading


def test_others_that_get_on_beside_one_that_hangs_may_finish(
    engine: EngineProcess, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    hanging = call("hang", gate=str(tmp_path / "never")).until_within()
    gate = tmp_path / "gate"
    innocent = call("segments", gate=str(gate)).until_within()
    pid = engine.pid
    resident = engine._current
    assert resident is not None
    hanging.has_enough = True
    assert isinstance(hanging.error(), Enough)
    # All the patience there was is over; the other was heard of only now.
    resident._left = dict.fromkeys(resident._left, 0.0)
    until(lambda: engine.is_winding_up)
    steps = innocent.steps
    until(lambda: innocent.steps > steps + 100)
    gate.touch()
    assert innocent.process() == pid
    assert call().process() != pid


def test_a_process_that_hangs_as_a_whole_is_lost(
    engine: EngineProcess, call: Call, gate: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("jobs.resident._TICK_S", 0.01)
    hanging = [call("hang", gate=str(gate)).until_within() for _ in range(2)]
    monkeypatch.setattr("jobs.resident._HANG_PATIENCE_S", 0)
    hanging[0].has_enough = True
    assert isinstance(hanging[0].error(), Enough)
    assert isinstance(hanging[1].error(), EngineLost)


def test_a_process_that_is_stopped_is_lost_for_all(
    engine: EngineProcess, call: Call, gate: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("jobs.resident._TICK_S", 0.01)
    monkeypatch.setattr("jobs.resident._CHECK_EVERY_S", 0)
    callers = [call("hang", gate=str(gate)).until_within() for _ in range(2)]
    assert engine.pid is not None
    os.kill(engine.pid, signal.SIGSTOP)
    assert {type(caller.error()) for caller in callers} == {EngineLost}


def test_no_process_to_be_had_is_a_loss(engine: EngineProcess, monkeypatch: pytest.MonkeyPatch):
    def refuse() -> None:
        raise OSError("Cannot allocate memory")

    with monkeypatch.context() as patch:
        patch.setattr("jobs.resident._start", refuse)
        with ThreadPoolExecutor(1) as pool:
            assert isinstance(Caller(engine, pool, work="").error(), EngineLost)
    with ThreadPoolExecutor(1) as pool:
        assert Caller(engine, pool, work="").process() == engine.pid
