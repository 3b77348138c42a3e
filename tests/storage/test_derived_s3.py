"""Listening copies and mixes in a bucket: sent from there, in parts, and gone with their files."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from django.test import Client

from jobs.cleaning import storage_clean
from jobs.models import Asset, Listening, Mix
from jobs.services import asset_delete, job_delete
from tests.makers import make_done_job, make_grant, make_member, run_derived
from tests.servers.s3 import RealBucket
from tests.web.test_mixes import ask, body

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_beats", "fake_separation")]


def test_the_bucket_sends_them_and_keeps_nothing(bucket: RealBucket, alice: Any, tmp_path: Path):
    make_grant(alice, 100_000)
    client = Client()
    client.force_login(make_member(alice, "owner"))
    job = make_done_job(alice, tmp_path, seconds=11)
    stem = Asset.objects.get(job=job)
    mix = ask(client, job, body(job)).json()
    run_derived()
    manifest = client.get(f"/app/jobs/{job.uuid}/player").json()
    assert manifest["state"] == "ready"
    audio = manifest["lanes"][0]["audio"]
    start, end = audio["offsets"][1], audio["offsets"][2]
    sent_on = client.get(audio["url"], headers={"Range": f"bytes={start}-{end - 1}"})
    assert sent_on.status_code == 302
    assert sent_on["Cache-Control"] == "private, no-store"
    part = httpx.get(sent_on["Location"], headers={"Range": f"bytes={start}-{end - 1}"})
    assert part.status_code == 206
    assert part.content.startswith(b"fLaC")
    assert len(part.content) == end - start
    ready = client.get(mix["status_url"]).json()
    file = httpx.get(client.get(ready["download_url"])["Location"])
    assert len(file.content) == ready["size_bytes"]
    assert file.headers["Content-Disposition"] == 'attachment; filename="song (mix).wav"'
    job_delete(workspace=alice, job_uuid=job.uuid)
    asset_delete(workspace=alice, asset_uuid=job.recording.uuid)
    while storage_clean():
        pass
    listed = bucket.client.list_objects_v2(Bucket=bucket.name)
    assert [item["Key"] for item in listed.get("Contents", [])] == []
    assert not Listening.objects.filter(asset=stem).exists()
    assert not Mix.objects.exists()
