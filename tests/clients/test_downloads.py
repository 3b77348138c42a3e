"""Files that arrive whole or not at all."""

import zipfile
from pathlib import Path
from typing import Any

import pytest
from stemwright import ChecksumMismatch, Client, ConnectionFailed, Job, NotFound, Output
from stemwright._downloads import safe_name

from jobs.models import Asset
from tests.clients.proxy import Fault, Proxy


@pytest.fixture
def job(through: Client, worker: None, song: Path) -> Job:
    asset = through.assets.upload(song)
    return through.jobs.wait(through.jobs.create(asset=asset.id, stems=["vocals"]).id)


@pytest.fixture
def output(job: Job) -> Output:
    return job.outputs[0]


def ranges(proxy: Proxy) -> list[str | None]:
    return [call.headers.get("range") for call in proxy.called("GET", "/v1/downloads")]


def test_a_broken_download_goes_on_where_it_broke(
    through: Client, proxy: Proxy, output: Output, tmp_path: Path, pauses: list[float]
):
    proxy.will(
        "GET",
        "/v1/downloads",
        Fault(cut_answer_after=1000),
        Fault(status=503),
        Fault(cut_answer_after=500),
    )
    seen: list[int] = []
    target = tmp_path / "new" / "vocals.wav"
    assert through.download(output, target, on_progress=lambda done, _: seen.append(done)) == target
    assert ranges(proxy) == [None, "bytes=1000-", "bytes=1000-", "bytes=1500-"]
    assert len(pauses) == 3
    assert target.stat().st_size == output.size_bytes
    assert seen == sorted(seen)
    assert seen[-1] == output.size_bytes
    assert [path.name for path in target.parent.iterdir()] == ["vocals.wav"]
    # Whoever has the link can have the file: the key stays here.
    (call, *_) = proxy.called("GET", "/v1/downloads")
    assert "x-api-key" not in call.headers


def test_a_download_goes_on_in_another_process(
    through: Client, proxy: Proxy, output: Output, tmp_path: Path
):
    gone = [Fault(is_passed_on=False)] * 4
    proxy.will("GET", "/v1/downloads", Fault(cut_answer_after=1000), *gone)
    with pytest.raises(ConnectionFailed):
        through.download(output, tmp_path / "a.wav")
    assert not (tmp_path / "a.wav").exists()
    through.download(output, tmp_path / "a.wav")
    assert ranges(proxy)[-1] == "bytes=1000-"
    assert (tmp_path / "a.wav").stat().st_size == output.size_bytes


def test_what_an_earlier_run_left_broken_is_fetched_again(
    through: Client, proxy: Proxy, output: Output, tmp_path: Path
):
    (tmp_path / f"a.wav.{output.sha256[:12]}.part").write_bytes(b"x" * 1000)
    through.download(output, tmp_path / "a.wav")
    assert ranges(proxy) == ["bytes=1000-", None]
    assert [path.name for path in tmp_path.glob("a.wav*")] == ["a.wav"]


def test_what_is_not_what_was_made_is_not_kept(
    through: Client, output: Output, tmp_path: Path, media_dir: Path
):
    stored = media_dir / Asset.objects.get(uuid=output.id).storage_key
    content = bytearray(stored.read_bytes())
    content[-1] ^= 1
    stored.write_bytes(content)
    with pytest.raises(ChecksumMismatch):
        through.download(output, tmp_path / "a.wav")
    assert list(tmp_path.glob("a.wav*")) == []


def test_an_expired_link_is_replaced(through: Client, proxy: Proxy, job: Job, tmp_path: Path):
    refused = Fault(status=404)
    proxy.will("GET", "/v1/downloads", refused)
    (path,) = through.jobs.download(job, tmp_path / "out").values()
    assert path.stat().st_size == job.outputs[0].size_bytes
    proxy.will("GET", "/v1/downloads", refused, refused)
    with pytest.raises(NotFound):
        through.jobs.download(job.id, tmp_path / "out")


def test_an_archive_that_breaks_begins_anew(
    through: Client, proxy: Proxy, job: Job, tmp_path: Path, pauses: list[float]
):
    assert job.archive_url is not None
    broken = Fault(cut_answer_after=500)
    proxy.will("GET", f"/v1/jobs/{job.id}/archive", broken, Fault(status=502))
    path = through.jobs.download_archive(job.id, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["song.zip"]
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["song (vocals).wav"]
    assert len(pauses) == 2
    proxy.will("GET", f"/v1/jobs/{job.id}/archive", *[broken] * 4)
    with pytest.raises(ConnectionFailed):
        through.jobs.download_archive(job.id, tmp_path / "none")
    assert list((tmp_path / "none").iterdir()) == []


@pytest.mark.parametrize(
    ("filename", "name"),
    [
        ("song (vocals).wav", "song (vocals).wav"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("..", "output"),
        ("a\x1b[2J\\b:c.wav", "a_[2J_b_c.wav"),
        ("", "output"),
    ],
)
def test_names_stay_in_their_folder(filename: str, name: str):
    assert safe_name(filename) == name


def test_files_of_the_same_name_do_not_overwrite_each_other(
    through: Client, job: Job, tmp_path: Path
):
    from dataclasses import replace

    other = replace(job.outputs[0], id="12345678-aaaa", filename=job.outputs[0].filename.upper())
    twice: Any = replace(job, outputs=[job.outputs[0], other])
    paths = through.jobs.download(twice, tmp_path / "out")
    assert len({str(path).casefold() for path in paths.values()}) == 2
