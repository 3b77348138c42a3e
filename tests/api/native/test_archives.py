"""All outputs as one zip."""

import io
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.test import Client

from jobs.archives import archive_get_for_workspace
from jobs.models import Asset, Job
from jobs.services import asset_delete, job_delete
from jobs.storage import storage_open, storage_save
from tests.makers import make_asset, make_job, run_jobs

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_beats")]


@pytest.fixture
def job(alice: Any, tmp_path: Path, fake_separation: list[Any]) -> Job:
    asset = make_asset(alice, tmp_path, name='A "b" ü.mp3', seconds=0.5)
    job = make_job(alice, asset, stems=("vocals", "drums"))
    run_jobs()
    return job


def content(response: Any) -> bytes:
    return b"".join(response.streaming_content)


def opened(response: Any) -> zipfile.ZipFile:
    assert response.status_code == 200
    body = content(response)
    assert response.headers["Content-Length"] == str(len(body))
    assert response.headers["Content-Type"] == "application/zip"
    archive = zipfile.ZipFile(io.BytesIO(body))
    assert archive.testzip() is None
    return archive


def stored(stem: str) -> bytes:
    with storage_open(key=Asset.objects.get(stem=stem).storage_key) as handle:
        return handle.read()


def test_it_holds_all_that_was_made(alice_client: Client, job: Job):
    response = alice_client.get(f"/v1/jobs/{job.uuid}/archive")
    archive = opened(response)
    assert archive.namelist() == ["A _b_ ü (vocals).wav", "A _b_ ü (drums).wav"]
    assert archive.read("A _b_ ü (vocals).wav") == stored("vocals")
    assert archive.read("A _b_ ü (drums).wav") == stored("drums")
    assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
    disposition = response.headers["Content-Disposition"]
    assert disposition == "attachment; filename*=utf-8''A%20_b_%20%C3%BC.zip"
    assert response.headers["Cache-Control"] == "private, no-store"


def test_the_job_has_a_link_that_needs_no_key(client: Client, alice_client: Client, job: Job):
    link = alice_client.get(f"/v1/jobs/{job.uuid}").json()["archive_url"]
    path = link.removeprefix("http://testserver")
    assert path.startswith("/v1/archives/")
    assert len(opened(client.get(path)).namelist()) == 2
    head = client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["Content-Length"]) > 2 * 44_100
    with time_machine.travel("2100-01-01"):
        assert client.get(path).status_code == 404
    assert client.get(path[:-1] + ("a" if path[-1] != "a" else "b")).status_code == 404
    # It opens this and nothing else.
    assert client.get(path.replace("archives", "downloads")).status_code == 404


def test_it_holds_what_is_still_kept(alice: Any, alice_client: Client, client: Client, job: Job):
    path = f"/v1/jobs/{job.uuid}"
    link = alice_client.get(path).json()["archive_url"].removeprefix("http://testserver")
    asset_delete(workspace=alice, asset_uuid=Asset.objects.get(stem="vocals").uuid)
    assert opened(client.get(link)).namelist() == ["A _b_ ü (drums).wav"]
    asset_delete(workspace=alice, asset_uuid=Asset.objects.get(stem="drums").uuid)
    for address in (link, f"{path}/archive"):
        response = alice_client.get(address)
        assert (response.status_code, response.json()["error"]["code"]) == (404, "not_found")
    assert alice_client.get(path).json()["archive_url"] is None
    job_delete(workspace=alice, job_uuid=job.uuid)
    assert client.get(link).status_code == 404


def test_a_job_that_has_not_succeeded_has_none(alice: Any, alice_client: Client, job: Job):
    waiting = make_job(alice, job.recording)
    assert alice_client.get(f"/v1/jobs/{waiting.uuid}").json()["archive_url"] is None
    response = alice_client.get(f"/v1/jobs/{waiting.uuid}/archive")
    assert (response.status_code, response.json()["error"]["code"]) == (409, "wrong_state")


def test_it_is_for_its_workspace_only(charlie_client: Client, client: Client, job: Job):
    path = f"/v1/jobs/{job.uuid}/archive"
    assert (charlie_client.get(path).status_code, client.get(path).status_code) == (404, 401)


def test_names_stay_apart_and_inside(alice: Any, alice_client: Client, job: Job):
    names = ["../../etc/a.wav", "..\\..\\ETC\\A.wav"]
    for asset, name in zip(Asset.objects.filter(job=job).order_by("pk"), names, strict=True):
        Asset.objects.filter(pk=asset.pk).update(filename=name)
    found = opened(alice_client.get(f"/v1/jobs/{job.uuid}/archive")).namelist()
    assert found == ["_.._etc_a.wav", "_.._ETC_A (2).wav"]
    Asset.objects.filter(job=job).update(filename="..")
    found = opened(alice_client.get(f"/v1/jobs/{job.uuid}/archive")).namelist()
    assert found == ["file", "file (2)"]


def test_it_takes_little_memory_and_opens_one_file_at_a_time(
    alice: Any, job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    large = tmp_path / "large"
    with large.open("wb") as handle:
        handle.truncate(64 * 2**20)
    for asset in Asset.objects.filter(job=job):
        storage_save(key=asset.storage_key, path=large)
    Asset.objects.filter(job=job).update(size_bytes=64 * 2**20)
    is_open: list[Any] = []

    def open_counted(*, key: str) -> Any:
        assert all(handle.closed for handle in is_open)
        is_open.append(storage_open(key=key))
        return is_open[-1]

    monkeypatch.setattr("jobs.archives.storage_open", open_counted)
    archive = archive_get_for_workspace(workspace=alice, job_uuid=job.uuid)
    assert is_open == []
    tracemalloc.start()
    length = sum(len(block) for block in archive.content)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (length, len(is_open)) == (archive.size_bytes, 2)
    assert peak < 4 * 2**20


def test_a_receiver_who_leaves_lets_go_of_the_file(
    alice: Any, job: Job, monkeypatch: pytest.MonkeyPatch
):
    is_open: list[Any] = []

    def open_counted(*, key: str) -> Any:
        is_open.append(storage_open(key=key))
        return is_open[-1]

    monkeypatch.setattr("jobs.archives.storage_open", open_counted)
    archive = archive_get_for_workspace(workspace=alice, job_uuid=job.uuid)
    # The header of the first file, then a part of it.
    blocks = iter(archive.content)
    next(blocks), next(blocks)
    assert [handle.closed for handle in is_open] == [False]
    archive.content.close()
    assert [handle.closed for handle in is_open] == [True]
