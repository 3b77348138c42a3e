from typing import Any

import pytest
from django.test import Client

from tests.fakes.receiver import receiver
from tests.makers import make_key


@pytest.fixture(autouse=True)
def _no_beats(no_beats: None) -> None:
    """See there."""


@pytest.fixture
def client(alice: Any) -> Client:
    """As customers of this API send it."""
    return Client(headers={"Authorization": f"Bearer {make_key(alice)}"})


@pytest.fixture
def stranger(charlie: Any) -> Client:
    return Client(headers={"Authorization": f"Bearer {make_key(charlie)}"})


@pytest.fixture
def callbacks(settings: Any) -> Any:
    """A customer's server that is called back."""
    with receiver(settings) as server:
        yield server
