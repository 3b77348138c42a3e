"""Weights on this machine: installed from the first source that has them, verified by hash."""

from separation.weights.cache import (
    cache_dir,
    derived_dir,
    find_installed,
    install_lock,
    installed_path,
    is_installed,
    verified,
)
from separation.weights.graphs import load_arrays, load_graphs
from separation.weights.install import install, load_state, source_files

__all__ = [
    "cache_dir",
    "derived_dir",
    "find_installed",
    "install",
    "install_lock",
    "installed_path",
    "is_installed",
    "load_arrays",
    "load_graphs",
    "load_state",
    "source_files",
    "verified",
]
