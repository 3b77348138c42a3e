"""Imports from video sites, with yt-dlp itself; skipped where that extra is not installed."""

import ipaddress
import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from config.errors import AddressRefused
from jobs import videos
from jobs.heartbeat import Heartbeat
from jobs.importing import import_create
from jobs.ingesting import run_next_ingest
from jobs.models import Asset, IngestState
from jobs.outbound import OutboundFailed
from jobs.video_child import Guard
from jobs.videos import video_download
from tests.fakes.http import Server, says
from tests.jobs import fake_video_site
from tests.makers import make_wav

WAV = make_wav(seconds=0.2)


class Site:
    """Pages under /watch/, files under /file/."""

    def __init__(self) -> None:
        self.page: dict[str, Any] = {}
        self.file = says("200 OK", "Content-Type: audio/wav", body=WAV)
        self.server = Server(self.answer)

    @property
    def url(self) -> str:
        return f"{self.server.url}/watch/1"

    def answer(self, connection: socket.socket) -> None:
        path = self.server.requests[-1].split()[1]
        page = json.dumps({"url": f"{self.server.url}/file/1", **self.page}).encode()
        is_page = path.startswith(b"/watch/")
        (says("200 OK", body=page) if is_page else self.file)(connection)


@pytest.fixture
def site(settings: Any, monkeypatch: Any) -> Iterator[Site]:
    pytest.importorskip("yt_dlp")
    site = Site()
    with site.server.running() as server:
        settings.VIDEO_IMPORTS, settings.VIDEO_EXTRACTORS = True, ["Vimeo", "FakeSite"]
        settings.OUTBOUND_PORTS = [server.port]
        settings.OUTBOUND_ALLOW = [ipaddress.ip_network("127.0.0.1/32")]
        monkeypatch.setattr(videos, "_module", lambda: fake_video_site.__name__)
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        yield site


@pytest.fixture
def inner(site: Site, settings: Any) -> Iterator[Server]:
    """A server in a network that is not open, on a port that is."""
    with Server(says("200 OK", body=WAV), host="127.0.0.2").running() as inner:
        settings.OUTBOUND_PORTS = [site.server.port, inner.port]
        yield inner


def fetch(site: Site, folder: Path, **values: Any) -> Any:
    values = {"path": folder / "recording", "on_tick": lambda: None, **values}
    return video_download(site.url, **values)


def test_the_sound_of_a_video_is_fetched(site: Site, tmp_path: Path):
    downloaded = fetch(site, tmp_path)
    assert (downloaded.filename, downloaded.size_bytes) == ("A talk: 1-2.wav", len(WAV))
    assert (tmp_path / "recording").read_bytes() == WAV


@pytest.mark.django_db
def test_it_is_a_way_of_importing(alice: Any, site: Site, monkeypatch: Any):
    monkeypatch.setattr(Heartbeat, "_beat", lambda self: None)
    watched = import_create(workspace=alice, api_key=None, url=site.url)
    direct = import_create(workspace=alice, api_key=None, url=f"{site.server.url}/file/a.wav")
    for ingest, name in ((watched, "A talk: 1-2.wav"), (direct, "a.wav")):
        assert run_next_ingest()
        ingest.refresh_from_db()
        assert (ingest.state, ingest.filename) == (IngestState.READY, name)
    assert [asset.n_samples for asset in Asset.objects.all()] == [8820, 8820]


def test_only_extractors_on_the_list_exist(site: Site, settings: Any, tmp_path: Path):
    settings.VIDEO_EXTRACTORS = ["Vimeo", "generic", "Generic", "NoSuchSite"]
    assert fetch(site, tmp_path) is None
    assert site.server.n_connections == 0
    # Nor can one that is on it hand over to another.
    settings.VIDEO_EXTRACTORS = ["FakeSite"]
    site.page = {"elsewhere": f"{site.server.url}/file/1"}
    with pytest.raises(OutboundFailed):
        fetch(site, tmp_path / "media")
    assert site.server.n_connections == 1


def test_it_is_off_by_default(site: Site, settings: Any, tmp_path: Path):
    settings.VIDEO_IMPORTS = False
    assert fetch(site, tmp_path) is None
    assert site.server.n_connections == 0


@pytest.mark.parametrize("host", ["127.0.0.2", "0x7f000002", "127.2", "[::ffff:127.0.0.2]"])
def test_a_file_at_a_forbidden_address(site: Site, inner: Server, tmp_path: Path, host: str):
    site.page = {"url": f"http://{host}:{inner.port}/"}
    with pytest.raises(AddressRefused):
        fetch(site, tmp_path)
    assert (site.server.n_connections, inner.n_connections) == (1, 0)


def test_a_redirect_to_a_forbidden_address(site: Site, inner: Server, tmp_path: Path):
    site.file = says("302 Found", f"Location: {inner.url}/")
    with pytest.raises(AddressRefused):
        fetch(site, tmp_path)
    assert inner.n_connections == 0


@pytest.mark.parametrize(
    "page",
    [
        {"program": "/bin/true"},
        {"url": "file:///etc/hostname"},
        {"url": "ftp://127.0.0.1/a.wav"},
        {"protocol": "m3u8_native"},
        {"protocol": "rtmp"},
    ],
)
def test_what_takes_another_program_or_protocol_fails(
    site: Site, tmp_path: Path, page: dict[str, Any]
):
    site.page = page
    with pytest.raises((OutboundFailed, AddressRefused)):
        fetch(site, tmp_path)
    assert not (tmp_path / "recording").exists()


@pytest.mark.parametrize("header", [[], ["Transfer-Encoding: chunked"]])
def test_a_file_that_is_too_large(site: Site, settings: Any, tmp_path: Path, header: list[str]):
    settings.UPLOAD_MAX_BYTES = 10_000
    body = b"ffff\r\n" + bytes(0xFFFF) + b"\r\n0\r\n\r\n" if header else bytes(20_000)
    site.file = says("200 OK", *header, body=body)
    with pytest.raises(OutboundFailed) as caught:
        fetch(site, tmp_path)
    assert (caught.value.code, caught.value.is_permanent) == ("too_large", True)


def test_whoever_waits_may_stop(site: Site, tmp_path: Path):
    site.file = lambda connection: bool(site.server.stopping.wait())  # type: ignore[assignment]

    def stop() -> None:
        if site.server.n_connections == 2:
            raise KeyError("enough")

    with pytest.raises(KeyError):
        fetch(site, tmp_path, on_tick=stop)


@pytest.mark.parametrize(
    ("event", "arguments", "is_refused"),
    [
        ("socket.connect", (None, ("93.184.216.34", 443)), False),
        ("socket.connect", (None, ("2606:4700::1111", 443, 0, 0)), False),
        ("socket.connect", (None, ("93.184.216.34", 22)), True),
        ("socket.connect", (None, ("127.0.0.1", 443)), True),
        ("socket.connect", (None, ("::ffff:127.0.0.1", 443, 0, 0)), True),
        # A name would be looked up only after this.
        ("socket.connect", (None, ("example.org", 443)), True),
        ("socket.connect", (None, "/var/run/docker.sock"), True),
        ("socket.connect", (None, b"/var/run/docker.sock"), True),
        ("socket.sendto", (None, ("93.184.216.34", 53)), True),
        ("subprocess.Popen", ("ls",), True),
        ("os.posix_spawn", ("ls",), True),
        ("os.fork", (), True),
        ("socket.getaddrinfo", ("example.org", 443, 0, 0, 0), False),
        ("open", ("/etc/hosts", "r", 0), False),
    ],
)
def test_the_guard(event: str, arguments: tuple[Any, ...], is_refused: bool):
    guard = Guard([], [])
    refused: Callable[[], None] = lambda: guard(event, arguments)  # noqa: E731
    if is_refused:
        with pytest.raises(PermissionError):
            refused()
    else:
        refused()
    assert guard.has_refused == (is_refused and event == "socket.connect")
