"""`python -m separation.training.enhance TASK --speech FOLDER`: train one of the steps' networks.

It goes on from its checkpoint. The last run has `--anneal`, which ends at a rate of zero and writes
the weights into the package.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file

from separation.enhance.bandnet import LOOKAHEAD, Features
from separation.enhance.bands import layout
from separation.training import sources
from separation.training.enhance.examples import SAMPLE_RATE, TASKS, Examples
from separation.training.enhance.network import BandNet, error_db, shape_error, weights_of

logger = logging.getLogger(__name__)

_BATCH = 12
_RATE = 4e-3
_WARM_STEPS = 40
_SHAPE_WEIGHT = 30.0
_FRAMES = 80
# Examples that are kept to draw from, at most and at least, and how many are made for each step.
_POOL, _LEAST, _FRESH = 500, 48, 0.15
_SOUNDFONT = "fluid-r3"


class Pool:
    """Examples to draw batches from, renewed little by little."""

    def __init__(self, examples: Examples, rng: np.random.Generator) -> None:
        self._examples, self._rng = examples, rng
        self._kept: list[tuple[np.ndarray, np.ndarray]] = []

    def batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return statistics (batch, 3, frames, bands), features (batch, frames, bands, n)."""
        if not self._kept or self._rng.random() < _FRESH:
            self._add()
        while len(self._kept) < _LEAST:
            self._add()
        pairs = [self._cut(*self._kept[n]) for n in self._rng.integers(0, len(self._kept), _BATCH)]
        statistics, features = zip(*pairs, strict=True)
        return (
            torch.from_numpy(np.stack(statistics)),
            torch.from_numpy(np.stack(features).astype(np.float32)),
        )

    def _cut(self, statistics: np.ndarray, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return some frames of an example: what they hear of the past is in their features."""
        start = int(self._rng.integers(0, len(features) - _FRAMES + 1))
        return statistics[:, start : start + _FRAMES], features[start : start + _FRAMES]

    def _add(self) -> None:
        statistics = self._examples.example(self._rng)
        features = Features().push(10.0 ** statistics[0])[LOOKAHEAD:]
        example = statistics[:, : len(features)], features.astype(np.float16)
        if len(self._kept) < _POOL:
            self._kept.append(example)
        else:
            self._kept[self._rng.integers(_POOL)] = example


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m separation.training.enhance", description=__doc__
    )
    parser.add_argument("task", choices=list(TASKS))
    parser.add_argument("--speech", type=Path, required=True, help="folder of dry sentences")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--anneal", action="store_true", help="the last run: end at rate 0")
    parser.add_argument("--output", type=Path, help="where the weights go; only with --anneal")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    font = next(p for p in sources.packages("drums") if p.name == _SOUNDFONT)
    soundfont = next(sources.fetch(font).rglob("*.sf2"))
    folder = sources.training_dir() / "runs" / options.task
    folder.mkdir(parents=True, exist_ok=True)
    net = train(options, soundfont, folder / "checkpoint.pt")
    if options.output:
        save_file(weights_of(net), options.output)


def train(options: argparse.Namespace, soundfont: Path, checkpoint: Path) -> BandNet:
    net, sizes = BandNet(), torch.from_numpy(layout(SAMPLE_RATE).sizes.astype(np.float32))
    optimizer = torch.optim.AdamW(net.parameters(), _RATE, weight_decay=1e-3)
    steps = 0
    if checkpoint.is_file():
        state = torch.load(checkpoint, weights_only=True)
        net.load_state_dict(state["net"])
        optimizer.load_state_dict(state["optimizer"])
        steps = state["steps"]
    rng = np.random.default_rng(steps)
    pool = Pool(Examples(options.task, options.speech, soundfont), rng)
    errors, plain = [], []
    for number in range(options.steps):
        statistics, features = pool.batch()
        rate = _RATE * min(1.0, (steps + 1) / _WARM_STEPS)
        optimizer.param_groups[0]["lr"] = rate * (
            (1 - number / options.steps) if options.anneal else 1
        )
        gains = net(features)
        error = error_db(statistics, gains, sizes)
        loss = error.mean() + _SHAPE_WEIGHT * shape_error(statistics, gains).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimizer.step()
        steps += 1
        errors.append(float(error.detach().mean()))
        plain.append(float(error_db(statistics, torch.ones_like(gains), sizes).mean()))
        if steps % 50 == 0 or number == options.steps - 1:
            shown = np.mean(errors), np.mean(plain) - np.mean(errors)
            logger.info("step %d: error %.2f dB, gained %.2f dB", steps, *shown)
            errors, plain = [], []
            state = {"net": net.state_dict(), "optimizer": optimizer.state_dict(), "steps": steps}
            torch.save(state, checkpoint)
    return net


if __name__ == "__main__":
    main()
