"""Calls that start at the same moment, each on a database connection of its own."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import cycle, islice
from threading import Barrier, Event, Thread
from typing import Any

from django.db import connection, transaction

from config.errors import AppError


def together(count: int, *calls: Callable[[], Any]) -> list[Any]:
    """What each returned; an AppError is an answer too. Fewer calls than threads are repeated."""
    barrier = Barrier(count)

    def one(call: Callable[[], Any]) -> Any:
        try:
            barrier.wait()
            return call()
        except AppError as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, islice(cycle(calls), count)))


@contextmanager
def held_elsewhere(statement: str) -> Iterator[None]:
    """Hold what the statement locks in another transaction, as a stopped process does."""
    held, release = Event(), Event()

    def hold() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
            held.set()
            release.wait(30)
        connection.close()

    thread = Thread(target=hold)
    thread.start()
    assert held.wait(30)
    try:
        yield
    finally:
        release.set()
        thread.join()
