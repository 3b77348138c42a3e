from collections.abc import Iterator
from typing import Any

import pytest

from tests.fakes import player


@pytest.fixture(autouse=True)
def _faults() -> Iterator[None]:
    kept = dict(player.faults)
    player.faults["asked"] = []
    yield
    player.faults.update(kept)


@pytest.fixture(autouse=True)
def _addresses(settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.fakes.player_urls"
