"""Makes a recording of speech cleaner: each step takes a stream and gives back as many samples."""

from separation.enhance.steps import Step

__all__ = ["Step"]
