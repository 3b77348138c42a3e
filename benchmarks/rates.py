"""How often something can be done in a second."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

from django.db import connection


def calls_per_second(
    work_of: Callable[[int], Callable[[], None]], *, n_threads: int, seconds: float
) -> float:
    """Calls a second by all threads together; `work_of` gives each of them, from 0, its call."""
    barrier, over = Barrier(n_threads + 1), Event()

    def run(number: int) -> int:
        done = 0
        try:
            work = work_of(number)
            work()
            barrier.wait()
            while not over.is_set():
                work()
                done += 1
        finally:
            connection.close()
        return done

    with ThreadPoolExecutor(n_threads) as pool:
        counts = pool.map(run, range(n_threads))
        barrier.wait()
        started = time.monotonic()
        time.sleep(seconds)
        over.set()
        return sum(counts) / (time.monotonic() - started)
