"""The guarded client. Whatever must not be reached leads to a listener that counts connections."""

import gzip
import ipaddress
import socket
from pathlib import Path
from typing import Any

import pytest

from config.errors import AddressRefused
from jobs import outbound_network
from jobs.outbound import (
    Downloaded,
    OutboundFailed,
    outbound_check,
    outbound_post,
)
from tests.fakes.http import Server, says
from tests.jobs.outbound_steps import PUBLIC, download, names, post

FORBIDDEN = [
    "http://127.0.0.1:{port}/",
    "http://127.1:{port}/",
    "http://127.0.1:{port}/",
    "http://127.255.255.254:{port}/",
    "http://127.0.0.1.:{port}/",
    "http://0:{port}/",
    "http://0.0.0.0:{port}/",
    "http://00000000:{port}/",
    "http://2130706433:{port}/",
    "http://017700000001:{port}/",
    "http://0177.0.0.1:{port}/",
    "http://0177.0.0.01:{port}/",
    "http://0x7f000001:{port}/",
    "http://0x7f.0.0.1:{port}/",
    "http://0x7F.0x0.0x0.0x1:{port}/",
    "http://0x7f.1:{port}/",
    "http://127.0.0.0x1:{port}/",
    "http://4294967297:{port}/",
    "http://localhost:{port}/",
    "http://LOCALHOST:{port}/",
    "http://LocalHost.:{port}/",
    "http://a.localhost:{port}/",
    "http://[::1]:{port}/",
    "http://[0:0:0:0:0:0:0:1]:{port}/",
    "http://[::]:{port}/",
    "http://[::127.0.0.1]:{port}/",
    "http://[::7f00:1]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[::ffff:7f00:1]:{port}/",
    "http://[::ffff:0:127.0.0.1]:{port}/",
    "http://[64:ff9b::127.0.0.1]:{port}/",
    "http://[64:ff9b::7f00:1]:{port}/",
    "http://[64:ff9b:1::7f00:1]:{port}/",
    "http://[2002:7f00:1::]:{port}/",
    "http://[2001:0:7f00:1::]:{port}/",
    "http://[2001::1]:{port}/",
    "http://[fe80::1]:{port}/",
    "http://[fe80::1%25lo]:{port}/",
    "http://[::1%25lo]:{port}/",
    "http://[fec0::1]:{port}/",
    "http://[fc00::1]:{port}/",
    "http://[fd00:ec2::254]:{port}/",
    "http://[ff02::1]:{port}/",
    "http://[100::1]:{port}/",
    "http://user@127.0.0.1:{port}/",
    "http://user:secret@127.0.0.1:{port}/",
    "http://example.org@127.0.0.1:{port}/",
    "http://example.org:80@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}@example.org/",
    "http://a@b@127.0.0.1:{port}/",
    "http://@127.0.0.1:{port}/",
    "http://127.0.0.1%2f:{port}/",
    "http://%31%32%37.0.0.1:{port}/",
    "http://127%2e0.0.1:{port}/",
    "http://１２７.0.0.1:{port}/",
    "http://①②⑦.0.0.1:{port}/",
    "http://127。0。0。1:{port}/",
    "http://127．0．0．1:{port}/",
    "http://ｌｏｃａｌｈｏｓｔ:{port}/",
    "http://127.0.0.1\t:{port}/",
    "http://127.0.0.1\n:{port}/",
    "http://127.0.0.1 :{port}/",
    " http://127.0.0.1:{port}/",
    "http://example.org\\@127.0.0.1:{port}/",
    "http:\\\\127.0.0.1:{port}\\",
    "http://127.0.0.1\x00.example.org:{port}/",
    "http:127.0.0.1:{port}/",
    "http:///127.0.0.1:{port}/",
    "//127.0.0.1:{port}/",
    "HTTP://127.0.0.1:{port}/",
    "http://169.254.169.254:{port}/latest/meta-data/",
    "http://[::ffff:169.254.169.254]:{port}/",
    "http://100.100.100.200:{port}/",
    "http://192.0.0.192:{port}/",
    "http://168.63.129.16:{port}/",
    "http://10.0.0.1:{port}/",
    "http://172.16.0.1:{port}/",
    "http://192.168.1.1:{port}/",
    "http://224.0.0.1:{port}/",
    "http://255.255.255.255:{port}/",
    "ftp://127.0.0.1:{port}/",
    "file:///etc/passwd?{port}",
    "gopher://127.0.0.1:{port}/",
    "http://127.0.0.1:0/",
    "http://127.0.0.1:-{port}/",
    "http://127.0.0.1:{port}{port}{port}/",
    "http://127.0.0.1:22/",
    "http://:{port}/",
    "http://" + "a." * 1000 + "example:{port}/",
    "",
]


@pytest.mark.parametrize("spelling", FORBIDDEN)
def test_no_spelling_reaches_a_forbidden_address(server: Server, tmp_path: Path, spelling: str):
    url = spelling.format(port=server.port)
    with pytest.raises(AddressRefused) as checked:
        outbound_check(url)
    with pytest.raises(AddressRefused):
        post(url)
    with pytest.raises(AddressRefused):
        download(url, tmp_path)
    assert (server.n_connections, list(tmp_path.iterdir())) == (0, [tmp_path / "media"])
    # Whatever the reason, the words are the same.
    error = checked.value
    assert (error.code, error.status) == ("address_not_allowed", 422)
    assert error.text == "This address cannot be used; give a public http or https address."


@pytest.mark.parametrize(
    "answer",
    [
        ["127.0.0.1"],
        [PUBLIC, "127.0.0.1"],
        ["127.0.0.1", PUBLIC],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["169.254.169.254"],
        ["fe80::1%lo"],
        [],
    ],
)
def test_a_name_is_what_it_leads_to(
    server: Server, monkeypatch: Any, no_way_out: list[Any], answer: list[str]
):
    asked = names(monkeypatch, answer)
    url = f"http://media.example.org:{server.port}/a.wav"
    outbound_check(url)  # asks nobody
    assert asked == []
    with pytest.raises(AddressRefused):
        post(url)
    assert (asked, no_way_out, server.n_connections) == (["media.example.org"], [], 0)


def test_names_of_the_systems_own_lead_to_loopback_too(server: Server, tmp_path: Path):
    assert socket.getaddrinfo("localhost", server.port)  # the real resolver
    deadline = outbound_network.Deadline(5, lambda: None)
    backend = outbound_network.GuardedBackend(opened=[], deadline=deadline, max_read_bytes=10)
    for host in ("localhost", "127.1", "0x7f000001", "2130706433", "0", "::ffff:127.0.0.1"):
        with pytest.raises(AddressRefused):
            backend.connect_tcp(host, server.port)
    assert server.n_connections == 0


def test_a_name_is_resolved_once_and_its_address_is_connected_to(
    server: Server, monkeypatch: Any, no_way_out: list[Any]
):
    asked = names(monkeypatch, [PUBLIC], ["127.0.0.1"])
    url = f"http://rebinding.example.org:{server.port}/"
    with pytest.raises(OutboundFailed) as caught:
        post(url)
    assert caught.value.code == "connection_failed"
    # The literal address, so that nobody asks again what the name means.
    assert (asked, no_way_out) == (["rebinding.example.org"], [(PUBLIC, server.port)])
    with pytest.raises(AddressRefused):
        post(url)
    assert (len(asked), len(no_way_out), server.n_connections) == (2, 1, 0)


def test_who_was_reached_is_looked_at_too(server: Server, monkeypatch: Any):
    names(monkeypatch, [PUBLIC])
    real = socket.create_connection
    monkeypatch.setattr(
        socket,
        "create_connection",
        lambda address, timeout: real(("127.0.0.1", server.port), timeout),
    )
    with pytest.raises(AddressRefused):
        post(f"http://example.org:{server.port}/")
    assert server.requests == [] or server.requests == [b""]


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1:{port}/",
        "//localhost:{port}/",
        "http://2130706433:{port}/",
        "http://[::ffff:7f00:1]:{port}/",
        "http://user@example.org:{port}/",
        "file:///etc/passwd",
        "http://example.org:22/",
        "http:////]",
        "//[",
    ],
)
def test_a_redirect_is_checked_as_the_first_address(
    server: Server, settings: Any, monkeypatch: Any, tmp_path: Path, target: str
):
    """The first server is at an address that is open, the target on the rest of loopback."""
    settings.OUTBOUND_ALLOW = [ipaddress.ip_network("127.0.0.2/32")]
    names(monkeypatch, ["127.0.0.2"], ["127.0.0.1"])
    location = f"Location: {target.format(port=server.port)}"
    with Server(says("302 Found", location), host="127.0.0.2").running() as first:
        settings.OUTBOUND_PORTS = [server.port, first.port]
        with pytest.raises(AddressRefused):
            download(f"http://first.example.org:{first.port}/", tmp_path)
    assert (first.n_connections, server.n_connections) == (1, 0)


def test_a_redirect_to_a_name_that_leads_to_loopback(
    server: Server, settings: Any, monkeypatch: Any, tmp_path: Path
):
    settings.OUTBOUND_ALLOW = [ipaddress.ip_network("127.0.0.2/32")]
    asked = names(monkeypatch, ["127.0.0.2"], ["127.0.0.1"])
    location = f"Location: http://second.example.org:{server.port}/"
    with Server(says("302 Found", location), host="127.0.0.2").running() as first:
        settings.OUTBOUND_PORTS = [server.port, first.port]
        with pytest.raises(AddressRefused):
            download(f"http://first.example.org:{first.port}/", tmp_path)
    assert asked == ["first.example.org", "second.example.org"]
    assert (first.n_connections, server.n_connections) == (1, 0)


def test_a_post_goes_out_as_it_is(opened: Server, monkeypatch: Any):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    opened.answer = says("201 Created", "X-Colour: red", "Set-Cookie: a=b", body=b"x" * 100_000)
    answer = outbound_post(
        f"{opened.url}/hook?a=%20b#part",
        content=b'{"a": 1}',
        headers={"Content-Type": "application/json", "webhook-id": "1"},
        total_s=5,
    )
    assert (answer.status_code, answer.headers["x-colour"]) == (201, "red")
    assert answer.body == b"x" * 65536
    head, _, body = opened.requests[0].partition(b"\r\n\r\n")
    assert body == b'{"a": 1}'
    assert sorted(head.decode().split("\r\n")) == sorted(
        [
            "POST /hook?a=%20b HTTP/1.1",
            "Content-Type: application/json",
            "webhook-id: 1",
            f"Host: 127.0.0.1:{opened.port}",
            "User-Agent: Stemwright/1",
            "Accept-Encoding: identity",
            "Connection: close",
            "Content-Length: 8",
        ]
    )


def test_a_post_follows_no_redirect(opened: Server):
    opened.answer = says("302 Found", f"Location: {opened.url}/elsewhere")
    assert post(opened.url).status_code == 302
    assert opened.n_connections == 1


def test_a_download_is_kept_with_what_is_known_of_it(opened: Server, tmp_path: Path):
    opened.answer = says(
        "200 OK",
        "Content-Type: audio/wav",
        'Content-Disposition: attachment; filename="../../my song.wav"',
        body=b"sound" * 100,
    )
    downloaded = download(f"{opened.url}/x", tmp_path)
    assert downloaded == Downloaded("my song.wav", "audio/wav", 500)
    assert (tmp_path / "file").read_bytes() == b"sound" * 100


@pytest.mark.parametrize(
    ("disposition", "path", "expected"),
    [
        ("", "/a/take%201.flac?key=1", "take 1.flac"),
        ("attachment; filename*=UTF-8''na%C3%AFve.mp3", "/x", "naïve.mp3"),
        ("attachment; filename*=nonsense''%ff.mp3", "/take.mp3", "ÿ.mp3"),
        (r'attachment; filename="C:\music\a.wav"', "/x", "a.wav"),
        ("attachment", "/", ""),
    ],
)
def test_a_download_has_a_plain_name(
    opened: Server, tmp_path: Path, disposition: str, path: str, expected: str
):
    opened.answer = says("200 OK", f"Content-Disposition: {disposition}", body=b"1")
    assert download(opened.url + path, tmp_path).filename == expected


def test_redirects_are_followed_three_times(opened: Server, tmp_path: Path):
    def answer(connection: socket.socket) -> None:
        n_left = int(opened.requests[-1].split()[1].decode().removeprefix("/"))
        found = says("302 Found", f"Location: {n_left - 1}", body=b"not this")
        (found if n_left else says("200 OK", body=b"this"))(connection)

    opened.answer = answer
    assert download(f"{opened.url}/3", tmp_path) == Downloaded("0", "", 4)
    assert (tmp_path / "file").read_bytes() == b"this"
    with pytest.raises(OutboundFailed) as caught:
        download(f"{opened.url}/4", tmp_path)
    assert (caught.value.code, caught.value.is_permanent) == ("too_many_redirects", True)
    assert opened.n_connections == 8


@pytest.mark.parametrize(
    ("status", "is_permanent"), [("404 Not Found", True), ("503 Busy", False), ("204 No", True)]
)
def test_only_a_file_is_a_download(opened: Server, tmp_path: Path, status: str, is_permanent: bool):
    opened.answer = says(status, body=b"" if "204" in status else b"page")
    with pytest.raises(OutboundFailed) as caught:
        download(opened.url, tmp_path)
    error = caught.value
    assert (error.code, error.status_code) == ("bad_answer", int(status[:3]))
    assert error.is_permanent is is_permanent


def _endless(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        connection.sendall(b"100\r\n" + b"x" * 256 + b"\r\n")


def _tiny_chunks(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        connection.sendall((b"1;" + b"x" * 1000 + b"\r\nx\r\n") * 100)


def _continuing(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (says("200 OK", "Content-Length: 1001"), "too_large"),
        (says("200 OK", body=b"x" * 1001), "too_large"),
        (_endless, "too_large"),
        (_tiny_chunks, "too_large"),
        (_continuing, "too_large"),
        (says("200 OK", "Content-Length: 100", body=b"half"), "bad_answer"),
        (says("200 OK", "Content-Length: -1"), "bad_answer"),
        (says("200 OK", "Content-Length: 1", "Content-Length: 2", body=b"xx"), "bad_answer"),
        (says("200 OK", "X: " + "x" * 200_000), "bad_answer"),
        (lambda connection: connection.sendall(b"SSH-2.0-x\r\n"), "bad_answer"),
        (lambda connection: None, "bad_answer"),
        (says("302 Found"), "bad_answer"),
        (
            says("200 OK", "Content-Encoding: gzip", body=gzip.compress(bytes(10**6))),
            "bad_answer",
        ),
    ],
)
def test_a_bad_server_is_given_up(opened: Server, tmp_path: Path, answer: Any, code: str):
    opened.answer = answer
    with pytest.raises(OutboundFailed) as caught:
        download(opened.url, tmp_path)
    assert caught.value.code == code


def test_more_than_announced_is_not_read(opened: Server, tmp_path: Path):
    opened.answer = says("200 OK", "Content-Length: 4", body=b"four and more")
    assert download(opened.url, tmp_path).size_bytes == 4
