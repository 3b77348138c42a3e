"""A job as it changes: by server-sent events, or by asking again where they do not come through."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import httpx

from stemwright import _http
from stemwright._http import Http
from stemwright._reading import read
from stemwright.errors import BadAnswer, StemwrightError, WaitTimeout
from stemwright.models import Job

# The service writes a comment every five seconds: longer silence is a broken connection, or a
# proxy that keeps the events until the end.
_SILENCE_S = 20.0
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 5.0


class Deadline:
    def __init__(self, timeout_s: float | None) -> None:
        self._timeout_s = timeout_s
        self._until = None if timeout_s is None else time.monotonic() + timeout_s

    def left_s(self, at_most_s: float) -> float:
        """Raise WaitTimeout once nothing is left."""
        if self._until is None:
            return at_most_s
        left_s = self._until - time.monotonic()
        if left_s <= 0:
            raise WaitTimeout(f"It has not ended after {self._timeout_s:g} s; it goes on.")
        return min(left_s, at_most_s)


def changes(http: Http, job_id: str, deadline: Deadline) -> Iterator[Job]:
    """The job at each change, the last time once it has ended."""
    has_stream = True
    pause_s = _FIRST_PAUSE_S
    while True:
        if has_stream:
            told = 0
            try:
                for job in _streamed(http, job_id, deadline):
                    told += 1
                    yield job
                    if job.has_ended:
                        return
            except WaitTimeout:
                raise
            except StemwrightError as error:
                # Whatever it is, the answer to the plain question tells. Too many streams are open:
                # there may be room for another soon. Nothing came at all: none will come.
                has_stream = told > 0 or error.status == 429
        job = http.get(Job, f"/v1/jobs/{job_id}")
        yield job
        if job.has_ended:
            return
        _http.sleep(deadline.left_s(pause_s))
        pause_s = min(pause_s * 1.5, _LONGEST_PAUSE_S)


def _streamed(http: Http, job_id: str, deadline: Deadline) -> Iterator[Job]:
    silence_s = deadline.left_s(_SILENCE_S)
    timeout = httpx.Timeout(silence_s, connect=min(silence_s, 10.0))
    path = f"/v1/jobs/{job_id}/events"
    with http.stream(http.api, "GET", path, timeout=timeout) as response:
        if response.headers.get("Content-Type", "").partition(";")[0] != "text/event-stream":
            raise BadAnswer("The answer is no stream of events.")
        for data in _messages(response.iter_lines(), deadline):
            try:
                yield read(Job, json.loads(data))
            except ValueError:
                raise BadAnswer("The stream holds no JSON.") from None


def _messages(lines: Iterator[str], deadline: Deadline) -> Iterator[str]:
    """The data of each event (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""
    data: list[str] = []
    for line in lines:
        deadline.left_s(_SILENCE_S)
        if not line and data:
            yield "\n".join(data)
            data = []
        name, _, value = line.partition(":")
        if name == "data":
            data.append(value.removeprefix(" "))
