"""Examples made by processes of their own, each used several times before it is forgotten."""

from __future__ import annotations

import functools
import multiprocessing
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager

import numpy as np
import torch

from separation.engines.masknet.bands import Bands
from separation.training.examples import Example, example_of, is_silent
from separation.training.recipes import Mixer, Recipe


def make(recipe: Recipe, split: str, seed: int) -> Example:
    """Make one example of a recipe; the same seed makes the same one."""
    mixer, bands = _tools(recipe, split)
    rng = np.random.default_rng([seed, 0 if split == "train" else 1])
    stems = mixer.example(rng, recipe.n_samples)
    while is_silent(stems):
        stems = mixer.example(rng, recipe.n_samples)
    return example_of(stems, recipe, bands)


@functools.cache
def _tools(recipe: Recipe, split: str) -> tuple[Mixer, Bands]:
    shape = recipe.shape
    bands = Bands(shape.n_fft, shape.hop, shape.n_bands, shape.top_hz)
    return recipe.open_mixer(split), bands


def _start_worker() -> None:
    torch.set_num_threads(1)
    os.nice(5)


class Replay:
    """A store of examples that is filled from behind while batches are drawn from it.

    Parameters
    ----------
    recipe : Recipe
    pool : ProcessPoolExecutor
    first_seed : int
        Of the first example; one that went on before continues behind its last.
    capacity : int
        How many examples are kept.
    reuse : float
        How often each is drawn, on the average.
    n_workers : int
    """

    def __init__(
        self,
        recipe: Recipe,
        pool: ProcessPoolExecutor,
        *,
        first_seed: int,
        capacity: int,
        reuse: float,
        n_workers: int,
    ) -> None:
        self._recipe, self._pool, self._reuse = recipe, pool, reuse
        self.next_seed = first_seed
        self._kept: deque[Example] = deque(maxlen=capacity)
        self._coming: deque[Future[Example]] = deque()
        self._n_coming = 2 * n_workers
        self._credit = 0.0  # examples that may be drawn before another one must come

    def draw(self, rng: np.random.Generator, n: int) -> list[Example]:
        """Return examples at random, once there are enough."""
        self._order()
        while self._coming and (self._coming[0].done() or self._is_short(n)):
            self._kept.append(self._coming.popleft().result())
            self._credit += self._reuse
            self._order()
        self._credit -= n
        return [self._kept[index] for index in rng.integers(len(self._kept), size=n)]

    def _is_short(self, n: int) -> bool:
        return self._credit < n or len(self._kept) < 4 * n

    def _order(self) -> None:
        # A full store that nobody draws from needs no more.
        while len(self._coming) < self._n_coming and self._credit < 64 * self._reuse:
            self._coming.append(self._pool.submit(make, self._recipe, "train", self.next_seed))
            self.next_seed += 1


@contextmanager
def workers(n: int) -> Iterator[ProcessPoolExecutor]:
    """Open processes that make examples; they end with the context."""
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(n, mp_context=context, initializer=_start_worker)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
