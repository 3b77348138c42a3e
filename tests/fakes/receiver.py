"""A customer's server that receives webhooks, on loopback."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

from standardwebhooks import Webhook

from tests.fakes.http import Answer, Server, says

LOOPBACK = ip_network("127.0.0.0/8")
OK = says("200 OK", body=b"thanks")
DOWN = says("500 Internal Server Error", body=b"oops")


@dataclass(frozen=True)
class Received:
    line: str
    headers: dict[str, str]
    content: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def body(self) -> Any:
        return json.loads(self.content)

    def verify(self, secret: str) -> Any:
        """As a customer would, with the library of the standard."""
        return Webhook(secret).verify(self.content, self.headers)


class Receiver(Server):
    def __init__(self, answer: Answer = OK, *, host: str = "127.0.0.1") -> None:
        super().__init__(answer, host=host)

    @property
    def received(self) -> list[Received]:
        return [_parsed(request) for request in list(self.requests)]


@contextmanager
def receiver(settings: Any, answer: Answer = OK, *, host: str = "127.0.0.1") -> Iterator[Receiver]:
    """Runs while the block does; the service may reach it."""
    server = Receiver(answer, host=host)
    settings.OUTBOUND_ALLOW = [LOOPBACK]
    settings.OUTBOUND_PORTS = [*settings.OUTBOUND_PORTS, server.port]
    with server.running():
        yield server


def _parsed(request: bytes) -> Received:
    head, _, content = request.partition(b"\r\n\r\n")
    line, *lines = head.decode().split("\r\n")
    headers = dict(one.split(": ", 1) for one in lines)
    return Received(line, {name.lower(): value for name, value in headers.items()}, content)
