"""Whose turn it is: fair between callers, then between the recordings of one."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")

# So many urgent items in a row, then one that is not, if there is one.
MAX_URGENT_RUN = 3


class Turns(Generic[Item]):
    """Items of several recordings, taken out in turns.

    The turn goes round between keys, and within a key between its recordings, so that neither
    many recordings nor long ones get more than their share. Items of one recording keep their
    order. Not safe for threads.
    """

    def __init__(self) -> None:
        self._rings: dict[bool, _Ring[Item]] = {True: _Ring(), False: _Ring()}
        self._urgent_run = 0

    def __len__(self) -> int:
        return sum(len(ring) for ring in self._rings.values())

    def __iter__(self) -> Iterator[Item]:
        for ring in self._rings.values():
            yield from ring

    def add(self, item: Item, recording: Hashable, key: Hashable, *, urgent: bool) -> None:
        """Put an item behind those of its recording."""
        self._rings[urgent].add(item, recording, key)

    def take(self, n: int) -> list[Item]:
        """Take out the next `n` items, or as many as there are."""
        return [self._take() for _ in range(min(n, len(self)))]

    def remove(self, recording: Hashable) -> list[Item]:
        """Take out all items of one recording."""
        return [item for ring in self._rings.values() for item in ring.remove(recording)]

    def _take(self) -> Item:
        urgent, others = self._rings[True], self._rings[False]
        is_urgent = bool(urgent) and not (others and self._urgent_run >= MAX_URGENT_RUN)
        self._urgent_run = self._urgent_run + 1 if is_urgent else 0
        return (urgent if is_urgent else others).take()


class _Ring(Generic[Item]):
    """Keys in turn, each with its recordings in turn; the first of each is next."""

    def __init__(self) -> None:
        self._keys: OrderedDict[Hashable, OrderedDict[Hashable, deque[Item]]] = OrderedDict()
        self._n = 0

    def __len__(self) -> int:
        return self._n

    def __iter__(self) -> Iterator[Item]:
        for recordings in self._keys.values():
            for items in recordings.values():
                yield from items

    def add(self, item: Item, recording: Hashable, key: Hashable) -> None:
        recordings = self._keys.setdefault(key, OrderedDict())
        recordings.setdefault(recording, deque()).append(item)
        self._n += 1

    def take(self) -> Item:
        key, recordings = next(iter(self._keys.items()))
        recording, items = next(iter(recordings.items()))
        item = items.popleft()
        self._n -= 1
        # To the end of the round, or out of it.
        recordings.move_to_end(recording)
        self._keys.move_to_end(key)
        if not items:
            self._forget(key, recording)
        return item

    def remove(self, recording: Hashable) -> list[Item]:
        for key, recordings in self._keys.items():
            if recording in recordings:
                items = list(recordings[recording])
                self._n -= len(items)
                self._forget(key, recording)
                return items
        return []

    def _forget(self, key: Hashable, recording: Hashable) -> None:
        del self._keys[key][recording]
        if not self._keys[key]:
            del self._keys[key]
