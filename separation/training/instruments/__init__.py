"""Mixtures of pitched instruments, to learn from and to measure with.

Notes come from a bank of sampled and synthesized ones (`bank`, `build`), parts from a small
composer (`song`, `parts`), sounds from the effects of a studio (`tracks`); `mixer` puts them
together.
"""
