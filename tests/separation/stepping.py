"""Steps of an enhancement that need no weights."""

import dataclasses

import numpy as np
import pytest

from separation import catalog
from separation.enhance import steps


class Gain:
    """Multiplies by its factor, and holds back as a filter would, 1000 samples at a time."""

    factor = 0.5

    def __init__(self, sample_rate, channels, *, device="cpu"):
        self._held = np.zeros((channels, 0), np.float32)

    def push(self, block):
        held = np.concatenate([self._held, block], axis=1)
        n = max(held.shape[1] - 1000, 0)
        self._held = held[:, n:]
        return held[:, :n] * np.float32(self.factor)

    def flush(self):
        return self._held * np.float32(self.factor)


class Quarter(Gain):
    """As Gain, with another factor."""

    factor = 0.25


class Louder(Gain):
    """Adds what makes the order of the steps heard."""

    def push(self, block):
        return super().push(block) + np.float32(0.25)

    def flush(self):
        return super().flush() + np.float32(0.25)


class Losing(Gain):
    """Forgets what it held."""

    def flush(self):
        return self._held[:, :0]


@pytest.fixture
def use_steps(monkeypatch):
    """Let steps be done by classes of this module: `use_steps(denoise="Gain")`."""

    def use(**classes):
        known = catalog.tool("deepfilternet3")
        made = [dataclasses.replace(known, name=f"t-{step}", task=step) for step in classes]
        monkeypatch.setattr(catalog, "tools", lambda: tuple(made))
        state = catalog.Availability(catalog.AvailabilityStatus.INSTALLED, "Here.")
        monkeypatch.setattr(catalog, "availability", lambda package: state)
        table = {f"t-{step}": f"tests.separation.stepping:{name}" for step, name in classes.items()}
        monkeypatch.setattr(steps, "_CLASSES", table)

    return use
