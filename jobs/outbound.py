"""The one way out: every request to an address that a customer named goes through here.

It reaches public addresses only (jobs/addresses.py), over http or https, on the ports that are
open. Nothing of the environment is used: no proxy, no .netrc, no cookies. See
docs/adr/0009-guarded-client.md.
"""

import functools
import re
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.message import Message
from ipaddress import IPv4Address
from pathlib import Path
from urllib.parse import unquote

import httpcore
import httpx
from django.conf import settings

from config.errors import AddressRefused
from jobs.addresses import is_allowed
from jobs.filenames import plain_filename
from jobs.outbound_network import Deadline, GuardedBackend, OutboundFailed

__all__ = [
    "Downloaded",
    "OutboundAnswer",
    "OutboundFailed",
    "outbound_check",
    "outbound_download",
    "outbound_post",
]

URL_MAX_CHARS = 2_000
_MAX_REDIRECTS = 3
_ANSWER_MAX_BYTES = 64 * 1024
_NAME_HEADER_MAX_CHARS = 4_000
# Beside the body: headers, the frames of chunks, and what came before an answer.
_EXTRA_BYTES = 1024 * 1024
_REDIRECTS = {301, 302, 303, 307, 308}
# These may be better later; any other answer will stay as it is.
_MAY_PASS = {408, 425, 429, 500, 502, 503, 504}
_PORTS = {"http": 80, "https": 443}
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
# What C libraries take for a number, and resolvers for an address: 0x7f000001, 2130706433.
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


@dataclass(frozen=True)
class OutboundAnswer:
    status_code: int
    # Names in lower case.
    headers: Mapping[str, str]
    # Its beginning, as it came.
    body: bytes


@dataclass(frozen=True)
class Downloaded:
    filename: str
    content_type: str
    size_bytes: int


def outbound_check(url: str) -> None:
    """Refuse an address that could never be used. Asks nobody: a name may still lead astray."""
    _checked(url)


def outbound_post(
    url: str, *, content: bytes, headers: Mapping[str, str], total_s: float
) -> OutboundAnswer:
    """Send a body; whatever is answered is the answer. Redirects are not followed.

    A status is an answer, though its body hang or break off; what came of that is given back.

    Raises AddressRefused and OutboundFailed.
    """
    deadline = Deadline(total_s, _go_on)
    with _answer("POST", _checked(url), deadline, _ANSWER_MAX_BYTES, headers, content) as response:
        body = b""
        with suppress(OutboundFailed, httpcore.ProtocolError, httpcore.NetworkError):
            for block in response.iter_stream():
                body += block
                if len(body) >= _ANSWER_MAX_BYTES:
                    break
        return OutboundAnswer(response.status, _headers(response), body[:_ANSWER_MAX_BYTES])


def _go_on() -> None:
    """Never stop before the deadline."""


def outbound_download(
    url: str,
    *,
    path: Path,
    max_bytes: int,
    total_s: float,
    on_bytes: Callable[[int], None] = lambda n_bytes: None,
) -> Downloaded:
    """Fetch a file to `path`. At most three redirects, each checked as the first address.

    `on_bytes` is told about once a second how many bytes came, and may raise to stop.

    Raises AddressRefused and OutboundFailed.
    """
    size_bytes = 0
    deadline = Deadline(total_s, lambda: on_bytes(size_bytes))
    target = _checked(url)
    for _ in range(_MAX_REDIRECTS + 1):
        with _answer("GET", target, deadline, max_bytes, {"Accept": "*/*"}) as response:
            headers = _headers(response)
            if response.status in _REDIRECTS:
                target = _redirect(target, headers.get("location", ""))
                continue
            _check_answer(response.status, headers, max_bytes)
            with path.open("wb") as file:
                for block in response.iter_stream():
                    size_bytes += len(block)
                    if size_bytes > max_bytes:
                        raise OutboundFailed("too_large", is_permanent=True)
                    file.write(block)
            return Downloaded(
                filename=_filename(headers, target),
                content_type=headers.get("content-type", "")[:255],
                size_bytes=size_bytes,
            )
    raise OutboundFailed("too_many_redirects", is_permanent=True)


def _checked(url: str) -> httpx.URL:
    # Spaces, tabs, line ends and backslashes are read in different ways by different programs.
    if len(url) > URL_MAX_CHARS or re.search(r"[\x00-\x20\x7f-\xa0\\]", url):
        raise AddressRefused
    try:
        parsed = httpx.URL(url)
        host = parsed.raw_host.decode("ascii")
    except (httpx.InvalidURL, ValueError):
        raise AddressRefused from None
    has_user = "@" in re.split(r"[/?#]", url.partition("://")[2])[0]
    port = _PORTS.get(parsed.scheme) if parsed.port is None else parsed.port
    is_open = port in {*_PORTS.values(), *settings.OUTBOUND_PORTS}
    if parsed.scheme not in _PORTS or has_user or not is_open or not _is_host(host):
        raise AddressRefused
    return parsed.copy_with(fragment=None)


def _is_host(host: str) -> bool:
    """Whether it is a proper name, or the usual form of an address that is allowed."""
    labels = host.split(".")
    if labels[-1] == "localhost":
        host = "127.0.0.1"
    if ":" in host or _is_ipv4(host):
        return is_allowed(host, settings.OUTBOUND_ALLOW)
    # Other spellings of numbers are nobody's name.
    is_name = all(_LABEL.fullmatch(label) for label in labels) and len(host) <= 253
    return is_name and not _NUMBER.fullmatch(labels[-1])


def _is_ipv4(host: str) -> bool:
    try:
        return bool(IPv4Address(host).packed)
    except ValueError:
        return False


def _redirect(source: httpx.URL, location: str) -> httpx.URL:
    if not location:
        raise OutboundFailed("bad_answer", is_permanent=True)
    try:
        target = _checked(str(source.join(location)))
    except (httpx.InvalidURL, ValueError):
        raise AddressRefused from None
    if source.scheme == "https" and target.scheme != "https":
        raise AddressRefused
    return target


@contextmanager
def _answer(
    method: str,
    url: httpx.URL,
    deadline: Deadline,
    max_bytes: int,
    headers: Mapping[str, str],
    content: bytes | None = None,
) -> Iterator[httpcore.Response]:
    backend = GuardedBackend(
        opened=settings.OUTBOUND_ALLOW,
        deadline=deadline,
        # Chunks of a few bytes may double what is sent; more is not a file but an attack.
        max_read_bytes=2 * max_bytes + _EXTRA_BYTES,
    )
    sent = {
        **headers,
        "Host": url.netloc.decode("ascii"),
        "User-Agent": "Stemwright/1",
        "Accept-Encoding": "identity",
        "Connection": "close",
    }
    try:
        with (
            httpcore.ConnectionPool(
                ssl_context=_ssl_context(), max_connections=1, network_backend=backend
            ) as pool,
            pool.stream(
                method,
                httpcore.URL(
                    scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
                ),
                headers=list(sent.items()),
                content=content,
            ) as response,
        ):
            yield response
    except httpcore.ProtocolError as error:
        raise OutboundFailed("bad_answer") from error
    except (httpcore.NetworkError, httpcore.TimeoutException) as error:
        raise OutboundFailed("connection_failed") from error


@functools.cache
def _ssl_context() -> ssl.SSLContext:
    return httpx.create_ssl_context()


def _headers(response: httpcore.Response) -> dict[str, str]:
    return {
        name.decode("ascii").lower(): value.decode("utf-8", "replace")
        for name, value in response.headers
    }


def _check_answer(status: int, headers: Mapping[str, str], max_bytes: int) -> None:
    if status != 200:
        is_permanent = status not in _MAY_PASS
        raise OutboundFailed("bad_answer", status_code=status, is_permanent=is_permanent)
    # Nothing is unpacked here: a few bytes can become any number.
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise OutboundFailed("bad_answer", status_code=status, is_permanent=True)
    announced = headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > max_bytes:
        raise OutboundFailed("too_large", status_code=status, is_permanent=True)


def _filename(headers: Mapping[str, str], url: httpx.URL) -> str:
    message = Message()
    # Reading a long one takes time by the square of its length.
    message["Content-Disposition"] = headers.get("content-disposition", "")[:_NAME_HEADER_MAX_CHARS]
    try:
        named = message.get_filename() or ""
    except (LookupError, ValueError):  # a character set that nobody knows
        named = ""
    return plain_filename(named or unquote(url.path))
