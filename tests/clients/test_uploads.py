"""Uploads and imports over real connections, which break."""

import hashlib
import io
import os
from pathlib import Path
from typing import Any

import pytest
from stemwright import Client, ConnectionFailed, Unprocessable, UploadFailed

from jobs.models import Asset, Ingest
from tests.clients.proxy import Fault, Proxy
from tests.fakes.http import says

MB = 1024**2


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def n_sent(proxy: Proxy) -> int:
    return sum(int(call.headers["content-length"]) for call in proxy.called("PATCH", "/v1/uploads"))


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stemwright.uploads.CHUNK_BYTES", MB)


def test_a_small_file_takes_one_call(client: Client, song: Path):
    seen: list[tuple[int, int]] = []
    asset = client.assets.upload(
        song, filename="Take 1.wav", on_progress=lambda done, total: seen.append((done, total))
    )
    size = song.stat().st_size
    assert (asset.filename, asset.sha256, asset.more) == ("Take 1.wav", sha256(song), {})
    assert seen == [(0, size), (size, size)]
    assert not Ingest.objects.exists()
    assert [one.id for one in client.assets.list()] == [asset.id]
    assert client.assets.get(asset.id) == asset
    client.assets.delete(asset.id)
    assert list(client.assets.list()) == []


def test_a_large_file_comes_in_pieces(
    client: Client, worker: None, long_song: Path, small_pieces: None
):
    seen: list[int] = []
    asset = client.assets.upload(long_song, on_progress=lambda done, total: seen.append(done))
    assert (asset.filename, asset.sha256) == ("long song.wav", sha256(long_song))
    assert (asset.size_bytes, asset.duration_s) == (long_song.stat().st_size, 30.0)
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (0, long_song.stat().st_size)
    (upload,) = client.uploads.list()
    assert (upload.state, upload.asset) == ("ready", asset)


@pytest.mark.parametrize("is_seekable", [True, False])
def test_open_files_are_sent_too(client: Client, worker: None, long_song: Path, is_seekable: bool):
    class Source(io.BytesIO):
        def seekable(self) -> bool:
            return is_seekable

    asset = client.assets.upload(Source(long_song.read_bytes()), filename="a.wav")
    assert (asset.filename, asset.sha256) == ("a.wav", sha256(long_song))


def test_a_broken_connection_costs_only_what_was_under_way(
    through: Client, proxy: Proxy, worker: None, long_song: Path, small_pieces: None
):
    proxy.will(
        "PATCH",
        "/v1/uploads",
        Fault(),
        Fault(cut_request_after=MB // 2),
        Fault(status=502),
        Fault(status=503, is_passed_on=False),
        Fault(cut_answer_after=0),
    )
    asset = through.assets.upload(long_song)
    assert asset.sha256 == sha256(long_song)
    # Half a piece was lost on its way and one never passed on; nothing else was sent twice.
    assert n_sent(proxy) == long_song.stat().st_size + MB // 2 + MB


def test_an_upload_goes_on_in_another_process(
    through: Client,
    proxy: Proxy,
    key: str,
    worker: None,
    long_song: Path,
    tmp_path: Path,
    small_pieces: None,
):
    gone = [Fault(is_passed_on=False)] * 99
    proxy.will("PATCH", "/v1/uploads", Fault(), Fault(), *gone)
    with pytest.raises(ConnectionFailed):
        through.assets.upload(long_song, resume_dir=tmp_path / "memory")
    (upload,) = through.uploads.list()
    assert (upload.state, upload.received_bytes) == ("receiving", 2 * MB)
    before = len(proxy.calls)
    with Proxy(f"http://{proxy.target.netloc}").running() as healthy:
        # The same service by the same address, as it is after a while.
        proxy._faults.clear()
        with Client(key, proxy.url) as another:
            asset = another.assets.upload(long_song, resume_dir=tmp_path / "memory")
        assert healthy.calls == []
    assert asset.sha256 == sha256(long_song)
    sent = [call for call in proxy.calls[before:] if call.method == "PATCH"]
    assert [int(call.headers["upload-offset"]) for call in sent][0] == 2 * MB
    assert Ingest.objects.count() == 1
    assert list((tmp_path / "memory").iterdir()) == []


@pytest.mark.parametrize("change", ["content", "cancelled"])
def test_an_upload_that_cannot_go_on_begins_anew(
    through: Client,
    proxy: Proxy,
    worker: None,
    long_song: Path,
    tmp_path: Path,
    small_pieces: None,
    change: str,
):
    memory = tmp_path / "memory"
    proxy.will("PATCH", "/v1/uploads", Fault(), *[Fault(is_passed_on=False)] * 99)
    with pytest.raises(ConnectionFailed):
        through.assets.upload(long_song, resume_dir=memory)
    proxy._faults.clear()
    if change == "content":
        content = bytearray(long_song.read_bytes())
        content[3 * MB] ^= 255
        long_song.write_bytes(content)
        # Even if the clock of its file system is coarse.
        os.utime(long_song, ns=(1, 1))
    else:
        through.uploads.cancel(next(through.uploads.list()).id)
    asset = through.assets.upload(long_song, resume_dir=memory)
    assert asset.sha256 == sha256(long_song)
    assert Ingest.objects.count() == 2


def test_what_is_no_recording_is_refused(client: Client, worker: None, tmp_path: Path):
    path = tmp_path / "notes.txt"
    path.write_bytes(b"la la la\n" * 9)
    with pytest.raises(Unprocessable) as small:
        client.assets.upload(path)
    assert small.value.code == "unsupported_media"
    path.write_bytes(b"la la la\n" * 600_000)
    with pytest.raises(UploadFailed) as large:
        client.assets.upload(path, resume_dir=tmp_path / "memory")
    assert large.value.code == "unsupported_media"
    assert list((tmp_path / "memory").iterdir()) == []
    assert not Asset.objects.exists()


def test_a_recording_is_fetched(client: Client, worker: None, media_server: Any):
    found = client.imports.create(f"{media_server.url}/song.wav", filename="b.wav")
    assert found.state == "waiting"
    asset = client.imports.wait(found.id)
    assert (asset.filename, asset.duration_s) == ("b.wav", 0.2)
    assert [one.state for one in client.imports.list()] == ["ready"]
    media_server.answer = says("404 Not Found")
    with pytest.raises(UploadFailed) as failed:
        client.imports.wait(client.imports.create(f"{media_server.url}/gone.wav").id)
    assert failed.value.code == "bad_answer"
    with pytest.raises(Unprocessable) as refused:
        client.imports.create("http://127.0.0.1:9/a.wav")
    assert refused.value.code == "address_not_allowed"
