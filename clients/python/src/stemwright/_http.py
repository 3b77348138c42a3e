"""Requests to the service: what is repeated, and what its refusals become."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import httpx

from stemwright._reading import read
from stemwright.errors import ApiError, BadAnswer, ConnectionFailed, StemwrightError, error_class

Value = TypeVar("Value")

# Nothing of the request has left this machine.
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
# Never better the next time.
_PERMANENT = (httpx.UnsupportedProtocol,)
_REPEATABLE = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS"}
# 503 from the service itself that stays so until its operator changes something.
_SETTLED = {"model_unavailable", "payments_unavailable"}
sleep = time.sleep


@dataclass(frozen=True)
class Retries:
    """How often, and after which pauses, a call is made again."""

    attempts: int = 5
    first_pause_s: float = 0.5
    # The service may ask for more by `Retry-After`; beyond this it is an error instead.
    longest_pause_s: float = 60.0

    def pause_s(self, attempt: int) -> float:
        """After the `attempt`-th attempt: twice as long each time, and a little by chance, so that
        many clients do not come back together."""
        pause_s = min(self.first_pause_s * 2.0 ** (attempt - 1), self.longest_pause_s)
        return pause_s * random.uniform(0.8, 1.2)  # noqa: S311


class Http:
    def __init__(
        self, *, api_key: str, base_url: str, timeout_s: float, retries: Retries, verify: Any
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.retries = retries
        timeout = httpx.Timeout(timeout_s, connect=min(timeout_s, 10.0))
        agent = {"User-Agent": f"stemwright-client/{_version()}"}
        self.api = httpx.Client(
            base_url=self.base_url,
            headers={**agent, "X-API-Key": api_key},
            timeout=timeout,
            verify=verify,
        )
        # Links to files work by themselves and may lead to another host: it is told no key.
        self.links = httpx.Client(
            headers=agent, timeout=timeout, verify=verify, follow_redirects=True
        )

    def close(self) -> None:
        self.api.close()
        self.links.close()

    def call(
        self,
        method: str,
        path: str,
        *,
        is_repeatable: bool | None = None,
        headers: Mapping[str, str] | None = None,
        **content: Any,
    ) -> httpx.Response:
        """The answer, which is no error. `content` is that of httpx: `json`, `params`, `files`, …

        After a broken connection, or an answer that the service may not have given itself, nobody
        knows whether the call has had its effect. So it is made again only if that does no harm.
        """
        if is_repeatable is None:
            is_repeatable = method in _REPEATABLE
        attempt = 1
        while True:
            try:
                response = self.api.request(method, path, headers=headers, **content)
                check(response)
                return response
            except httpx.HTTPError as error:
                failure: StemwrightError = no_answer(error)
                may_repeat = _may_repeat_broken(error, is_repeatable)
            except ApiError as error:
                failure = error
                may_repeat = _may_repeat_refused(error, is_repeatable)
            # Over here, so that the repeated call is not shown as one "during handling of" this.
            if not may_repeat or not self.pause(attempt, failure):
                raise failure
            attempt += 1

    def pause(self, attempt: int, failure: StemwrightError) -> bool:
        """Wait before the next attempt; False if there is to be none."""
        pause_s = self.retries.pause_s(attempt)
        if failure.retry_after_s is not None:
            pause_s = max(failure.retry_after_s, 0.0)
        if attempt >= self.retries.attempts or pause_s > self.retries.longest_pause_s * 1.2:
            return False
        sleep(pause_s)
        return True

    def charge(self, path: str, body: Any, *, idempotency_key: str | None = None) -> httpx.Response:
        """A POST that costs credits: under one key it charges once, however often it is made."""
        headers = {"Idempotency-Key": idempotency_key or str(uuid4())}
        try:
            return self.call("POST", path, json=body, headers=headers, is_repeatable=True)
        except StemwrightError as error:
            # Whoever does not know what became of the order can make it again, and pay once.
            error.idempotency_key = headers["Idempotency-Key"]
            raise

    def get(self, kind: type[Value], path: str, **params: Any) -> Value:
        return read(kind, json_of(self.call("GET", path, params=_given(params))))

    def pages(
        self, kind: type[Value], path: str, *, limit: int | None = None, **params: Any
    ) -> Iterator[Value]:
        """All rows, page by page as they are asked for; at most `limit`."""
        left = limit
        cursor: str | None = None
        while left is None or left > 0:
            size = 200 if left is None else min(left, 200)
            body = json_of(
                self.call("GET", path, params=_given({"limit": size, "cursor": cursor, **params}))
            )
            try:
                rows, further = body["results"], body["next"]
            except (KeyError, TypeError):
                raise BadAnswer("The answer is no page.") from None
            yield from (read(kind, row) for row in rows)
            # The address itself is not followed: it may name a host that is none of ours.
            cursor = _cursor(further)
            if cursor is None:
                return
            left = None if left is None else left - len(rows)

    @contextmanager
    def stream(
        self, client: httpx.Client, method: str, url: str, **options: Any
    ) -> Iterator[httpx.Response]:
        """An answer that is read as it comes; nothing is repeated."""
        try:
            with client.stream(method, url, **options) as response:
                if response.status_code >= 300:
                    response.read()
                    check(response)
                yield response
        except httpx.HTTPError as error:
            raise no_answer(error) from error


def _may_repeat_broken(error: httpx.HTTPError, is_repeatable: bool) -> bool:
    if isinstance(error, _PERMANENT):
        return False
    is_of_connection = isinstance(error, httpx.TransportError)
    return isinstance(error, _NOT_SENT) or (is_of_connection and is_repeatable)


def _may_repeat_refused(error: ApiError, is_repeatable: bool) -> bool:
    if error.status == 429:
        # It was refused before anything was done.
        return error.retry_after_s is not None
    return is_repeatable and error.status in (502, 503, 504) and error.code not in _SETTLED


def check(response: httpx.Response) -> None:
    """Raise what a refusal means."""
    if response.status_code < 300 or response.status_code == 304:
        return
    if response.status_code < 400:
        where = response.headers.get("Location", "another address")
        raise BadAnswer(
            f"The service leads to {where}: give its own address as base_url.",
            status=response.status_code,
        )
    raise api_error(response)


def api_error(response: httpx.Response) -> ApiError:
    """Of the service itself, or, where something else answered, of its status alone."""
    try:
        said = response.json()["error"]
        code, message = str(said["code"]), str(said["message"])
    except (ValueError, KeyError, TypeError):
        said = {}
        code = f"http_{response.status_code}"
        message = f"The answer was {response.status_code} {response.reason_phrase}".strip() + "."
    return error_class(response.status_code)(
        message,
        code=code,
        status=response.status_code,
        fields=said.get("fields"),
        data=said.get("data"),
        request_id=said.get("request_id") or response.headers.get("X-Request-ID", ""),
        retry_after_s=_retry_after_s(response),
    )


def no_answer(error: httpx.HTTPError) -> ConnectionFailed:
    detail = str(error) or type(error).__name__
    return ConnectionFailed(f"The service does not answer: {detail}.")


def json_of(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        raise BadAnswer("The answer is no JSON.", status=response.status_code) from None


def _retry_after_s(response: httpx.Response) -> float | None:
    text = response.headers.get("Retry-After", "").strip()
    if not text:
        return None
    if text.isdigit():
        return float(text)
    try:
        return parsedate_to_datetime(text).timestamp() - time.time()
    except (TypeError, ValueError):
        return None


def _cursor(address: Any) -> str | None:
    return parse_qs(urlsplit(address).query).get("cursor", [None])[0] if address else None


def _given(params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in params.items() if value is not None}


def _version() -> str:
    try:
        return version("stemwright-client")
    except PackageNotFoundError:  # used from a checkout
        return "dev"
