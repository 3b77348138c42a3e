"""The HTTP side: keys, versions, idempotency, faults that a test asks for."""

import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.fakes.stripe.objects import API_VERSION, Json, StripeProblem

Answer = tuple[int, Json]


@dataclass
class Fault:
    """What goes wrong with the next calls whose "METHOD /path" matches."""

    calls: str
    times: int
    # An HTTP status, or 0: the connection breaks.
    status: int
    # Whether the call does its work before the answer is lost.
    after: bool


@dataclass
class Gate:
    """Calls that match wait here until the test opens it: before their work, or with an answer
    that grows old meanwhile."""

    calls: str
    times: int = 1_000_000
    after: bool = False
    reached: threading.Event = field(default_factory=threading.Event)
    opened: threading.Event = field(default_factory=threading.Event)


@dataclass
class Call:
    method: str
    path: str
    params: Json
    key: str | None
    is_replayed: bool = False

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class Front:
    """Checks a call, replays it or runs it."""

    def __init__(self, secret_key: str, run: Callable[[Call], Json]) -> None:
        self.secret_key = secret_key
        self.run = run
        self.lock = threading.RLock()
        self.calls: list[str] = []
        self.faults: list[Fault] = []
        self.gates: list[Gate] = []
        self.replays: dict[str, tuple[str, Answer | None]] = {}

    def answer(self, call: Call, headers: Any) -> Answer | None:
        """None: the connection breaks."""
        gate = self._gate(call)
        if gate and not gate.after:
            gate.opened.wait(60)
        fault = self._fault(call)
        if fault and not fault.after:
            return _broken(fault)
        try:
            self._check(headers)
            answer = self._once(call)
        except StripeProblem as problem:
            answer = problem.status, {"error": problem.error}
        if gate and gate.after:
            gate.reached.set()
            gate.opened.wait(60)
        return _broken(fault) if fault else answer

    def _gate(self, call: Call) -> Gate | None:
        with self.lock:
            for gate in self.gates:
                if gate.times and re.search(gate.calls, str(call)) and not gate.opened.is_set():
                    gate.times -= 1
                    if not gate.after:
                        gate.reached.set()
                    return gate
        return None

    def _fault(self, call: Call) -> Fault | None:
        with self.lock:
            self.calls.append(str(call))
            for fault in self.faults:
                if fault.times and re.search(fault.calls, str(call)):
                    fault.times -= 1
                    return fault
        return None

    def _check(self, headers: Any) -> None:
        if headers.get("Authorization") != f"Bearer {self.secret_key}":
            raise StripeProblem(401, "invalid_request_error", "Invalid API Key provided")
        if headers.get("Stripe-Version") != API_VERSION:
            raise StripeProblem(400, "invalid_request_error", "Another API version is pinned here")

    def _once(self, call: Call) -> Answer:
        if call.key is None or call.method != "POST":
            return self._run(call)
        print_of_it = json.dumps([call.path, call.params], sort_keys=True)
        with self.lock:
            known = self.replays.get(call.key)
            if known is None:
                self.replays[call.key] = (print_of_it, None)
        if known is None:
            answer = self._run(call)
            with self.lock:
                # What was wrong with the request itself is not kept.
                if answer[0] == 400:
                    del self.replays[call.key]
                else:
                    self.replays[call.key] = (print_of_it, answer)
            return answer
        if known[0] != print_of_it:
            raise StripeProblem(400, "idempotency_error", "The key was used with other parameters")
        if known[1] is None:
            raise StripeProblem(409, "idempotency_error", "The first request is in progress")
        call.is_replayed = True
        return known[1]

    def _run(self, call: Call) -> Answer:
        with self.lock:
            try:
                return 200, json.loads(json.dumps(self.run(call)))
            except StripeProblem as problem:
                return problem.status, {"error": problem.error}


def _broken(fault: Fault) -> Answer | None:
    error = {"type": "api_error", "message": "Something went wrong on Stripe's side."}
    return (fault.status, {"error": error}) if fault.status else None


class HttpServer:
    def __init__(self, front: Front) -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Headers and body leave as two packets; without this each answer would wait 40 ms.
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                self.reply("GET", urlsplit(self.path).query)

            def do_DELETE(self) -> None:
                self.reply("DELETE", urlsplit(self.path).query)

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                self.reply("POST", self.rfile.read(length).decode())

            def reply(self, method: str, form: str) -> None:
                path = urlsplit(self.path).path.removeprefix("/v1/")
                key = self.headers.get("Idempotency-Key")
                call = Call(method, path, parse_form(form), key)
                answer = front.answer(call, self.headers)
                if answer is None:
                    self.close_connection = True
                    return
                body = json.dumps(answer[1]).encode()
                self.send_response(answer[0])
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Request-Id", "req_fake")
                if call.is_replayed:
                    self.send_header("Idempotent-Replayed", "true")
                if answer[0] >= 500:
                    # Spares tests the pauses of stripe-python; the service has its own retries.
                    self.send_header("Stripe-Should-Retry", "false")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True)
        self.url = f"http://127.0.0.1:{self.http.server_port}"

    def start(self) -> None:
        self.thread.start()

    def stop(self) -> None:
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


def parse_form(form: str) -> Json:
    """`a[b][0][c]=1` as {"a": {"b": [{"c": "1"}]}}; numbers and booleans where they are meant."""
    found: Json = {}
    for name, value in parse_qsl(form, keep_blank_values=True):
        path = re.findall(r"[^\[\]]+", name)
        place = found
        for part in path[:-1]:
            place = place.setdefault(part, {})
        is_list = name.endswith("[]")
        if is_list:
            place.setdefault(path[-1], {})[str(len(place.get(path[-1], {})))] = value
        else:
            place[path[-1]] = value
    return {name: _typed(name, value) for name, value in found.items()}


_NUMBERS = {"amount", "unit_amount", "limit", "quantity", "gte", "exp_month", "exp_year"}
_BOOLEANS = {"confirm", "off_session", "enabled", "cancel_at_period_end", "disabled"}


def _typed(name: str, value: Any) -> Any:
    if isinstance(value, dict):
        if value and all(key.isdigit() for key in value):
            return [_typed(name, item) for item in value.values()]
        return {key: _typed(key, item) for key, item in value.items()}
    if name in _NUMBERS:
        return int(value)
    return value == "true" if name in _BOOLEANS else value
