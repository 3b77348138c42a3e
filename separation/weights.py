"""Weights on this machine: where they are and whether they are there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

if TYPE_CHECKING:
    from separation.catalog.entries import Model


def cache_dir() -> Path:
    """Return the folder that keeps converted weights (STEMWRIGHT_CACHE_DIR)."""
    configured = os.environ.get("STEMWRIGHT_CACHE_DIR")
    return Path(configured) if configured else platformdirs.user_cache_path("stemwright")


def installed_path(model: Model) -> Path:
    """Return where the converted weights of `model` are kept, installed or not."""
    name = f"{model.name}-v{model.converter_version}.safetensors"
    return cache_dir() / "models" / name


def is_installed(model: Model) -> bool:
    """Say whether converted weights and their checksum are in the cache; no hashing."""
    path = installed_path(model)
    return path.is_file() and path.with_suffix(".sha256").is_file()
