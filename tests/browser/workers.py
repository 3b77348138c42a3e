"""Workers, in a thread of the tests, beside a person who looks on in a browser."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import connection

_PAUSE_S = 0.05


@contextmanager
def working(*tasks: Callable[[], bool]) -> Iterator[None]:
    """Does each of `tasks`, such as `run_next_job`, again and again, as long as the block runs."""
    is_over = threading.Event()
    problems: list[BaseException] = []

    def work() -> None:
        try:
            while not is_over.wait(_PAUSE_S):
                for task in tasks:
                    task()
        except BaseException as problem:
            problems.append(problem)
            raise
        finally:
            connection.close()

    worker = threading.Thread(target=work)
    worker.start()
    try:
        yield
    finally:
        is_over.set()
        worker.join()
    assert problems == []
