"""Servers that take their time: no call lasts longer than it may."""

import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobs import outbound_network
from jobs.outbound import (
    OutboundFailed,
)
from tests.fakes.http import Server
from tests.jobs.outbound_steps import LOOPBACK, download, post


def _dripping(head: bytes, server: Server) -> Callable[[socket.socket], None]:
    def answer(connection: socket.socket) -> None:
        connection.sendall(head)
        while not server.stopping.wait(0.05):
            connection.sendall(b"x")

    return answer


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nX: "])
def test_a_server_that_drips_gets_no_more_time(opened: Server, tmp_path: Path, head: bytes):
    opened.answer = _dripping(head, opened)
    for call in (
        lambda: download(opened.url, tmp_path, total_s=0.4),
        lambda: post(opened.url, 0.4),
    ):
        with pytest.raises(OutboundFailed) as caught:
            call()
        assert caught.value.code in {"timeout", "bad_answer"}
        assert head == b"" or caught.value.code == "timeout"


def test_a_body_that_drips_gets_no_more_time(opened: Server, tmp_path: Path):
    opened.answer = _dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n", opened)
    with pytest.raises(OutboundFailed, match="timeout"):
        download(opened.url, tmp_path, total_s=0.4)
    # Here the status says all that is asked.
    answer = post(opened.url, 0.4)
    assert answer.status_code == 200
    assert 0 < len(answer.body) < 20


def test_a_server_that_says_nothing_gets_no_more_time(opened: Server):
    opened.answer = lambda connection: bool(opened.stopping.wait())  # type: ignore[assignment]
    with pytest.raises(OutboundFailed) as caught:
        post(opened.url, 0.3)
    assert caught.value.code == "timeout"


def test_a_server_that_falls_silent_is_given_up(opened: Server, tmp_path: Path, monkeypatch: Any):
    monkeypatch.setattr(outbound_network, "_SILENCE_S", 0.1)
    monkeypatch.setattr(outbound_network, "_TICK_S", 0.05)

    def answer(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n" + b"x" * 899)
        opened.stopping.wait()

    opened.answer = answer
    with pytest.raises(OutboundFailed) as caught:
        download(opened.url, tmp_path, total_s=60)
    assert caught.value.code == "timeout"


def test_a_handshake_that_hangs_gets_little_time(opened: Server, monkeypatch: Any):
    # Plain HTTP: it waits for the rest of a request, as we do for its half of the handshake.
    monkeypatch.setattr(outbound_network, "_HANDSHAKE_S", 0.1)
    with pytest.raises(OutboundFailed) as caught:
        post(opened.url.replace("http:", "https:"), 60)
    assert caught.value.code == "timeout"


def test_a_resolver_that_hangs_gets_no_more_time(opened: Server, monkeypatch: Any):
    over = threading.Event()
    monkeypatch.setattr(outbound_network, "_addresses", lambda host, port: [] * over.wait())
    with pytest.raises(OutboundFailed) as caught:
        post(f"http://example.org:{opened.port}/", 0.2)
    over.set()
    assert caught.value.code == "timeout"


def test_a_resolver_that_is_out_of_order_may_be_asked_again(opened: Server, monkeypatch: Any):
    def fail(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_AGAIN, "try again")

    monkeypatch.setattr(outbound_network, "_addresses", fail)
    with pytest.raises(OutboundFailed) as caught:
        post(f"http://example.org:{opened.port}/")
    assert (caught.value.code, caught.value.is_permanent) == ("connection_failed", False)


def test_nobody_listens(settings: Any):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    settings.OUTBOUND_ALLOW, settings.OUTBOUND_PORTS = [LOOPBACK], [port]
    with pytest.raises(OutboundFailed) as caught:
        post(f"http://127.0.0.1:{port}/")
    assert (caught.value.code, caught.value.is_permanent) == ("connection_failed", False)


def test_whoever_waits_may_stop(opened: Server, tmp_path: Path, monkeypatch: Any):
    monkeypatch.setattr(outbound_network, "_TICK_S", 0.05)
    opened.answer = _dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n12345", opened)
    seen: list[int] = []

    def stop(n_bytes: int) -> None:
        seen.append(n_bytes)
        if len(seen) == 3:
            raise KeyError("enough")

    with pytest.raises(KeyError):
        download(opened.url, tmp_path, total_s=30, on_bytes=stop)
    assert seen == sorted(seen)
    assert seen[-1] >= 5


# --- TLS ---
