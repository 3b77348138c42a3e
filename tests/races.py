"""Calls that start at the same moment, each on a database connection of its own."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from threading import Barrier
from typing import Any

from django.db import connection

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
