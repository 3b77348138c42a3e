"""Jobs by their numbers: whose they are, how they end, doing them anew, and deleting them."""

from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test import Client

from accounts.models import Role
from api.audiopod.chains import chains_list
from api.audiopod.rendering import SERVICES
from billing.selectors import ledger_discrepancies, wallet_get
from jobs.ingesting import run_next_ingest
from jobs.models import Asset, AssetState, Job, JobState
from jobs.services import job_cancel
from tests.api.audiopod.steps import EXTRACT, STEMS, ordered, wav
from tests.makers import make_asset, make_job, make_member, make_token, run_jobs

pytestmark = pytest.mark.django_db

SPEAKER = "/api/v1/speaker/jobs"
DENOISE = "/api/v1/denoiser"
MISSING = {"detail": "Job not found or access denied"}


def failed(client: Client) -> dict[str, Any]:
    """A job that failed, as it is shown."""
    body = ordered(client)
    job_fail(body["id"])
    return body


def job_fail(number: int) -> None:
    job = Job.objects.get(pk=number)
    job_cancel(workspace=job.workspace, job_uuid=job.uuid)
    Job.objects.filter(pk=job.pk).update(
        state=JobState.FAILED, error_code="no_speech", error_message="Nobody speaks."
    )


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/jobs/{}"),
        ("DELETE", "/api/v1/jobs/{}"),
        ("GET", "/api/v1/speaker/jobs/{}"),
        ("DELETE", "/api/v1/speaker/jobs/{}"),
        ("POST", "/api/v1/speaker/jobs/{}/retry"),
    ],
)
def test_a_stranger_finds_nothing(client: Client, stranger: Client, method: str, path: str):
    job = failed(client)
    response = stranger.generic(method, path.format(job["id"]))
    assert (response.status_code, response.json()) == (404, MISSING)
    assert Job.objects.get().deleted_at is None
    assert stranger.get(SPEAKER).json() == {"items": [], "hasMore": False, "total": 0}


def test_jobs_of_other_apis_are_not_found(client: Client, alice: Any, tmp_path: Any):
    job = make_job(alice, make_asset(alice, tmp_path))
    assert client.get(f"/api/v1/jobs/{job.pk}").status_code == 404
    assert client.get(f"{STEMS}/status/{job.pk}").status_code == 404
    assert client.get(f"{STEMS}/jobs").json()["total"] == 0


@pytest.mark.parametrize(
    ("path", "own", "other"),
    [
        (EXTRACT, f"{SPEAKER}/{{}}", f"{STEMS}/status/{{}}"),
        (f"{STEMS}/api/extract", f"{STEMS}/status/{{}}", f"{DENOISE}/jobs/{{}}"),
        (f"{DENOISE}/denoise", f"{DENOISE}/jobs/{{}}", f"{SPEAKER}/{{}}"),
    ],
)
def test_each_family_knows_its_own_jobs(client: Client, path: str, own: str, other: str):
    job = ordered(client, path)
    shown = client.get(own.format(job["id"])).json()
    assert shown == job
    assert client.get(f"/api/v1/jobs/{job['id']}").json() == shown
    assert client.get(other.format(job["id"])).json() == MISSING


def test_a_failed_job_tells_why(client: Client):
    job = failed(client)
    body = client.get(f"{SPEAKER}/{job['id']}").json()
    assert body == job | {
        "status": "FAILED",
        "error_message": "Nobody speaks.",
        "error": "Nobody speaks.",
    }


def test_a_cancelled_job_has_failed_as_far_as_clients_know(client: Client, alice: Any):
    body = ordered(client)
    job_cancel(workspace=alice, job_uuid=Job.objects.get().uuid)
    shown = client.get(f"{SPEAKER}/{body['id']}").json()
    assert (shown["status"], shown["error_message"]) == ("FAILED", "The job was cancelled.")


def test_a_running_job_is_being_processed(client: Client):
    body = ordered(client)
    Job.objects.update(state=JobState.RUNNING, lease_until=Now())
    assert client.get(f"{SPEAKER}/{body['id']}").json()["status"] == "PROCESSING"
    assert client.get(f"{SPEAKER}?status=PROCESSING").json()["total"] == 1
    assert client.get(f"{SPEAKER}?status=PENDING").json()["total"] == 0


def test_a_retry_keeps_its_number_and_is_charged_once(
    client: Client, alice: Any, fake_diarization: Any
):
    first = failed(client)
    retried = client.post(f"{SPEAKER}/{first['id']}/retry").json()
    # Sent again by a client that got no answer.
    again = client.post(f"{SPEAKER}/{first['id']}/retry").json()
    assert again == retried
    assert retried == first | {"status": "PROCESSING", "task_id": retried["task_id"]}
    assert Job.objects.count() == 2
    assert run_jobs() == 1
    done = client.get(f"{SPEAKER}/{first['id']}").json()
    assert (done["status"], done["id"]) == ("COMPLETED", first["id"])
    assert done["result"]["rttm_path"] == f"processed/{first['id']}/extraction.rttm"
    # One line in the list, the latest.
    listed = client.get(SPEAKER).json()
    assert (listed["total"], listed["items"][0]["task_id"]) == (1, retried["task_id"])
    # The number of the second row is nobody's.
    assert client.get(f"{SPEAKER}/{Job.objects.latest('pk').pk}").json() == MISSING
    assert wallet_get(workspace=alice).posted_mcr == 100_000 - 5_500
    assert ledger_discrepancies() == []


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.SUCCEEDED])
def test_only_what_failed_is_done_anew(client: Client, state: JobState, fake_diarization: Any):
    body = ordered(client)
    if state == JobState.SUCCEEDED:
        assert run_jobs() == 1
    response = client.post(f"{SPEAKER}/{body['id']}/retry")
    assert (response.status_code, list(response.json())) == (409, ["detail"])
    assert Job.objects.count() == 1


def test_a_job_that_waits_can_be_deleted(client: Client, alice: Any):
    body = ordered(client)
    assert client.delete(f"{SPEAKER}/{body['id']}").status_code == 204
    assert client.get(f"{SPEAKER}/{body['id']}").json() == MISSING
    assert wallet_get(workspace=alice).held_mcr == 0


def test_deleting_takes_the_whole_chain(client: Client):
    first = failed(client)
    client.post(f"{SPEAKER}/{first['id']}/retry")
    assert client.delete(f"{SPEAKER}/{first['id']}").status_code == 204
    assert not Job.objects.filter(deleted_at=None).exists()
    assert client.get(SPEAKER).json()["total"] == 0


def test_a_running_job_stops_and_is_deleted(client: Client, monkeypatch: pytest.MonkeyPatch):
    body = ordered(client)
    Job.objects.update(state=JobState.RUNNING, lease_until=Now())
    looks = []

    def worker_stops() -> None:
        """Its worker sees the wish the second time that the call looks."""
        looks.append(Job.objects.exclude(cancel_requested_at=None).count())
        if len(looks) == 2:
            Job.objects.update(state=JobState.CANCELLED, lease_until=None, finished_at=Now())

    monkeypatch.setattr("api.audiopod.stopping.pause", worker_stops)
    assert client.delete(f"{SPEAKER}/{body['id']}").status_code == 204
    assert looks == [1, 1]
    assert Job.objects.get().deleted_at is not None
    assert client.get(f"{SPEAKER}/{body['id']}").json() == MISSING


@pytest.mark.parametrize("lacking", ["SYNC_WAIT_SECONDS", "SYNC_WAITS_PER_PROCESS"])
def test_a_job_that_does_not_stop_in_time_stays(client: Client, settings: Any, lacking: str):
    setattr(settings, lacking, 0)
    body = ordered(client)
    Job.objects.update(state=JobState.RUNNING, lease_until=Now())
    response = client.delete(f"{SPEAKER}/{body['id']}")
    assert (response.status_code, list(response.json())) == (409, ["detail"])
    job = Job.objects.get()
    assert job.deleted_at is None
    assert job.cancel_requested_at is not None


def test_an_address_waits_then_is_done(
    client: Client, media_server: Any, fake_separation: Any, alice: Any
):
    response = client.post(f"{STEMS}/api/extract", {"url": f"{media_server.url}/my%20song.wav"})
    assert response.status_code == 200
    body = response.json()
    assert (body["status"], body["source_type"]) == ("PENDING", "URL")
    assert wallet_get(workspace=alice).held_mcr == 0
    listed = client.get(f"{STEMS}/jobs").json()["items"][0]
    assert listed["filename"] == listed["display_name"] == "my song.wav"
    assert run_next_ingest()
    assert run_jobs() == 1
    done = client.get(f"{STEMS}/status/{body['id']}").json()
    assert (done["status"], len(done["download_urls"])) == ("COMPLETED", 4)
    # 16.5 credits a second, whatever the number of stems.
    assert wallet_get(workspace=alice).posted_mcr == 100_000 - 3_300


def test_an_address_without_a_recording_fails(client: Client, media_server: Any):
    media_server.answer = lambda connection: connection.sendall(
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
    )
    body = client.post(EXTRACT, {"url": f"{media_server.url}/a.wav"}).json()
    assert run_next_ingest()
    done = client.get(f"{SPEAKER}/{body['id']}").json()
    assert done["status"] == "FAILED"
    assert "404" in done["error_message"]


def test_noise_is_reduced(client: Client, alice: Any):
    body = ordered(client, f"{DENOISE}/denoise", quality_mode="balanced")
    assert (body["job_type"], body["status"]) == ("denoise", "PENDING")
    assert (body["quality_mode"], body["output_url"]) == ("balanced", None)
    job = Job.objects.get()
    assert (job.service, job.steps) == ("enhancement", ["denoise"])
    # 5.5 credits a second.
    assert job.price_mcr == 1_100
    assert client.get(f"{DENOISE}/jobs").json()["total"] == 1
    assert client.delete(f"{DENOISE}/jobs/{body['id']}").status_code == 204


@pytest.mark.parametrize("mode", ["best", "\x00"])
def test_a_quality_that_is_not_known_is_refused(client: Client, mode: str):
    response = client.post(f"{DENOISE}/denoise", {"file": wav(), "quality_mode": mode})
    assert response.status_code == 400
    assert list(response.json()["details"]["fields"]) == ["quality_mode"]


def test_jobs_are_those_of_the_owner(client: Client, alice: Any):
    assert ordered(client)["user_id"] == str(alice.uuid)
    owner, developer = make_member(alice, Role.OWNER), make_member(alice, Role.DEVELOPER)
    token = make_token(developer, alice)
    other = Client(headers={"Authorization": f"Bearer {token}"})
    assert other.get(SPEAKER).json()["items"][0]["user_id"] == str(owner.uuid)


def test_pages_of_a_list(client: Client):
    numbers = [ordered(client, num_speakers=count)["id"] for count in (1, 2, 3)]
    page = client.get(f"{SPEAKER}?skip=1&limit=1").json()
    assert [item["id"] for item in page["items"]] == [numbers[1]]
    assert (page["hasMore"], page["total"]) == (True, 3)
    assert client.get(f"{SPEAKER}?skip=2").json()["hasMore"] is False
    assert client.get(f"{SPEAKER}?job_type=diarization").json()["total"] == 0


def test_uploads_stay_with_their_jobs(client: Client):
    ordered(client)
    assert Asset.objects.filter(state=AssetState.READY).count() == 1


def test_reading_a_job_asks_the_database_little(
    client: Client, fake_diarization: Any, django_assert_max_num_queries: Any
):
    body = ordered(client)
    assert run_jobs() == 1
    client.get(f"/api/v1/jobs/{body['id']}")
    # The key, the count of calls, what has this number, the job, its files, its speakers, and
    # whose it is.
    with django_assert_max_num_queries(7):
        assert client.get(f"/api/v1/jobs/{body['id']}").json()["status"] == "COMPLETED"


def test_a_list_looks_at_no_jobs_of_others(alice: Any):
    with connection.cursor() as cursor:
        # Of the few rows of a test, PostgreSQL would read all in any case.
        cursor.execute("SET LOCAL enable_seqscan = off")
    plan = chains_list(workspace=alice, services=SERVICES)[:50].explain()
    assert "Seq Scan" not in plan
    assert "Index Scan using jobs_job_retry_of_id" in plan
