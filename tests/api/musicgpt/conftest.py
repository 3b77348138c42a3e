from typing import Any

import pytest
from django.test import Client

from tests.makers import make_key


@pytest.fixture(autouse=True)
def _no_beats(no_beats: None) -> None:
    """See there."""


@pytest.fixture
def client(alice: Any) -> Client:
    """As customers of this API send it: the bare key."""
    return Client(headers={"Authorization": make_key(alice)})


@pytest.fixture
def stranger(charlie: Any) -> Client:
    return Client(headers={"Authorization": make_key(charlie)})
