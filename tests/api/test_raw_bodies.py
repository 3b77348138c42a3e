"""Bodies as gunicorn hands them on, from senders that are slow or gone."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIRequest
from django.test import RequestFactory
from gunicorn.http.body import Body, LengthReader  # type: ignore[import-untyped]
from gunicorn.http.unreader import SocketUnreader  # type: ignore[import-untyped]

from api.raw_bodies import body_source
from config import arriving
from config.arriving import Arrival

LENGTH = 1_000_000
SENT = 300_000


def falls_silent(sender: socket.socket, over: threading.Event) -> None:
    over.wait()


def drips(sender: socket.socket, over: threading.Event) -> None:
    while not over.wait(0.02):
        sender.sendall(b"x")


@contextmanager
def arriving_request(goes_on: Callable[..., None]) -> Iterator[Any]:
    """A request as gunicorn sees it, whose sender goes on so after a part of its body."""
    over = threading.Event()
    ours, theirs = socket.socketpair()

    def send() -> None:
        theirs.sendall(b"y" * SENT)
        goes_on(theirs, over)

    thread = threading.Thread(target=send)
    with ours, theirs:
        thread.start()
        unreader = SocketUnreader(ours)
        yield SimpleNamespace(unreader=unreader, body=Body(LengthReader(unreader, LENGTH)))
        over.set()
        thread.join()


@pytest.mark.parametrize(
    ("goes_on", "idle_s", "total_s"), [(falls_silent, 0.2, 60), (drips, 60, 0.3)]
)
def test_a_sender_is_waited_for_so_long_and_what_came_is_kept(
    settings: Any, goes_on: Callable[..., None], idle_s: float, total_s: float
):
    settings.UPLOAD_IDLE_SECONDS, settings.UPLOAD_REQUEST_SECONDS = idle_s, total_s
    with arriving_request(goes_on) as arriving_one:
        Arrival(arriving_one)
        environ = {"CONTENT_LENGTH": str(LENGTH), "wsgi.input": arriving_one.body}
        request: Any = WSGIRequest(RequestFactory().put("/").environ | environ)
        request = SimpleNamespace(META=request.META, _request=request)
        with body_source(request, owner="me") as source:
            assert source.read(262_144) == b"y" * 262_144
            rest = source.read(262_144)
            assert source.read(262_144) == b""
    assert rest.strip(b"x") == b"y" * (SENT - 262_144)


@pytest.mark.parametrize("goes_on", [falls_silent, drips])
def test_the_rest_of_a_body_that_was_refused_is_not_waited_for(
    goes_on: Callable[..., None], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(arriving, "_REST_S", 0.2)
    with arriving_request(goes_on) as request:
        Arrival(request).end()
        # By which gunicorn knows that the connection is of no further use.
        assert request.body.failed
        # Its next request would have other limits.
        assert request.unreader.chunk.__func__ is SocketUnreader.chunk


@pytest.mark.parametrize("goes_on", [falls_silent, drips])
def test_an_order_must_arrive_in_time(
    goes_on: Callable[..., None], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(arriving, "_BODY_S", 0.2)
    with arriving_request(goes_on) as request:
        Arrival(request)
        with pytest.raises(TimeoutError):
            request.body.read(LENGTH)
