"""One workspace sees nothing of another. The routes are read from the service itself."""

from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from jobs.heartbeat import Heartbeat
from jobs.models import Asset, Job, JobTimeline
from tests.api.routes import OPEN, Route, native_routes
from tests.makers import make_asset, make_job, make_spoken_job, run_jobs

pytestmark = pytest.mark.django_db

# Routes without an id; each has a test of its own below.
OF_THE_WORKSPACE = {
    "native-asset-list",
    "native-job-list",
    "native-job-estimate",
    "native-credits",
    "native-ledger",
}
# Their tests are in test_orders.py and test_usage.py.
OF_JOBS = {"native-job-batch", "native-usage"}
# Their tests are in test_uploads.py and test_multipart_uploads.py.
OF_UPLOADS = {"native-upload-list", "native-multipart-list"}
# Their tests are in tests/jobs/test_ingesting.py.
OF_IMPORTS = {"native-import-list"}
# Their tests are in test_webhooks.py.
OF_WEBHOOKS = {
    "native-webhook-list",
    "native-webhook-events",
    "native-callback-secret",
    "native-callback-secret-roll",
    "native-delivery-list",
}
# Their tests are in test_workspace.py.
OF_PEOPLE = {
    "native-workspace-list",
    "native-workspace",
    "native-member-list",
    "native-workspace-leave",
    "native-workspace-transfer",
    "native-invitation-list",
    "native-invitation-accept",
}
# Their tests are in test_auth.py, test_api_keys.py and test_audit.py.
OF_ACCESS = {"native-auth-me", "native-sign-in-list", "native-key-list", "native-audit"}
# Its test is in test_deletions.py.
OF_DELETIONS = {"native-deletion-list"}
# Their tests are in test_billing.py.
OF_BILLING = {
    "native-billing-checkout",
    "native-billing-portal",
    "native-billing-payments",
    "native-billing-invoices",
    "native-billing-subscription",
    "native-billing-auto-top-up",
}
WITH_AN_ID = [
    (route, method)
    for route in native_routes()
    if route.ids & {"asset_uuid", "job_uuid"}
    for method in route.methods
]


@pytest.fixture
def job(alice: Any, tmp_path: Path, fake_separation: list[Any], monkeypatch: Any) -> Job:
    """A job of Alice's that ended well."""
    monkeypatch.setattr(Heartbeat, "_beat", lambda self: None)
    job = make_job(alice, make_asset(alice, tmp_path))
    run_jobs()
    return job


@pytest.fixture
def stem(job: Job) -> Asset:
    return Asset.objects.get(job=job)


def test_every_route_is_covered():
    plain = {route.name for route in native_routes() if not route.ids}
    assert plain == (
        {name for name in OPEN if name.startswith("native-")}
        | OF_JOBS
        | OF_UPLOADS
        | OF_IMPORTS
        | OF_DELETIONS
        | OF_WEBHOOKS
        | OF_BILLING
        | OF_THE_WORKSPACE
        | OF_PEOPLE
        | OF_ACCESS
    )
    assert {(route.name, method) for route, method in WITH_AN_ID} >= {
        ("native-asset-detail", "delete"),
        ("native-job-cancel", "post"),
        ("native-job-retry", "post"),
        ("native-job-archive", "get"),
        ("native-job-events", "head"),
        ("native-job-speakers", "patch"),
        ("native-job-speakers-merge", "post"),
        ("native-job-timeline", "get"),
    }


@pytest.mark.parametrize(
    ("route", "method"), WITH_AN_ID, ids=lambda value: getattr(value, "name", value)
)
def test_a_stranger_finds_nothing(
    alice_client: Client, charlie_client: Client, job: Job, stem: Asset, route: Route, method: str
):
    for asset in (job.recording, stem):
        path = route.path({"asset_uuid": asset.uuid, "job_uuid": job.uuid})
        response = getattr(charlie_client, method)(path)
        assert response.status_code == 404
        if method != "head":
            assert response.json()["error"]["code"] == "not_found"
    # Nothing was done by it, and the address is a real one.
    job.refresh_from_db()
    assert (job.state, job.deleted_at, job.cancel_requested_at) == ("succeeded", None, None)
    assert set(Asset.objects.values_list("state", flat=True)) == {"ready"}
    response = getattr(alice_client, method)(path)
    response.close()
    assert response.status_code in {200, 204, 409}


def test_a_stranger_finds_no_speakers(
    alice: Any, alice_client: Client, charlie_client: Client, tmp_path: Path
):
    """With bodies that would do, of a job that has speakers; the owner finds them."""
    spoken = make_spoken_job(alice, make_asset(alice, tmp_path))
    path, kind = f"/v1/jobs/{spoken.uuid}", "application/json"

    def answers(client: Client) -> list[int]:
        return [
            response.status_code
            for response in (
                client.get(f"{path}/speakers"),
                client.get(f"{path}/timeline?format=rttm"),
                client.patch(f"{path}/speakers", {"names": {"SPEAKER_0": "Mine"}}, kind),
                client.post(
                    f"{path}/speakers/merge", {"groups": [["SPEAKER_0", "SPEAKER_1"]]}, kind
                ),
            )
        ]

    assert answers(charlie_client) == [404] * 4
    assert (JobTimeline.objects.get().names, Job.objects.count()) == ({}, 1)
    assert answers(alice_client) == [200, 200, 200, 201]


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/jobs/estimate"])
def test_a_stranger_cannot_order_from_it(charlie_client: Client, job: Job, stem: Asset, path: str):
    for asset in (job.recording, stem):
        body = {"asset": str(asset.uuid), "stems": ["vocals"]}
        response = charlie_client.post(path, body, content_type="application/json")
        assert (response.status_code, response.json()["error"]["code"]) == (404, "not_found")
    assert Job.objects.count() == 1


def test_a_stem_of_ones_own_can_be_taken_apart(alice_client: Client, stem: Asset):
    body = {"asset": str(stem.uuid), "stems": ["vocals"]}
    response = alice_client.post("/v1/jobs", body, content_type="application/json")
    assert (response.status_code, response.json()["asset"]) == (201, str(stem.uuid))


def test_lists_and_balance_are_the_workspaces_own(
    alice_client: Client, charlie_client: Client, job: Job
):
    assert alice_client.get("/v1/credits").json()["balance_mcr"] == 97_500
    assert charlie_client.get("/v1/credits").json() == {
        "credits": "100",
        "available_mcr": 100_000,
        "held_mcr": 0,
        "balance_mcr": 100_000,
        "debt_mcr": 0,
    }
    for path, of_alice, of_charlie in (
        ("/v1/assets", 1, 0),
        ("/v1/jobs", 1, 0),
        # Each has the grant; Alice, the charge too.
        ("/v1/credits/ledger", 2, 1),
    ):
        hers = alice_client.get(path).json()["results"]
        his = charlie_client.get(path).json()["results"]
        assert (len(hers), len(his)) == (of_alice, of_charlie)
        assert not {row["id"] for row in hers} & {row["id"] for row in his}
