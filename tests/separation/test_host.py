"""The host as a real process, with something quick or nasty in the place of a separation."""

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from unittest import mock

import psutil
import pytest

import separation
from separation import errors
from separation.host import Host, UnexpectedError, error_json, error_of

ROOT = Path(__file__).resolve().parent.parent.parent

HOST = """
import ctypes, os, subprocess, sys, threading, time
import separation
from separation.host import serve

def separate(*, work, on_progress, **arguments):
    on_progress(step="separate", completed=1, total=2)
    if work == "print":
        print("noise", flush=True)
        os.write(1, b"noise\\n")
        os.system("echo noise")
    if work == "fail":
        raise RuntimeError("the inside of it")
    if work == "exit":
        sys.exit(3)
    if work == "child":
        child = subprocess.Popen(["sleep", "600"])
        on_progress(step="child", completed=child.pid, total=None)
        time.sleep(600)
    if work == "meet":
        meeting.wait()
    if work == "talk":
        for completed in range(1000):
            on_progress(step="talk " * 100, completed=completed, total=1000)
    if work == "hang":
        time.sleep(600)
    if work == "hang in C":
        ctypes.PyDLL(None).sleep(600)  # with the interpreter's lock
    if work == "segments":
        for completed in range(10**9):
            time.sleep(0.001)
            on_progress(step="separate", completed=completed, total=10**9)
    return separation.SeparationResult(
        {"vocals": "/x"}, 44100, 2, arguments["info"].channels, "m", 0.0, {"vocals": 0}
    )

meeting = threading.Barrier(8)
separation.separate = separate
serve()
"""
INFO = {
    "n_samples": 2,
    "sample_rate": 44100,
    "channels": 2,
    "layout": "stereo",
    "codec": "pcm_s16le",
    "container": "wav",
    "bits_per_sample": 16,
    "is_float": False,
    "is_lossy": False,
}


@pytest.fixture
def host():
    with subprocess.Popen(
        [sys.executable, "-c", HOST],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        yield process
        process.kill()


def order(number, work):
    arguments = {"work": work, "info": INFO}
    return {"id": number, "command": "separate", "arguments": arguments}


def ask(host, *requests):
    for request in requests:
        host.stdin.write(json.dumps(request).encode() + b"\n")
    host.stdin.flush()


def answers(host, n):
    return [json.loads(host.stdout.readline()) for _ in range(n)]


def kinds(host, n):
    return [(event["id"], event["event"]) for event in answers(host, n)]


def ending(host):
    """The next event that is the last of its request."""
    rest = iter(lambda: answers(host, 1)[0], None)
    return next(event for event in rest if event["event"] != "progress")


def has_ended(pid):
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_what_libraries_print_never_gets_between_the_events(host):
    ask(host, order(1, "print"))
    progress, result = answers(host, 2)
    assert progress == {"id": 1, "event": "progress", "step": "separate"} | {
        "completed": 1,
        "total": 2,
    }
    assert result["result"]["stems"] == {"vocals": "/x"}
    ask(host, order(2, ""))
    assert kinds(host, 2) == [(2, "progress"), (2, "result")]
    _, noise = host.communicate()
    assert noise.count(b"noise\n") == 3


def test_an_unknown_error_is_told_and_the_host_lives_on(host):
    ask(host, order(1, "fail"))
    _, error = answers(host, 2)
    assert error["event"] == "error"
    assert isinstance(error_of(error), UnexpectedError)
    assert "RuntimeError: the inside of it" in error["message"]
    ask(host, order(2, ""))
    assert kinds(host, 2) == [(2, "progress"), (2, "result")]


def test_a_cancel_stops_the_request_that_it_names(host):
    ask(host, order(1, "segments"), {"id": 7, "command": "cancel"})
    assert kinds(host, 2) == [(1, "progress")] * 2
    ask(host, {"id": 1, "command": "cancel"})
    error = ending(host)
    assert (error["id"], error["error"]) == (1, "SeparationCancelled")
    ask(host, order(2, ""))
    assert kinds(host, 2) == [(2, "progress"), (2, "result")]


def test_several_run_at_the_same_time(host):
    """Each waits for all the others."""
    ask(host, *(order(number, "meet") for number in range(8)))
    events = kinds(host, 16)
    assert sorted(id for id, kind in events if kind == "result") == list(range(8))


def test_what_many_say_at_once_stays_in_whole_lines(host):
    ask(host, *(order(number, "talk") for number in range(4)))
    events = answers(host, 4 * 1002)
    for number in range(4):
        mine = [event for event in events if event["id"] == number]
        talk = [event["completed"] for event in mine if event.get("step") == "talk " * 100]
        assert talk == list(range(1000))
        assert mine[-1]["event"] == "result"


def test_a_cancel_leaves_the_others_alone(host):
    ask(host, order(1, "segments"), order(2, "segments"), {"id": 1, "command": "cancel"})
    error = ending(host)
    assert (error["id"], error["error"]) == (1, "SeparationCancelled")
    assert kinds(host, 3) == [(2, "progress")] * 3


def test_a_library_that_wants_to_exit_ends_its_own_separation_only(host):
    ask(host, order(1, "segments"), order(2, "exit"))
    error = ending(host)
    assert (error["id"], error["event"]) == (2, "error")
    assert "SystemExit: 3" in error["message"]
    assert kinds(host, 2) == [(1, "progress")] * 2


def test_it_ends_together_with_what_it_started(host):
    ask(host, order(1, "child"))
    child = answers(host, 2)[1]["completed"]
    assert not has_ended(child)
    host.stdin.close()
    assert host.wait(60) == -signal.SIGKILL
    wait_until(lambda: has_ended(child))


def test_signals_that_are_the_parents_are_ignored(host):
    ask(host, order(1, ""))
    answers(host, 2)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(host.pid, number)
    ask(host, order(2, ""))
    assert kinds(host, 2) == [(2, "progress"), (2, "result")]


def test_it_ends_with_its_input_also_in_the_middle_of_work(host):
    ask(host, order(1, "hang"))
    answers(host, 1)
    host.stdin.close()
    assert host.wait(60) == -signal.SIGKILL


PARENT = """
import subprocess, sys, time
host = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE, start_new_session=True)
if sys.argv[2] != "":
    host.stdin.write(sys.argv[2].encode() + b"\\n")
    host.stdin.flush()
    host.stdout.readline()
print(host.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("state", ["starting", "idle", "hang", "hang in C", "stopped"])
def test_it_dies_with_its_parent_in_every_state(state):
    work = {"starting": None, "idle": "", "stopped": "hang"}.get(state, state)
    request = "" if work is None else json.dumps(order(1, work))
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, HOST, request], cwd=ROOT, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        if state == "stopped":
            os.kill(pid, signal.SIGSTOP)
        assert not has_ended(pid)
        parent.kill()
    wait_until(lambda: has_ended(pid))


def test_it_is_started_from_the_command_line_but_not_listed_there():
    command = [sys.executable, "-m", "separation"]
    listed = subprocess.run([*command, "--help"], cwd=ROOT, capture_output=True, check=True)
    assert b"host" not in listed.stdout
    ended = subprocess.run([*command, "host"], cwd=ROOT, input=b"", start_new_session=True)
    assert ended.returncode == -signal.SIGKILL


def test_one_that_is_cancelled_before_it_begins_touches_nothing(monkeypatch):
    """Its folder may be gone by then, and must not be made anew."""
    monkeypatch.setattr(separation, "separate", mock.Mock(side_effect=AssertionError))
    events = io.BytesIO()
    stop = threading.Event()
    stop.set()
    served = Host(events)
    served._stops[1] = stop
    served._run(1, {"command": "separate", "arguments": {}}, stop)
    assert json.loads(events.getvalue())["error"] == "SeparationCancelled"


def test_what_is_in_memory_is_told_when_it_changes(monkeypatch):
    models = [{"model": "m", "device": "cpu", "device_name": "a CPU", "backend": "torch-eager"}]
    seen = iter([[], models, models, []])
    monkeypatch.setattr("separation.host.loaded_models", lambda: next(seen))
    events = io.BytesIO()
    served = Host(events)
    for _ in range(4):
        served.tell_loaded()
    told = [json.loads(line) for line in events.getvalue().splitlines()]
    assert told == [
        {"id": 0, "event": "loaded", "models": models},
        {"id": 0, "event": "loaded", "models": []},
    ]


@pytest.mark.parametrize(
    "error",
    [
        errors.BrokenMedia("Most of it."),
        errors.ModelForbidden("Not allowed."),
        errors.ModelUnavailable("Not here."),
        errors.OutOfMemory("Too much."),
        errors.DiskFull("Full."),
        errors.SeparationCancelled("Stop."),
    ],
)
def test_a_named_error_comes_back_as_itself(error):
    back = error_of({"event": "error", **error_json(error)})
    assert isinstance(back, errors.SeparationError)
    assert type(back) is type(error)
    assert back.message == error.message


def test_an_os_error_keeps_its_number():
    back = error_of(error_json(OSError(28, "No space left on device")))
    assert isinstance(back, OSError)
    assert (back.errno, back.strerror) == (28, "No space left on device")
