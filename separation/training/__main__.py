"""`python -m separation.training RECIPE --minutes 60`: train, or go on training, one network."""

import argparse
import logging
import signal
from pathlib import Path

import torch

from separation.engines.masknet.files import write_weights
from separation.training.loop import Budget, Training
from separation.training.recipes import RECIPES


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m separation.training", description=__doc__)
    parser.add_argument("recipe", choices=list(RECIPES))
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--workers", type=int, default=1, help="processes that make examples")
    parser.add_argument("--threads", type=int, default=1, help="of the network on a CPU")
    parser.add_argument("--batch", type=int, help="the recipe's own when left out")
    parser.add_argument("--reuse", type=float, default=4, help="how often an example is used")
    parser.add_argument("--output", type=Path, help="file to write the weights into at the end")
    parser.add_argument("--begin-with", type=Path, help="weights to begin with, not with chance")
    parser.add_argument("--anneal", action="store_true", help="the last run: end at rate 0")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(options.threads)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    training = Training(RECIPES[options.recipe], options.device, begin_with=options.begin_with)
    training.run(
        Budget(
            minutes=options.minutes,
            device=options.device,
            n_workers=options.workers,
            batch=options.batch,
            reuse=options.reuse,
            anneal=options.anneal,
        )
    )
    if options.output is not None:
        write_weights(training.average, options.output, recipe=options.recipe)


if __name__ == "__main__":
    main()
