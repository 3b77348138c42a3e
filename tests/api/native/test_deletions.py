from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.db.models.functions import Now
from django.test import Client

from jobs.cleaning import storage_clean
from jobs.heartbeat import Heartbeat
from jobs.models import Asset
from tests.makers import make_asset, make_job, run_jobs

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_beats(monkeypatch: pytest.MonkeyPatch) -> None:
    """They come on a connection of their own, which sees nothing of a test's transaction."""
    monkeypatch.setattr(Heartbeat, "_beat", lambda self: None)


def test_a_deletion_is_proven_step_by_step(alice: Any, alice_client: Client, tmp_path: Path):
    asset = make_asset(alice, tmp_path)
    path = f"/v1/deletions/{asset.uuid}"
    assert alice_client.get(path).status_code == 404
    assert alice_client.delete(f"/v1/assets/{asset.uuid}").status_code == 204
    asked = alice_client.get(path).json()
    assert asked == {
        "asset": str(asset.uuid),
        "reason": "request",
        "size_bytes": asset.size_bytes,
        "sha256": asset.sha256,
        "requested_at": asked["requested_at"],
        "removed_at": None,
        "verified_at": None,
    }
    while storage_clean():
        pass
    proven = alice_client.get(path).json()
    times = [proven.pop(name) for name in ("requested_at", "removed_at", "verified_at")]
    assert times == sorted(times)
    assert times[0] == asked["requested_at"]
    assert proven.items() <= asked.items()
    # Repeating nothing changes nothing.
    storage_clean()
    assert alice_client.get(path).json()["verified_at"] == times[2]


def test_what_expires_is_gone_for_callers_and_listed(
    alice: Any, alice_client: Client, tmp_path: Path, fake_separation: list[Any]
):
    job = make_job(alice, make_asset(alice, tmp_path))
    run_jobs()
    path = f"/v1/jobs/{job.uuid}"
    (output,) = alice_client.get(path).json()["outputs"]
    finished_at = alice_client.get(path).json()["finished_at"]
    kept_for = datetime.fromisoformat(output["expires_at"]) - datetime.fromisoformat(finished_at)
    assert timedelta(days=14) <= kept_for < timedelta(days=14, minutes=1)
    Asset.objects.filter(uuid=output["id"]).update(expires_at=Now())
    while storage_clean():
        pass
    assert alice_client.get(path).json()["outputs"] == []
    assert Client().get(output["download_url"]).status_code == 404
    (deletion,) = alice_client.get("/v1/deletions").json()["results"]
    assert (deletion["asset"], deletion["reason"]) == (output["id"], "retention")
    assert deletion["sha256"] == output["sha256"]
    assert deletion["verified_at"] is not None


def test_a_stranger_learns_of_no_deletion(
    alice: Any, alice_client: Client, charlie_client: Client, tmp_path: Path
):
    asset = make_asset(alice, tmp_path)
    alice_client.delete(f"/v1/assets/{asset.uuid}")
    for uuid in (asset.uuid, uuid4()):
        response = charlie_client.get(f"/v1/deletions/{uuid}")
        assert (response.status_code, response.json()["error"]["code"]) == (404, "not_found")
    assert charlie_client.get("/v1/deletions").json()["results"] == []
    assert len(alice_client.get("/v1/deletions").json()["results"]) == 1
