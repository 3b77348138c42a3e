"""Connections that only reach allowed addresses, and end in time."""

import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import httpcore

from config.errors import AddressRefused
from jobs.addresses import Network, is_allowed

_CONNECT_S = 5.0
_HANDSHAKE_S = 10.0
# Whoever sends nothing for so long is gone.
_SILENCE_S = 30.0
# How often somebody who waits is asked whether to go on.
_TICK_S = 1.0
# A name may have many addresses; trying all of them would help nobody.
_ADDRESSES_TRIED = 4
# The name or the kind of address asked for does not exist; other failures may pass.
_NO_SUCH_NAME = {socket.EAI_NONAME, socket.EAI_NODATA}


class OutboundFailed(Exception):
    """The other side could not be reached, or did not do as it should.

    `code` is one of timeout, connection_failed, tls_failed, too_many_redirects, too_large and
    bad_answer; `status_code` is what it answered, if it did; `is_permanent` tells that trying
    again will not help.
    """

    def __init__(
        self, code: str, *, status_code: int | None = None, is_permanent: bool = False
    ) -> None:
        super().__init__(code)
        self.code = code
        self.status_code = status_code
        self.is_permanent = is_permanent


class Deadline:
    """The end of a whole call, whatever it consists of."""

    def __init__(self, total_s: float, on_tick: Callable[[], None]) -> None:
        self._ticked = time.monotonic()
        self._end = self._ticked + total_s
        self._on_tick = on_tick

    def remaining_s(self) -> float:
        remaining_s = self._end - time.monotonic()
        if remaining_s <= 0:
            raise OutboundFailed("timeout")
        return remaining_s

    def tick_s(self) -> float:
        """Ask, now and then, whether to go on; return how long to wait at most for anything."""
        now = time.monotonic()
        if now - self._ticked >= _TICK_S:
            self._ticked = now
            self._on_tick()
        return min(_TICK_S, self.remaining_s())


class GuardedBackend(httpcore.NetworkBackend):
    """Resolves a name once, checks all its addresses, and connects to one of those, literally.

    Nobody resolves the name again: a second answer could be another. Above it, the name stays what
    it was for `Host`, for SNI and for the check of the certificate.
    """

    def __init__(
        self, *, opened: Sequence[Network], deadline: Deadline, max_read_bytes: int
    ) -> None:
        self._opened = opened
        self._deadline = deadline
        self._max_read_bytes = max_read_bytes

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        addresses = resolve(host, port, deadline=self._deadline)
        # One forbidden answer among public ones is an attempt to get through at the next try.
        if not addresses or not all(is_allowed(address, self._opened) for address in addresses):
            raise AddressRefused
        for address in addresses[:_ADDRESSES_TRIED]:
            connected = self._connect(address, port)
            if connected is not None:
                return _Stream(connected, self._deadline, self._max_read_bytes)
        raise OutboundFailed("connection_failed")

    def _connect(self, address: str, port: int) -> socket.socket | None:
        timeout_s = min(_CONNECT_S, self._deadline.remaining_s())
        try:
            connected = socket.create_connection((address, port), timeout_s)
        except OSError:
            return None
        try:
            # Whatever the system made of it, this is who we speak to.
            if not is_allowed(connected.getpeername()[0], self._opened):
                raise AddressRefused
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except BaseException as error:
            connected.close()
            if isinstance(error, OSError):
                return None
            raise
        return connected


def resolve(host: str, port: int, *, deadline: Deadline) -> list[str]:
    """The addresses of a name, in the order in which to try them; none if there is no such name."""
    answers: queue.SimpleQueue[list[str] | OSError | UnicodeError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(_addresses(host, port))
        except (OSError, UnicodeError) as error:
            answers.put(error)

    # In a thread, since the system's resolver knows no time limit.
    threading.Thread(target=ask, name="resolver", daemon=True).start()
    try:
        answer = answers.get(timeout=min(_CONNECT_S, deadline.remaining_s()))
    except queue.Empty:
        raise OutboundFailed("timeout") from None
    if isinstance(answer, list):
        return answer
    # As if it had led to a forbidden address: names of the inner network are nobody's business.
    if isinstance(answer, UnicodeError) or answer.errno in _NO_SUCH_NAME:
        return []
    raise OutboundFailed("connection_failed") from answer


def _addresses(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


class _Stream(httpcore.NetworkStream):
    """A connection on which every wait counts against the deadline of the whole call."""

    def __init__(self, connected: socket.socket, deadline: Deadline, max_read_bytes: int) -> None:
        self._socket = connected
        self._deadline = deadline
        self._left_bytes = max_read_bytes

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        silent_until = time.monotonic() + _SILENCE_S
        while True:
            self._socket.settimeout(self._deadline.tick_s())
            try:
                data = self._socket.recv(max_bytes)
            except TimeoutError as error:
                if time.monotonic() > silent_until:
                    raise OutboundFailed("timeout") from error
                continue
            except OSError as error:
                raise OutboundFailed("connection_failed") from error
            self._left_bytes -= len(data)
            if self._left_bytes < 0:
                raise OutboundFailed("too_large", is_permanent=True)
            return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        while buffer:
            self._socket.settimeout(self._deadline.remaining_s())
            try:
                buffer = buffer[self._socket.send(buffer) :]
            except TimeoutError as error:
                raise OutboundFailed("timeout") from error
            except OSError as error:
                # The other side may have answered already; httpcore reads on after this one.
                raise httpcore.WriteError from error

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        # Nobody is asked meanwhile whether to go on.
        self._socket.settimeout(min(_HANDSHAKE_S, self._deadline.remaining_s()))
        try:
            secured = ssl_context.wrap_socket(self._socket, server_hostname=server_hostname)
        except TimeoutError as error:
            self.close()
            raise OutboundFailed("timeout") from error
        except (OSError, ValueError) as error:
            self.close()
            raise OutboundFailed("tls_failed") from error
        return _Stream(secured, self._deadline, self._left_bytes)

    def close(self) -> None:
        self._socket.close()

    def get_extra_info(self, info: str) -> Any:
        # httpcore asks for more (HTTP/2, reuse of connections), which is not done here.
        return None
