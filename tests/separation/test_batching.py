"""The queue, with an engine that works only when the test lets it."""

import dataclasses
import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from separation import batching, catalog
from separation.batching import SegmentQueue
from separation.errors import EngineClosed, is_out_of_memory

LIMIT_S = 60  # for what must happen; reached only where a test fails
N = 4


class SteppedEngine:
    """Doubles each segment, a call at a time, each as the test allows it."""

    backend = "stepped"

    def __init__(self, *, lanes=1, batch_sizes=(1,)):
        self.info = dataclasses.replace(catalog.model("htdemucs"), segment_samples=N)
        self.lanes = lanes
        self.batch_sizes = batch_sizes
        self.calls: list[list[float]] = []
        self.failures: dict[int, Exception] = {}  # by how many segments a call has
        self._started = threading.Semaphore(0)
        self._allowed = threading.Semaphore(0)

    def load(self, device):
        pass

    def close(self):
        pass

    def separate(self, mixtures):
        # Segments are numbered by their samples' value; 0 is padding.
        self.calls.append([float(value) for value in mixtures[:, 0, 0]])
        self._started.release()
        assert self._allowed.acquire(timeout=LIMIT_S)
        if len(mixtures) in self.failures:
            raise self.failures[len(mixtures)]
        return 2 * mixtures[:, None]

    def wait_for_call(self):
        assert self._started.acquire(timeout=LIMIT_S)

    def allow(self, n=1):
        self._allowed.release(n)


def segment(number):
    return np.full((2, N), number, np.float32)


def lanes():
    return {thread for thread in threading.enumerate() if "-lane-" in thread.name}


@pytest.fixture
def make_queue():
    queues = []
    before = set(threading.enumerate())  # real engines keep their lanes

    def make(engine, **options):
        queue = SegmentQueue(engine, **options)
        queues.append((queue, engine))
        return queue

    yield make
    for queue, engine in queues:
        engine.allow(1000)
        queue.close()
    assert not lanes() - before


def submit(recording, *numbers):
    return [recording.submit([segment(number)]) for number in numbers]


def results(ticket):
    assert ticket.wait(LIMIT_S)
    return ticket.results()


def values(ticket):
    return [float(result[0, 0, 0]) for result in results(ticket)]


def test_results_come_in_order_to_who_asked(make_queue):
    engine = SteppedEngine()
    queue = make_queue(engine)
    a, b = queue.recording(), queue.recording()
    tickets = [*submit(a, 1, 2), *submit(b, 10, 20)]
    engine.allow(4)
    assert [values(ticket) for ticket in tickets] == [[2], [4], [20], [40]]


def test_a_ticket_holds_several_segments_or_none(make_queue):
    engine = SteppedEngine()
    recording = make_queue(engine).recording()
    pairs = recording.submit([segment(1), segment(2), segment(3)])
    silent = recording.submit([])
    assert silent.results() == []
    engine.allow(3)
    assert values(pairs) == [2, 4, 6]


def test_recordings_take_turns_by_key_and_then_by_recording(make_queue):
    engine = SteppedEngine()
    queue = make_queue(engine)
    first = queue.recording(turn="z")
    submit(first, 99)
    engine.wait_for_call()  # the others queue up behind it
    many = [queue.recording(turn="a") for _ in range(2)]
    one = queue.recording(turn="b")
    tickets = [*submit(many[0], 1, 2), *submit(many[1], 11, 12), *submit(one, 21, 22)]
    engine.allow(7)
    for ticket in tickets:
        results(ticket)
    assert [call[0] for call in engine.calls] == [99, 1, 21, 11, 22, 2, 12]


def test_urgent_recordings_go_first(make_queue):
    engine = SteppedEngine()
    queue = make_queue(engine)
    slow = queue.recording()
    tickets = submit(slow, 1, 2)
    engine.wait_for_call()
    tickets += submit(queue.recording(urgent=True), 11, 12)
    engine.allow(4)
    for ticket in tickets:
        results(ticket)
    assert [call[0] for call in engine.calls] == [1, 11, 12, 2]


def test_segments_of_several_recordings_share_a_batch(make_queue):
    engine = SteppedEngine(batch_sizes=(1, 2, 4))
    queue = make_queue(engine, max_wait_s=LIMIT_S)
    recordings = [queue.recording() for _ in range(4)]
    tickets = [submit(recording, 1 + index)[0] for index, recording in enumerate(recordings)]
    engine.allow()
    assert [values(ticket) for ticket in tickets] == [[2], [4], [6], [8]]
    assert [sorted(call) for call in engine.calls] == [[1, 2, 3, 4]]


def test_a_lone_recording_never_waits_for_a_fuller_batch(make_queue):
    engine = SteppedEngine(batch_sizes=(1, 4))
    recording = make_queue(engine, max_wait_s=10 * LIMIT_S).recording()
    (ticket,) = submit(recording, 1)
    engine.allow()
    assert values(ticket) == [2]


def test_nobody_is_waited_for_who_has_submitted_everything(make_queue):
    engine = SteppedEngine(batch_sizes=(1, 4))
    queue = make_queue(engine, max_wait_s=10 * LIMIT_S)
    a, b = queue.recording(), queue.recording()
    (ticket,) = submit(a, 1)
    a.complete()
    assert engine.calls == []  # b might still add to the batch
    b.complete()
    engine.allow()
    assert values(ticket) == [2]


def test_waiting_for_a_fuller_batch_has_an_end(make_queue):
    engine = SteppedEngine(batch_sizes=(1, 4))
    queue = make_queue(engine, max_wait_s=0.001)
    a, _ = queue.recording(), queue.recording()
    (ticket,) = submit(a, 1)
    engine.allow()
    assert values(ticket) == [2]


@pytest.mark.parametrize(
    ("n", "expected"),
    [
        (3, [[1, 2, 3, 0]]),  # a third of padding at most
        (4, [[1, 2, 3, 4]]),
        (5, [[1, 2, 3, 4], [5]]),
        (6, [[1, 2, 3, 4, 5, 6, 0, 0]]),
        (9, [[1, 2, 3, 4, 5, 6, 7, 8], [9]]),
    ],
)
def test_batches_are_filled_up_or_split(make_queue, n, expected):
    engine = SteppedEngine(batch_sizes=(1, 2, 4, 8))
    recording = make_queue(engine).recording()
    ticket = recording.submit([segment(1 + index) for index in range(n)])
    engine.allow(2)
    assert values(ticket) == [2 * (1 + index) for index in range(n)]
    assert engine.calls == expected


def test_an_engine_of_one_size_gets_that_size(make_queue):
    engine = SteppedEngine(batch_sizes=(4,))
    recording = make_queue(engine).recording()
    (ticket,) = submit(recording, 7)
    engine.allow()
    assert values(ticket) == [14]
    assert engine.calls == [[7, 0, 0, 0]]


def test_lanes_run_side_by_side(make_queue):
    engine = SteppedEngine(lanes=2)
    recording = make_queue(engine).recording()
    tickets = submit(recording, 1, 2)
    engine.wait_for_call()
    engine.wait_for_call()  # the second starts while the first is in work
    engine.allow(2)
    assert [values(ticket) for ticket in tickets] == [[2], [4]]


def test_an_error_reaches_every_recording_of_the_batch_and_no_other(make_queue):
    engine = SteppedEngine(batch_sizes=(1, 2))
    queue = make_queue(engine, max_wait_s=LIMIT_S)
    a, b = queue.recording(), queue.recording()
    engine.failures[2] = RuntimeError("a defect")
    tickets = [*submit(a, 1), *submit(b, 2)]
    engine.allow()
    for ticket in tickets:
        with pytest.raises(RuntimeError, match="a defect"):
            results(ticket)
    b.close()
    (later,) = submit(a, 3)
    engine.allow()
    assert values(later) == [6]


def test_a_ticket_is_done_as_soon_as_one_of_its_segments_failed(make_queue):
    engine = SteppedEngine()
    recording = make_queue(engine).recording()
    ticket = recording.submit([segment(1), segment(2)])
    assert not ticket.wait(0)
    engine.failures[1] = TimeoutError("of the engine, not of the wait")
    engine.allow()
    assert ticket.wait(LIMIT_S)
    with pytest.raises(TimeoutError, match="of the engine"):
        ticket.results()


def test_a_batch_that_does_not_fit_is_halved_and_stays_smaller(make_queue, caplog):
    engine = SteppedEngine(batch_sizes=(1, 2, 4))
    recording = make_queue(engine).recording()
    engine.failures[4] = RuntimeError("CPUAllocator: can't allocate memory")
    engine.allow(10)
    with caplog.at_level(logging.WARNING):
        ticket = recording.submit([segment(n) for n in (1, 2, 3, 4)])
        assert values(ticket) == [2, 4, 6, 8]
    assert engine.calls == [[1, 2, 3, 4], [1, 2], [3, 4]]
    assert "ran out of memory with 4 segments" in caplog.text
    again = recording.submit([segment(n) for n in (5, 6, 7, 8)])
    assert values(again) == [10, 12, 14, 16]
    assert engine.calls[3:] == [[5, 6], [7, 8]]


def test_a_single_segment_that_does_not_fit_is_an_error(make_queue):
    engine = SteppedEngine(batch_sizes=(1, 2))
    recording = make_queue(engine).recording()
    engine.failures = {1: MemoryError("one"), 2: MemoryError("two")}
    engine.allow(10)
    ticket = recording.submit([segment(1), segment(2)])
    with pytest.raises(MemoryError, match="one"):
        results(ticket)
    assert engine.calls == [[1, 2], [1], [2]]


def test_closing_takes_back_what_waits_and_leaves_the_others(make_queue):
    engine = SteppedEngine()
    queue = make_queue(engine)
    a, b = queue.recording(), queue.recording()
    in_work, waiting = submit(a, 1, 2)
    engine.wait_for_call()
    (other,) = submit(b, 10)
    a.close()
    assert queue.n_waiting == 1
    with pytest.raises(EngineClosed):
        waiting.results()
    with pytest.raises(EngineClosed):
        a.submit([segment(3)])
    engine.allow(2)
    assert values(other) == [20]
    assert values(in_work) == [2]
    assert engine.calls == [[1], [10]]


def test_a_recording_has_only_a_few_segments_on_the_way(make_queue):
    engine = SteppedEngine()
    recording = make_queue(engine).recording()
    tickets = submit(recording, 1, 2)
    with ThreadPoolExecutor(1) as pool:
        third = pool.submit(recording.submit, [segment(3)])
        engine.allow(3)
        values(tickets[0])
        assert not third.done()  # the first is done, but its result is not taken yet
        tickets[0].release()
        assert values(third.result(LIMIT_S)) == [6]


def test_closing_ends_a_wait_for_room(make_queue):
    engine = SteppedEngine()
    recording = make_queue(engine).recording()
    submit(recording, 1, 2)
    with ThreadPoolExecutor(1) as pool:
        third = pool.submit(recording.submit, [segment(3)])
        recording.close()
        with pytest.raises(EngineClosed):
            third.result(LIMIT_S)


def test_room_is_shared_among_recordings(make_queue):
    engine = SteppedEngine(batch_sizes=(1, 2, 4, 8))
    queue = make_queue(engine)
    alone = queue.recording()
    assert len(submit(alone, *range(1, 17))) == 16  # two batches
    assert not queue._has_room(alone)
    others = [queue.recording() for _ in range(3)]
    assert len(submit(others[0], *range(21, 25))) == 4
    assert not queue._has_room(others[0])
    assert queue._has_room(others[1])


def test_room_has_an_end_in_bytes(make_queue):
    engine = SteppedEngine(lanes=2, batch_sizes=(1, 32))
    engine.info = catalog.model("htdemucs")
    queue = make_queue(engine)
    recording = queue.recording()
    segment_bytes = 5 * 2 * 4 * engine.info.segment_samples
    for _ in range((1 << 30) // segment_bytes):
        recording.submit([])
    assert recording.n_tickets == 78  # and not 96, three batches
    assert not queue._has_room(recording)


def test_room_counts_segments_and_not_what_was_submitted_together(make_queue):
    engine = SteppedEngine(batch_sizes=(1, 2, 4, 8))
    recording = make_queue(engine).recording()
    tickets = [recording.submit([segment(1)] * 4) for _ in range(4)]  # of a recording in 7.1
    assert not recording._queue._has_room(recording)
    engine.allow(10)
    for ticket in tickets:
        results(ticket)
        ticket.release()
    assert (recording.n_tickets, recording.n_segments) == (0, 0)


def test_closing_the_queue_ends_its_threads_and_recordings(make_queue):
    engine = SteppedEngine(lanes=2)
    before = lanes()
    queue = make_queue(engine)
    recording = queue.recording()
    tickets = submit(recording, 1, 2, 3)  # two in work, one waits
    engine.wait_for_call()
    engine.wait_for_call()
    engine.allow(2)
    assert len(lanes() - before) == 2
    queue.close()
    assert lanes() == before
    with pytest.raises(EngineClosed):
        tickets[2].results()
    with pytest.raises(EngineClosed):
        queue.recording()


def test_an_engine_has_one_queue_until_it_is_closed():
    engine = SteppedEngine()
    queue = batching.queue_of(engine)
    assert batching.queue_of(engine) is queue
    batching.close_queue(engine)
    batching.close_queue(engine)
    other = batching.queue_of(engine)
    assert other is not queue
    batching.close_queue(engine)


def test_a_lane_that_cannot_start_is_tried_again(make_queue, monkeypatch):
    engine = SteppedEngine(lanes=2)
    queue = make_queue(engine)
    start = threading.Thread.start
    n_started = 0

    def fails_once(thread):
        nonlocal n_started
        n_started += 1
        if n_started == 2:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", fails_once)
    with pytest.raises(RuntimeError, match="new thread") as caught:
        queue.recording()
    assert is_out_of_memory(caught.value)
    tickets = submit(queue.recording(), 1, 2)
    engine.wait_for_call()
    engine.wait_for_call()  # both lanes are there
    engine.allow(2)
    assert [values(ticket) for ticket in tickets] == [[2], [4]]
