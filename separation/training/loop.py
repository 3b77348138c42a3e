"""Training that can be stopped at any time and goes on where it was."""

from __future__ import annotations

import copy
import logging
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from separation.engines.masknet.files import read_network
from separation.engines.masknet.network import MaskNet, on_device
from separation.errors import WeightsMismatch
from separation.training import replay
from separation.training.examples import Example
from separation.training.loss import SongLoss, errors
from separation.training.recipes import Recipe
from separation.weights.cache import cache_dir

logger = logging.getLogger(__name__)

_WARMUP_STEPS = 200
_EMA = 0.999
_MAX_GRADIENT = 1.0
_WEIGHT_DECAY = 1e-2


@dataclass(frozen=True, slots=True)
class Budget:
    """How long to train, and with what.

    `anneal` lets the learning rate fall to nothing over this run, as the last one should.
    """

    minutes: float
    max_steps: int | None = None
    device: str = "cpu"
    n_workers: int = 1
    batch: int | None = None
    reuse: float = 4.0
    capacity: int = 800
    n_held: int = 48
    check_minutes: float = 5.0
    anneal: bool = False


@dataclass(frozen=True, slots=True)
class Batch:
    """Examples side by side, on a device; see `Example`."""

    features: torch.Tensor
    best: torch.Tensor
    left: torch.Tensor
    energy: torch.Tensor

    @property
    def total(self) -> torch.Tensor:
        """Energy of each mixture, (batch, 1)."""
        return torch.pow(10, self.features[:, :2]).sum(dim=(1, 2, 3))[:, None]


def checkpoint_path(name: str) -> Path:
    """Return where a training keeps what it knows."""
    return cache_dir() / "training" / f"{name}.pt"


class Training:
    """One network on its way.

    Parameters
    ----------
    recipe : Recipe
    device : str
    path : path, optional
        Of the checkpoint; what is there is gone on with.
    begin_with : path, optional
        Weights of the same shape to begin with where there is no checkpoint.

    Raises
    ------
    WeightsMismatch
        If those to begin with are of another shape.
    """

    def __init__(
        self,
        recipe: Recipe,
        device: str = "cpu",
        path: Path | None = None,
        *,
        begin_with: Path | None = None,
    ) -> None:
        self.recipe, self.device = recipe, device
        self.path = path or checkpoint_path(recipe.name)
        torch.manual_seed(0)
        network = MaskNet(recipe.shape) if begin_with is None else read_network(begin_with)
        if network.shape != recipe.shape:
            raise WeightsMismatch(f"These are no weights of the recipe '{recipe.name}'.")
        self.net = on_device(network, device)
        self.average = copy.deepcopy(self.net).eval()
        self.optimizer = torch.optim.AdamW(
            self.net.parameters(), lr=recipe.learning_rate, weight_decay=_WEIGHT_DECAY
        )
        self.step, self.next_seed, self.seconds = 0, 0, 0.0
        names = recipe.shape.classes
        self._loss = SongLoss(len(names), len(recipe.groups), device)
        self.groups = tuple(tuple(names.index(n) for n in group) for group in recipe.groups)
        if self.path.is_file():
            self._load()

    def run(self, budget: Budget) -> dict[str, float]:
        """Train for a while, write checkpoints on the way and at the end; return the SDR then.

        KeyboardInterrupt ends it early, and loses nothing.
        """
        with replay.workers(budget.n_workers) as pool:
            seeds = range(budget.n_held)
            held = [pool.submit(replay.make, self.recipe, "held", n) for n in seeds]
            store = replay.Replay(
                self.recipe,
                pool,
                first_seed=self.next_seed,
                capacity=budget.capacity,
                reuse=budget.reuse,
                n_workers=budget.n_workers,
            )
            with suppress(KeyboardInterrupt):
                self._steps(budget, store, held)
            self.next_seed = store.next_seed
            self._save()
            return self._report([example.result() for example in held])

    def _steps(self, budget: Budget, store: replay.Replay, held: Sequence[Future[Example]]) -> None:
        rng = np.random.default_rng([self.step, 7])
        size = budget.batch or self.recipe.batch
        last = self.step + (budget.max_steps or sys.maxsize)
        before = self.seconds
        started = checked = time.monotonic()
        while (spent := time.monotonic() - started) < budget.minutes * 60 and self.step < last:
            self.seconds = before + spent
            share = 1 - spent / (budget.minutes * 60) if budget.anneal else 1.0
            self._train(store.draw(rng, size), rng, share)
            if time.monotonic() - checked > budget.check_minutes * 60:
                checked = time.monotonic()
                self._report([example.result() for example in held])
                self.next_seed = store.next_seed
                self._save()

    def _train(self, examples: Sequence[Example], rng: np.random.Generator, share: float) -> None:
        self.net.train()
        rate = self.recipe.learning_rate * min(1.0, (self.step + 1) / _WARMUP_STEPS) * share
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        batch = self._batch(examples, swap=rng.random(len(examples)) < 0.5)
        with torch.autocast(self.device.partition(":")[0], torch.bfloat16):
            masks = self.net(batch.features)
        error = errors(masks, batch.features, batch.best, batch.left, self.groups)
        loss = self._loss(error, batch.energy, batch.total)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.net.parameters(), _MAX_GRADIENT)
        self.optimizer.step()
        self.step += 1
        self._follow()

    @torch.no_grad()
    def _follow(self) -> None:
        """Let the average follow: it is better than any of the networks on the way."""
        decay = min(_EMA, (1 + self.step) / (10 + self.step))
        pairs = zip(self.average.state_dict().values(), self.net.state_dict().values(), strict=True)
        for kept, new in pairs:
            if kept.is_floating_point():
                kept.lerp_(new, 1 - decay)
            else:
                kept.copy_(new)

    @torch.no_grad()
    def sdr_db(self, held: Sequence[Example]) -> dict[str, float]:
        """Return the SDR of each class and group that there is, of all examples as one song."""
        shares, wrong = [], []
        for example in held:
            batch = self._batch([example])
            with torch.autocast(self.device.partition(":")[0], torch.bfloat16):
                masks = self.average(batch.features)
            error = errors(masks, batch.features, batch.best, batch.left, self.groups)
            wrong.append(error / batch.total)
            shares.append(batch.energy / batch.total)
        share = torch.cat(shares).mean(dim=0)
        sdr = 10 * torch.log10(share / torch.cat(wrong).mean(dim=0))
        names = [*self.recipe.shape.classes, *("+".join(group) for group in self.recipe.groups)]
        return {
            name: round(float(sdr[index]), 2)
            for index, name in enumerate(names)
            if share[index] > 0
        }

    def _batch(self, examples: Sequence[Example], swap: np.ndarray | None = None) -> Batch:
        features = np.stack([example.features for example in examples]).astype(np.float32)
        best = np.stack([example.best for example in examples]).astype(np.float32)
        if swap is not None:
            features[swap, :2] = features[swap, 1::-1]
            best[swap] = best[swap, :, ::-1]
        left = np.stack([example.left for example in examples])
        energy = np.stack([example.energy for example in examples])
        tensors = (
            torch.from_numpy(part).to(self.device) for part in (features, best, left, energy)
        )
        return Batch(*tensors)

    def _report(self, held: Sequence[Example]) -> dict[str, float]:
        sdr, learned = self.sdr_db(held), self._loss.sdr_db
        logger.info("%s step %d SDR %.2f held %s", self.recipe.name, self.step, learned, sdr)
        return sdr

    def _save(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_suffix(".part")
        torch.save(
            {
                "net": self.net.state_dict(),
                "average": self.average.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "step": self.step,
                "next_seed": self.next_seed,
                "seconds": self.seconds,
            },
            draft,
        )
        draft.replace(self.path)

    def _load(self) -> None:
        state = torch.load(self.path, map_location=self.device, weights_only=True)
        self.net.load_state_dict(state["net"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.next_seed = state["step"], state["next_seed"]
        self.seconds = state["seconds"]
