"""Sing the bank of lines: `python -m separation.training.voices [--split train] [--share 0/2]`."""

from __future__ import annotations

import argparse
import logging
from typing import get_args

from separation.training.voices.bank import N_SCORES, Split, bank_dir, render


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--split", choices=get_args(Split), action="append")
    parser.add_argument("--share", default="0/1", help="which of how many processes this is")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    first, step = map(int, arguments.share.split("/"))
    for split in arguments.split or get_args(Split):
        render(split, range(first, N_SCORES[split], step), bank_dir(split))


if __name__ == "__main__":
    main()
