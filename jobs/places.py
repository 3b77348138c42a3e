"""How many calls that hold a server thread for long may be under way in a process."""

import threading
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager

from config.errors import AppError


class Places:
    """`most` and `most_of_owner` are asked at each call; `refuse` makes the error of a refusal."""

    def __init__(
        self,
        *,
        most: Callable[[], int],
        most_of_owner: Callable[[], int],
        refuse: Callable[[], AppError],
    ) -> None:
        self._most = most
        self._most_of_owner = most_of_owner
        self._refuse = refuse
        self._lock = threading.Lock()
        self._taken: Counter[Hashable] = Counter()

    @contextmanager
    def place(self, owner: Hashable) -> Iterator[None]:
        """Held for as long as the block runs."""
        self.take(owner)
        try:
            yield
        finally:
            self.give_back(owner)

    def take(self, owner: Hashable) -> None:
        """For who cannot use `place`; whoever took one gives it back."""
        with self._lock:
            if self._taken.total() >= self._most() or self._taken[owner] >= self._most_of_owner():
                raise self._refuse()
            self._taken[owner] += 1

    def give_back(self, owner: Hashable) -> None:
        with self._lock:
            self._taken[owner] -= 1
            # Forgets owners without calls, which would add up.
            self._taken = +self._taken
