"""yt-dlp in a process of its own: `python -m jobs.video_child REQUEST`.

Takes one JSON object (`Request`) and prints one: what was fetched, that no allowed extractor knows
the address, or what went wrong. Plain Python, without Django and without secrets.

Extractors are code that others wrote for pages that again others write. So nothing is left to
them: only those on the list exist here; every connection is checked by a hook of the interpreter
against the table of the guarded client; no other program is started; no configuration, cookies,
plug-ins or passwords of the machine are read. The hook guards against addresses in pages, not
against a taken-over interpreter: a firewall does.
"""

import json
import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.addresses import Network, is_allowed, networks
from separation.confined_probe import confine

FILENAME = "recording"
_MAX_FILES = 64
# Sound alone where there is some, as one file over plain HTTP: pieces would need another program.
_FORMAT = "/".join(
    f"{kind}[protocol={protocol}]"
    for kind in ("bestaudio", "best")
    for protocol in ("https", "http")
)
# These speak for themselves, past the hook, or bring programs of their own.
_NOT_HERE = ("curl_cffi", "requests", "websockets", "yt_dlp_ejs", "yt_dlp_plugins")
_PROCESSES = (
    "subprocess.",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "os.spawn",
    "os.system",
    "pty.",
)
_DATAGRAMS = {"socket.sendto", "socket.sendmsg", "socket.bind"}


@dataclass(frozen=True)
class Request:
    url: str
    # Where the file goes, as `FILENAME`.
    folder: str
    # Names of extractors, as yt-dlp knows them.
    extractors: list[str]
    opened: list[str]
    ports: list[int]
    max_bytes: int
    memory_bytes: int
    cpu_s: int
    parent: int


class Guard:
    """Refuses whatever is not a connection to an allowed address."""

    def __init__(self, opened: Sequence[Network], ports: Sequence[int]) -> None:
        self._opened = opened
        self._ports = {80, 443, *ports}
        self.has_refused = False

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        is_refused = (
            (event == "socket.connect" and not self._is_open(arguments[1]))
            or event in _DATAGRAMS
            or event.startswith(_PROCESSES)
        )
        if is_refused:
            self.has_refused = self.has_refused or event == "socket.connect"
            raise PermissionError(f"{event} is not allowed here")

    def _is_open(self, address: Any) -> bool:
        # Only literal addresses: a name would be resolved after this look at it.
        match address:
            case (str(host), int(port), *_):
                return port in self._ports and is_allowed(host, self._opened)
        return False


def main(request: Request) -> dict[str, Any]:
    """Fetch, and say how it went."""
    confine(
        memory_bytes=request.memory_bytes,
        cpu_s=request.cpu_s,
        parent=request.parent,
        file_bytes=request.max_bytes,
        max_files=_MAX_FILES,
    )
    for name in _NOT_HERE:
        sys.modules[name] = None  # type: ignore[assignment]
    import yt_dlp
    from yt_dlp.globals import all_plugins_loaded

    # None are, nor will be.
    all_plugins_loaded.value = True
    guard = Guard(networks(request.opened), request.ports)
    sys.addaudithook(guard)
    extractors = _suitable(request)
    if not extractors:
        return {"outcome": "unsuitable"}
    path = Path(request.folder) / FILENAME
    # Without `auto_init` it knows no extractor but those that are added.
    with yt_dlp.YoutubeDL(_options(request, path), auto_init=False) as downloader:
        for extractor in extractors:
            downloader.add_info_extractor(extractor)
        try:
            info = downloader.extract_info(request.url)
        except Exception:
            # Its text may hold the address, and with it secrets.
            info = None
    if guard.has_refused:
        return {"outcome": "refused"}
    size_bytes = path.stat().st_size if path.exists() else None
    # It says nothing of a file that is announced as too large, and leaves it out; one that turns
    # out to be so meets the limit of this process.
    if size_bytes is None if info else size_bytes == request.max_bytes:
        return {"outcome": "too_large"}
    if not info or size_bytes is None:
        return {"outcome": "failed"}
    title, extension = str(info.get("title") or FILENAME), str(info.get("ext") or "")
    return {
        "outcome": "fetched",
        "filename": f"{title[:200]}.{extension[:16]}" if extension else title[:200],
    }


def _suitable(request: Request) -> list[Any]:
    """Allowed extractors that know this address; no network is asked."""
    from yt_dlp.extractor import get_info_extractor

    found = []
    for name in request.extractors:
        # The generic one takes any address for its own.
        if name.lower() != "generic":
            with suppress(KeyError):
                extractor = get_info_extractor(name)
                if extractor.suitable(request.url):
                    found.append(extractor())
    return found


def _options(request: Request, path: Path) -> dict[str, Any]:
    return {
        "format": _FORMAT,
        "outtmpl": {"default": re.sub("%", "%%", str(path))},
        "noplaylist": True,
        "playlist_items": "1",
        "max_filesize": request.max_bytes,
        "nopart": True,
        "continuedl": False,
        "cachedir": False,
        # Not that of the environment either.
        "proxy": "",
        "usenetrc": False,
        "enable_file_urls": False,
        "ffmpeg_location": os.devnull,
        "fixup": "never",
        "postprocessors": [],
        "js_runtimes": {},
        "retries": 1,
        "extractor_retries": 1,
        "socket_timeout": 20,
        "quiet": True,
        "no_warnings": True,
        "noprogress": True,
        "logger": _Silent(),
        "color": "never",
    }


class _Silent:
    """What yt-dlp says may hold the address, and with it secrets."""

    def debug(self, message: str) -> None: ...
    def warning(self, message: str) -> None: ...
    def error(self, message: str) -> None: ...


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(Request(**json.loads(sys.argv[1])))))
