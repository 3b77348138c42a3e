"""Trains the small networks of the steps: `python -m separation.training.enhance --help`."""
