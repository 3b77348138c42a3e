from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from jobs.ingesting import run_next_ingest
from jobs.models import Asset
from tests.makers import make_asset, make_key, run_jobs


@pytest.fixture(autouse=True)
def _no_beats(no_beats: None) -> None:
    """See there."""


@pytest.fixture
def client(alice: Any) -> Client:
    return Client(headers={"Authorization": f"Bearer {make_key(alice)}"})


@pytest.fixture
def stranger(charlie: Any) -> Client:
    return Client(headers={"Authorization": f"Bearer {make_key(charlie)}"})


@pytest.fixture
def clip(alice: Any, tmp_path: Path) -> Asset:
    return make_asset(alice, tmp_path, name="My song.wav", seconds=2)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], object]]:
    """What happens while a call waits: one of these at each look, and nothing any more after."""
    events: list[Callable[[], object]] = []
    monkeypatch.setattr("api.musicapi.waiting.pause", lambda: events and events.pop(0)())
    return events


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Does what waits while a call waits for it."""

    def work() -> None:
        run_next_ingest()
        run_jobs()

    monkeypatch.setattr("api.musicapi.waiting.pause", work)
