"""A folder for files that are all made or none."""

from __future__ import annotations

from pathlib import Path


class OutputFolder:
    """Made with its parents where they are missing; what was made can be taken away again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._made: list[Path] = []

    def make(self) -> None:
        """Make what is missing."""
        missing = [path for path in (self.path, *self.path.parents) if not path.exists()]
        for path in reversed(missing):
            path.mkdir(exist_ok=True)
            self._made.append(path)

    def remove(self) -> None:
        """Take away what was made and is empty."""
        for path in reversed(self._made):
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()
