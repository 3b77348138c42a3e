"""A proxy on loopback that passes calls on, except where a test wants it to fail."""

import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

_BLOCK = 64 * 1024


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one call."""

    # Answered in the place of the service's own answer.
    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    # Whether the service hears of the call all the same.
    is_passed_on: bool = True
    # The connection breaks after so many bytes of the request's or the answer's body.
    cut_request_after: int | None = None
    cut_answer_after: int | None = None
    # Or once these have passed.
    cut_answer_at: bytes | None = None


@dataclass(frozen=True)
class Call:
    method: str
    path: str
    headers: dict[str, str]


class Proxy(ThreadingHTTPServer):
    daemon_threads = False

    def __init__(self, target: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target = urlsplit(target)
        self.calls: list[Call] = []
        self._faults: list[tuple[str, str, Fault]] = []
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def will(self, method: str, beginning: str, *faults: Fault) -> None:
        """The next calls of this method whose path begins so fail, one after the other."""
        with self._lock:
            self._faults += [(method, beginning, fault) for fault in faults]

    def fault_of(self, call: Call) -> Fault:
        with self._lock:
            self.calls.append(call)
            for number, (method, beginning, fault) in enumerate(self._faults):
                if call.method == method and call.path.startswith(beginning):
                    del self._faults[number]
                    return fault
        return Fault()

    def called(self, method: str, beginning: str) -> list[Call]:
        return [
            call for call in self.calls if call.method == method and call.path.startswith(beginning)
        ]

    @contextmanager
    def running(self) -> Iterator["Proxy"]:
        thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield self
        finally:
            self.shutdown()
            thread.join()
            self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Proxy

    def _pass_on(self) -> None:
        self.close_connection = True
        headers = {name.lower(): value for name, value in self.headers.items()}
        fault = self.server.fault_of(Call(self.command, self.path, headers))
        length = int(headers.get("content-length", 0))
        if fault.cut_request_after is not None:
            self._pass_on_beginning(headers, fault.cut_request_after)
            return
        body = self.rfile.read(length)
        if fault.is_passed_on:
            upstream = self._upstream()
            upstream.request(self.command, self.path, body=body or None, headers=_end(headers))
            self._answer(upstream.getresponse(), fault)
            upstream.close()
        elif fault.status is not None:
            self._refuse(fault)
        # Else the connection just ends.

    do_GET = do_POST = do_PATCH = do_DELETE = do_HEAD = do_PUT = _pass_on

    def _upstream(self) -> http.client.HTTPConnection:
        target = self.server.target
        return http.client.HTTPConnection(str(target.hostname), target.port, timeout=60)

    def _pass_on_beginning(self, headers: dict[str, str], n_bytes: int) -> None:
        """As much as comes through before the connection breaks, on both sides."""
        upstream = self._upstream()
        upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            upstream.putheader(name, value)
        upstream.endheaders(self.rfile.read(n_bytes))
        connection = upstream.sock
        connection.shutdown(socket.SHUT_WR)
        # The service has seen to what came once it closes, too.
        while connection.recv(_BLOCK):
            pass
        upstream.close()

    def _answer(self, answer: http.client.HTTPResponse, fault: Fault) -> None:
        if fault.status is not None:
            answer.read()
            self._refuse(fault)
            return
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in {"connection", "transfer-encoding", "server", "date"}:
                self.send_header(name, value)
        self.end_headers()
        passed = b""
        while block := answer.read1(_BLOCK):
            end = len(block)
            if fault.cut_answer_after is not None:
                end = fault.cut_answer_after - len(passed)
            self.wfile.write(block[:end])
            self.wfile.flush()
            passed += block[:end]
            is_cut = fault.cut_answer_at is not None and fault.cut_answer_at in passed
            if end < len(block) or is_cut:
                return

    def _refuse(self, fault: Fault) -> None:
        self.send_response(int(fault.status or 0))
        for name, value in fault.headers:
            self.send_header(name, value)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:
            pass  # The client has gone.


def _end(headers: dict[str, str]) -> dict[str, str]:
    return {**headers, "connection": "close"}
