import pytest
from django.db import connection


@pytest.fixture(autouse=True)
def _one_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing a response ends its request, which would close the connection of the whole test."""
    monkeypatch.setattr(connection, "close_if_unusable_or_obsolete", lambda: None)
