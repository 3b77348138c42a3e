from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from jobs.scratch import remove_leftovers

pytestmark = pytest.mark.django_db


def test_it_removes_nothing_that_is_not_its_own(tmp_path: Path, settings: Any):
    """An operator may name a folder that others use too, such as /tmp."""
    settings.SCRATCH_DIR = tmp_path / "tmp"
    leftover = settings.SCRATCH_DIR / f"{uuid4()}.2"
    others = {settings.SCRATCH_DIR / name for name in ("home", "pg.1", f"{uuid4()}", "a.b.c")}
    for folder in (leftover, *others):
        folder.mkdir(parents=True)
        (folder / "file").touch()
    remove_leftovers()
    assert set(settings.SCRATCH_DIR.iterdir()) == others
    assert all((folder / "file").exists() for folder in others)
