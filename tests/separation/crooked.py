"""A model as bad as can be, for what must hold with any."""

import numpy as np


def make_crooked(engine, monkeypatch):
    """Let an engine's stems not add up, and be late and louder or softer, segment by segment."""
    straight = engine.separate

    def separate(mixtures):
        stems = straight(mixtures)
        for segment, mixture in zip(stems, mixtures, strict=True):
            is_loud = mixture.sum(dtype=np.float64) > 0
            segment *= np.float32(1.3 if is_loud else 0.8)
            segment[:2] = np.roll(segment[:2], 3 if is_loud else 8, axis=-1)
        return stems

    monkeypatch.setattr(engine, "separate", separate)
    return engine
