import pytest
from django.db import connection

from separation import catalog
from tests.separation.family import children_of


@pytest.fixture(autouse=True)
def _one_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing a response ends its request, which would close the connection of the whole test."""
    monkeypatch.setattr(connection, "close_if_unusable_or_obsolete", lambda: None)


@pytest.fixture
def roots_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """No model takes the stems of another one apart."""
    roots = tuple(model for model in catalog.models() if not model.input)
    monkeypatch.setattr(catalog, "models", lambda: roots)


@pytest.fixture
def whole_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is a model for every stem, made up but for the root."""
    root = catalog.model("htdemucs")
    models = (root, *children_of(root))
    monkeypatch.setattr(catalog, "models", lambda: models)
