import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.fakes.http import Server, says
from tests.jobs.outbound_steps import LOOPBACK


@pytest.fixture
def server(settings: Any) -> Iterator[Server]:
    with Server(says("200 OK", body=b"hello")).running() as server:
        settings.OUTBOUND_PORTS = [server.port]
        settings.OUTBOUND_ALLOW = []
        yield server


@pytest.fixture
def opened(server: Server, settings: Any) -> Server:
    """The same server, which may be reached."""
    settings.OUTBOUND_ALLOW = [LOOPBACK]
    return server


@pytest.fixture
def no_way_out(monkeypatch: Any) -> list[tuple[str, int]]:
    """Connections that would have been made."""
    asked: list[tuple[str, int]] = []

    def create_connection(address: tuple[str, int], timeout: float) -> socket.socket:
        asked.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", create_connection)
    return asked
