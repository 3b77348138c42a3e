"""Drum kits as training data: one-shots, kits made of them, grooves, mixtures."""

from separation.training.drums.kits import CLASSES, held_kits
from separation.training.drums.mixer import DrumMixer

__all__ = ["CLASSES", "DrumMixer", "held_kits"]
