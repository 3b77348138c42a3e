"""The server, and the service on it."""

import hashlib
import json
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import httpx
import pytest
import time_machine
from django.core.management.base import CommandError
from django.test import Client

from api.links import asset_link
from jobs.cleaning import has_files_to_clean, storage_clean
from jobs.heartbeat import Heartbeat
from jobs.leases import jobs_reap
from jobs.models import Asset, Deletion, Job
from jobs.services import asset_delete, job_delete
from jobs.storage import (
    StorageFailed,
    local_copy,
    storage_bucket,
    storage_delete,
    storage_delete_tree,
    storage_has,
    storage_open,
    storage_probe,
    storage_save,
)
from jobs.stores.bucket import BucketStore
from tests.makers import make_asset, make_job, run_command, run_jobs
from tests.servers.s3 import RealBucket, S3Server, bucket_make
from tests.storage.s3_checks import CHECKS

# One server for all files with such tests, where the processes of pytest-xdist heed it.
MIB = 1024 * 1024


@pytest.mark.parametrize("name", CHECKS)
def test_s3_check(s3_server: S3Server, name: str, request: pytest.FixtureRequest):
    checked = CHECKS[name]
    if checked.needs_strict_server and not s3_server.is_strict:
        pytest.skip("moto gets this wrong: only a real server can show it")
    if name == "checksum_is_echoed" and s3_server.is_strict:
        missing = "Ceph 16 does not know the newer checksums; the service uses none of them"
        request.applymarker(pytest.mark.xfail(strict=True, reason=missing, raises=KeyError))
    checked.check(bucket_make(s3_server))


@pytest.fixture(autouse=True)
def _no_beats(monkeypatch: pytest.MonkeyPatch) -> None:
    """They come on a connection of their own, which sees nothing of a test's transaction."""
    monkeypatch.setattr(Heartbeat, "_beat", lambda self: None)


@pytest.fixture
def versioned(bucket: RealBucket) -> RealBucket:
    bucket.client.put_bucket_versioning(
        Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"}
    )
    return bucket


@pytest.fixture
def strict_bucket(bucket: RealBucket) -> RealBucket:
    if not bucket.server.is_strict:
        pytest.skip("moto gets this wrong: only a real server can show it")
    return bucket


def follow(response: Any, method: str = "GET", **headers: str) -> httpx.Response:
    assert response.status_code == 302
    url = response.headers["Location"]
    return httpx.request(method, url, headers=headers, trust_env=False, timeout=30)


def save(key: str, content: bytes, folder: Path) -> Path:
    path = folder / "saved"
    path.write_bytes(content)
    storage_save(key=key, path=path)
    return path


@pytest.mark.django_db
def test_a_recording_lives_and_leaves_nothing(
    alice: Any,
    alice_client: Client,
    versioned: RealBucket,
    tmp_path: Path,
    media_dir: Path,
    fake_separation: list[Any],
):
    asset = make_asset(alice, tmp_path, name="Lied.wav")
    job = make_job(alice, asset, stems=("vocals", "drums"))
    assert run_jobs() == 1
    # What an attempt left that came to nothing, one of its uploads half done.
    save(f"jobs/{job.uuid}/0/vocals.wav", b"lost", tmp_path)
    versioned.client.create_multipart_upload(
        Bucket=versioned.name, Key=f"jobs/{job.uuid}/0/drums.wav"
    )
    while storage_clean():
        pass
    kept = [f"jobs/{job.uuid}/1/drums.wav", f"jobs/{job.uuid}/1/vocals.wav"]
    assert versioned.keys() == [*kept, f"uploads/{asset.uuid}"]
    assert list(media_dir.rglob("*")) == []

    outputs = alice_client.get(f"/v1/jobs/{job.uuid}").json()["outputs"]
    links = {output["stem"]: output["download_url"] for output in outputs}
    whole = follow(Client().get(links["vocals"])).content
    assert hashlib.sha256(whole).hexdigest() == outputs[0]["sha256"]

    job_delete(workspace=alice, job_uuid=job.uuid)
    asset_delete(workspace=alice, asset_uuid=asset.uuid)
    assert Client().get(links["vocals"]).status_code == 404
    while storage_clean():
        pass
    assert not has_files_to_clean()
    assert versioned.keys() == []
    deletions = Deletion.objects.order_by("pk")
    assert [deletion.reason for deletion in deletions] == ["request"] * 3
    assert [deletion.verified_at is not None for deletion in deletions] == [True] * 3
    assert set(Asset.objects.values_list("state", flat=True)) == {"purged"}


@pytest.fixture
def link(
    alice: Any,
    alice_client: Client,
    bucket: RealBucket,
    tmp_path: Path,
    fake_separation: list[Any],
) -> str:
    make_job(alice, make_asset(alice, tmp_path, name='A "b" ü.mp3'))
    run_jobs()
    (output,) = alice_client.get("/v1/jobs").json()["results"][0]["outputs"]
    return str(output["download_url"])


@pytest.mark.django_db
def test_a_download_is_sent_on_to_the_bucket(client: Client, link: str, bucket: RealBucket):
    stem = Asset.objects.get(stem="vocals")
    response = client.get(link)
    assert response.headers["Cache-Control"] == "private, no-store"
    full = follow(response)
    assert (full.status_code, len(full.content)) == (200, stem.size_bytes)
    assert full.headers["Content-Type"] == "audio/wav"
    expected = "attachment; filename*=utf-8''A%20%22b%22%20%C3%BC%20%28vocals%29.wav"
    assert full.headers["Content-Disposition"] == expected
    part = follow(client.get(link), Range="bytes=44-53")
    assert (part.status_code, part.content) == (206, full.content[44:54])
    assert part.headers["Content-Range"] == f"bytes 44-53/{stem.size_bytes}"
    # A client that is sent on keeps its method.
    if bucket.server.is_strict:
        head = follow(client.head(link), "HEAD")
        assert head.status_code == 200
        assert head.headers["Content-Length"] == str(stem.size_bytes)
    known = client.get(link, headers={"If-None-Match": f'"{stem.sha256}"'})
    assert known.status_code == 304


@pytest.mark.django_db
def test_no_signed_address_outlives_its_token(client: Client, link: str, settings: Any):
    def seconds() -> int:
        query = parse_qs(urlsplit(client.get(link).headers["Location"]).query)
        return int(query["X-Amz-Expires"][0])

    assert 3590 <= seconds() <= 3600
    settings.DOWNLOAD_URL_SECONDS = 60
    assert 50 <= seconds() <= 60
    settings.DOWNLOAD_URL_SECONDS = 100_000
    assert seconds() == 3600


@pytest.mark.django_db
def test_a_link_that_holds_for_days_is_signed_afresh_each_time(client: Client, link: str):
    stem = Asset.objects.get(stem="vocals")
    path = urlsplit(asset_link(stem, days=14)).path
    with time_machine.travel(datetime.now(UTC) + timedelta(days=13), tick=False):
        location = client.get(path).headers["Location"]
    query = parse_qs(urlsplit(location).query)
    assert int(query["X-Amz-Expires"][0]) == 3600


def test_a_file_is_read_from_any_place_on(bucket: RealBucket, tmp_path: Path):
    content = bytes(range(256)) * 20_000
    path = save("a", content, tmp_path)
    assert path.read_bytes() == content
    with storage_open(key="a") as handle:
        assert handle.read(10) == content[:10]
        for start in (4_999_990, 0, 1_234_567):
            handle.seek(start)
            assert handle.read(3_000_000) == content[start : start + 3_000_000]
        assert handle.seek(0, 2) == len(content)
        assert handle.read() == b""
        handle.seek(0)
        # Replaced by another: what is read must not be of both.
        save("a", b"x" * len(content), tmp_path)
        handle.seek(4_000_000)
        with pytest.raises(StorageFailed):
            handle.read(10)
    folder = tmp_path / "copy"
    folder.mkdir()
    with local_copy(key="a", folder=folder) as copy:
        assert copy.read_bytes() == b"x" * len(content)
    assert list(folder.iterdir()) == []


def test_a_large_file_goes_in_parts_and_is_never_in_memory(bucket: RealBucket, tmp_path: Path):
    if not bucket.server.is_strict:
        pytest.skip("moto runs in this process: its memory would be measured too")
    # Before it is measured: the client reads descriptions of some megabytes.
    save("a", b"small", tmp_path)
    path = tmp_path / "large"
    path.write_bytes(b"0123456789abcdef" * (33 * MIB // 16))
    tracemalloc.start()
    try:
        storage_save(key="a", path=path)
        with storage_open(key="a") as handle:
            handle.seek(32 * MIB)
            assert handle.read(16) == b"0123456789abcdef"
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 12 * MIB
    head = bucket.client.head_object(Bucket=bucket.name, Key="a")
    assert head["ContentLength"] == path.stat().st_size
    assert head["ETag"].endswith('-3"')
    assert bucket.keys() == ["a"]


def test_all_versions_go(versioned: RealBucket, tmp_path: Path):
    for content in (b"1", b"2", b"3"):
        save("a/1", content, tmp_path)
    save("a/10", b"other", tmp_path)
    versioned.client.delete_object(Bucket=versioned.name, Key="a/1")
    versioned.client.create_multipart_upload(Bucket=versioned.name, Key="a/1")
    assert versioned.keys() == [*["a/1"] * 4, "a/1 (unfinished)", "a/10"]
    with pytest.raises(FileNotFoundError):
        storage_open(key="a/1")
    # Nothing can be read, and yet something is left.
    assert storage_has(key="a/1")
    for _ in range(2):
        storage_delete(key="a/1")
        assert not storage_has(key="a/1")
    assert versioned.keys() == ["a/10"]


def test_a_tree_goes_but_for_what_is_kept(bucket: RealBucket, tmp_path: Path):
    for key in ("t/1/a", "t/1/b", "t/10/a", "t/a", "t2/a"):
        save(key, b"x", tmp_path)
    storage_delete_tree(prefix="t", keep="1")
    assert bucket.keys() == ["t/1/a", "t/1/b", "t2/a"]
    storage_delete_tree(prefix="t")
    assert bucket.keys() == ["t2/a"]


@pytest.mark.django_db
def test_what_nobody_knows_of_is_found_in_a_bucket(
    versioned: RealBucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("jobs.orphans._AGE", timedelta(days=-1))
    key = f"jobs/{uuid4()}/1/vocals.wav"
    save("notes", b"1", tmp_path)
    for content in (b"1", b"2"):
        save(key, content, tmp_path)
    versioned.client.delete_object(Bucket=versioned.name, Key=key)
    upload = f"uploads/{uuid4()}"
    versioned.client.create_multipart_upload(Bucket=versioned.name, Key=upload)
    assert run_command("storage_orphans", "--delete") == [
        key,
        upload,
        "Deleted 2 files that nobody knows of.",
    ]
    assert versioned.keys() == ["notes"]


@pytest.mark.django_db
def test_a_deletion_that_does_nothing_is_not_proven(
    alice: Any, bucket: RealBucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    asset = make_asset(alice, tmp_path)
    asset_delete(workspace=alice, asset_uuid=asset.uuid)
    with monkeypatch.context() as patch:
        patch.setattr(BucketStore, "_remove", lambda *_: None)
        assert storage_clean() == 0
    deletion = Deletion.objects.get()
    assert (deletion.removed_at, deletion.verified_at) == (None, None)
    assert Asset.objects.get().state == "deleted"
    assert has_files_to_clean()
    assert storage_clean() == 1
    assert Deletion.objects.get().verified_at is not None
    assert bucket.keys() == []


def test_errors_are_those_of_files(bucket: RealBucket, tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        storage_open(key="missing")
    with pytest.raises(FileNotFoundError), local_copy(key="missing", folder=tmp_path):
        pass
    storage_delete(key="missing")
    storage_delete_tree(prefix="missing")
    bucket.client.delete_bucket(Bucket=bucket.name)
    for call in (
        lambda: save("a", b"x", tmp_path),
        lambda: storage_delete(key="a"),
        lambda: storage_delete_tree(prefix="a"),
        lambda: storage_has(key="a"),
        storage_probe,
    ):
        with pytest.raises(StorageFailed):
            call()


@pytest.mark.django_db
def test_a_job_waits_for_storage_to_come_back(
    alice: Any,
    bucket: RealBucket,
    tmp_path: Path,
    settings: Any,
    fake_separation: list[Any],
):
    job = make_job(alice, make_asset(alice, tmp_path))
    good = settings.STORAGES
    options = {**good["default"]["OPTIONS"], "endpoint_url": "http://127.0.0.1:9"}
    settings.STORAGES = {**good, "default": {**good["default"], "OPTIONS": options}}
    run_jobs()
    job.refresh_from_db()
    assert (job.state, job.delays, job.losses) == ("queued", 1, 0)
    settings.STORAGES = good
    Job.objects.update(not_before=None)
    assert (jobs_reap(), run_jobs()) == (0, 1)
    job.refresh_from_db()
    assert (job.state, job.charged_mcr) == ("succeeded", job.price_mcr)


def test_a_probe_leaves_nothing(versioned: RealBucket):
    storage_probe()
    assert versioned.keys() == []


def test_a_bucket_is_set_up_and_looked_over(strict_bucket: RealBucket, settings: Any):
    bucket = strict_bucket
    settings.SITE_URL = "https://stemwright.example/path"
    with pytest.raises(CommandError, match="2 of these need something done"):
        run_command("storage_check")
    for _ in range(2):
        assert run_command("storage_setup")[0] == f"The bucket {bucket.name} is there."
    lines = run_command("storage_check")
    assert [line[:7] for line in lines] == ["ok     "] * 5
    assert lines[-1] == (
        "ok       Browsers on https://stemwright.example may send parts and read files."
    )
    cors = bucket.client.get_bucket_cors(Bucket=bucket.name)["CORSRules"]
    rules = bucket.client.get_bucket_lifecycle_configuration(Bucket=bucket.name)["Rules"]
    assert (len(cors), len(rules)) == (1, 1)
    assert bucket.keys() == []


def test_the_rules_of_others_are_left_alone(bucket: RealBucket):
    other = {
        "ID": "other",
        "Status": "Enabled",
        "Filter": {"Prefix": "logs/"},
        "Expiration": {"Days": 3},
    }
    bucket.client.put_bucket_lifecycle_configuration(
        Bucket=bucket.name, LifecycleConfiguration={"Rules": [other]}
    )
    run_command("storage_setup")
    rules = bucket.client.get_bucket_lifecycle_configuration(Bucket=bucket.name)["Rules"]
    assert sorted(rule["ID"] for rule in rules) == ["other", "stemwright-abort-uploads"]


def test_a_missing_bucket_is_made(bucket: RealBucket):
    bucket.client.delete_bucket(Bucket=bucket.name)
    with pytest.raises(CommandError):
        run_command("storage_check")
    assert run_command("storage_setup")[0] == f"The bucket {bucket.name} was made."
    assert bucket.keys() == []


def test_the_documented_rights_are_enough(strict_bucket: RealBucket, settings: Any, tmp_path: Path):
    guest = strict_bucket.server.guest
    assert guest is not None
    run_command("storage_setup")
    storage = settings.STORAGES["default"]
    keys = {"access_key": guest.access_key, "secret_key": guest.secret_key}
    with_guest = {**storage, "OPTIONS": {**storage["OPTIONS"], **keys}}
    settings.STORAGES = {**settings.STORAGES, "default": with_guest}
    with pytest.raises(StorageFailed):
        storage_probe()

    text = (Path(settings.BASE_DIR) / "docs" / "storage.md").read_text()
    written = text.split("```json\n")[1].split("```")[0]
    policy = json.loads(written.replace("BUCKET", strict_bucket.name))
    for statement in policy["Statement"]:
        statement["Principal"] = {"AWS": [guest.arn]}
    strict_bucket.client.put_bucket_policy(Bucket=strict_bucket.name, Policy=json.dumps(policy))
    problems = [line for line in run_command("storage_check") if not line.startswith("ok")]
    assert problems == []
    save("t/1/a", b"0" * 33 * MIB, tmp_path)
    save("t/b", b"1", tmp_path)
    with storage_open(key="t/b") as handle:
        assert handle.read() == b"1"
    with local_copy(key="t/1/a", folder=tmp_path) as copy:
        assert copy.stat().st_size == 33 * MIB
    store = storage_bucket()
    assert store is not None
    store.client.create_multipart_upload(Bucket=store.name, Key="t/c")
    assert strict_bucket.keys() == ["t/1/a", "t/b", "t/c (unfinished)"]
    storage_delete(key="t/b")
    assert not storage_has(key="t/b")
    storage_delete_tree(prefix="t")
    assert strict_bucket.keys() == []


def test_an_open_bucket_is_a_problem(strict_bucket: RealBucket):
    run_command("storage_setup")
    strict_bucket.client.put_bucket_acl(Bucket=strict_bucket.name, ACL="public-read")
    with pytest.raises(CommandError, match="1 of these"):
        run_command("storage_check")
