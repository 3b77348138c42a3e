"""Spleeter, and the ways to run it."""

from separation.engines.backends import REFERENCE, Backend

BACKENDS = (Backend(REFERENCE, frozenset(), f"{__name__}.network"),)
