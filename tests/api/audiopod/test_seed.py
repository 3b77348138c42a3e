"""The page "Speaker Extraction", from top to bottom, with a real conversation and networks.

Each assertion names the passage that it is about.
"""

import io
import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import httpx
import pytest
import soundfile
from django.db.models.functions import Now

from accounts.models import Role
from billing.models import Price
from billing.selectors import ledger_discrepancies, wallet_get
from jobs.ingesting import run_next_ingest
from jobs.models import Job, JobState
from tests.api.audiopod.steps import TALK, talk
from tests.api.real import real_engine
from tests.fakes.http import Server, says
from tests.fakes.receiver import LOOPBACK
from tests.makers import make_grant, make_key, make_member, make_token, make_wav, run_jobs

SECONDS = 30.637
CREDITS = 10_000
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
PENDING = ["id", "job_type", "status", "created_at", "user_id", "task_id"]


@pytest.fixture(autouse=True)
def _engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with real_engine(monkeypatch):
        yield


@pytest.fixture
def site(settings: Any) -> Iterator[Server]:
    """Somebody's site, which gives out the conversation."""
    with Server(says("200 OK", "Content-Type: audio/wav", body=talk())).running() as server:
        settings.OUTBOUND_PORTS = [server.port]
        settings.OUTBOUND_ALLOW = [LOOPBACK]
        yield server


@pytest.mark.django_db(transaction=True)
def test_the_page_from_top_to_bottom(alice: Any, charlie: Any, live_server: Any, site: Server):
    make_grant(alice, CREDITS * 1000)
    owner = make_member(alice, Role.OWNER)
    # "API Key (Recommended): X-API-Key: your_api_key header".
    headers = {"X-API-Key": make_key(alice)}
    with httpx.Client(base_url=live_server.url, headers=headers, trust_env=False) as http:
        # "POST /api/v1/speaker/extract … multipart/form-data file num_speakers: 4"; three are
        # here, who are counted.
        upload = {"file": ("podcast_episode.mp3", talk(), "audio/mpeg")}
        response = http.post("/api/v1/speaker/extract", data={"num_speakers": 3}, files=upload)
        # "if response.status_code == 200", not 201.
        assert response.status_code == 200
        assert response.headers["Content-Type"] == "application/json"
        uploaded = response.json()
        # "Response": these keys, in this order.
        assert list(uploaded) == PENDING
        assert type(uploaded["id"]) is int
        assert uploaded["job_type"] == "extraction"
        assert uploaded["status"] == "PENDING"
        assert TIME.fullmatch(uploaded["created_at"])
        assert UUID(uploaded["user_id"]) == owner.uuid
        assert isinstance(uploaded["task_id"], str)

        # "Content-Type: application/x-www-form-urlencoded url=…&num_speakers=3".
        response = http.post(
            "/api/v1/speaker/extract", data={"url": f"{site.url}/talk.wav", "num_speakers": 3}
        )
        assert response.status_code == 200
        by_url = response.json()
        assert list(by_url) == PENDING
        assert (by_url["job_type"], by_url["status"]) == ("extraction", "PENDING")
        assert by_url["id"] != uploaded["id"]
        assert Job.objects.get(pk=by_url["id"]).options["num_speakers"] == 3

        # "JWT Token: Authorization: Bearer your_jwt_token".
        token = make_token(owner, alice)
        bearer = httpx.get(
            f"{live_server.url}/api/v1/speaker/jobs/{uploaded['id']}",
            headers={"Authorization": f"Bearer {token}"},
            trust_env=False,
        )
        assert (bearer.status_code, bearer.json()) == (200, uploaded)

        assert run_next_ingest()
        assert run_jobs() == 2

        # "GET /api/v1/speaker/jobs/{job_id}": "Response (Completed Extraction)".
        response = http.get(f"/api/v1/speaker/jobs/{uploaded['id']}")
        assert response.status_code == 200
        done = response.json()
        assert {*done} == {*PENDING, "completed_at", "result"}
        assert done["status"] == "COMPLETED"
        assert TIME.fullmatch(done["completed_at"])
        assert {name: done[name] for name in PENDING if name != "status"} == {
            name: uploaded[name] for name in PENDING if name != "status"
        }
        result = done["result"]
        assert list(result) == ["speakers", "files", "rttm_path"]
        # "Extracted {len(result['speakers'])} speakers".
        assert len(result["speakers"]) == 3
        for number, speaker in enumerate(result["speakers"]):
            assert list(speaker) == ["id", "label", "audio_path", "download_url", "audio_stats"]
            assert (speaker["id"], speaker["label"]) == (number, f"SPEAKER_{number}")
            path = f"processed/{uploaded['id']}/speaker_{number}.wav"
            assert speaker["audio_path"] == path
            assert list(speaker["audio_stats"]) == ["rms_db", "peak"]
            assert -60 < speaker["audio_stats"]["rms_db"] < 0
            assert 0 < speaker["audio_stats"]["peak"] <= 1
            # "Generate separate audio files": the link gives the track of the whole length.
            track = http.get(speaker["download_url"])
            assert track.status_code == 200
            samples, rate = soundfile.read(io.BytesIO(track.content))
            assert (rate, len(samples) / rate) == (16_000, pytest.approx(SECONDS, abs=0.001))
        # "files": one of each speaker, then the RTTM.
        *tracks, rttm = result["files"]
        for speaker, file in zip(result["speakers"], tracks, strict=True):
            assert list(file) == ["type", "speaker", "path", "download_url"]
            assert (file["type"], file["speaker"]) == ("audio", speaker["label"])
            assert file["path"] == speaker["audio_path"]
            assert http.get(file["download_url"]).status_code == 200
        assert list(rttm) == ["type", "path", "download_url"]
        assert rttm["type"] == "rttm"
        assert rttm["path"] == f"processed/{uploaded['id']}/extraction.rttm"
        assert result["rttm_path"] == rttm["path"]
        # "Timeline Generation: Get detailed RTTM files with speaker timestamps".
        lines = http.get(rttm["download_url"]).text.splitlines()
        assert {line.split()[0] for line in lines} == {"SPEAKER"}
        assert {line.split()[7] for line in lines} == {"SPEAKER_0", "SPEAKER_1", "SPEAKER_2"}

        # "GET /api/v1/speaker/jobs?job_type=extraction&status=COMPLETED&limit=50", with `skip`.
        response = http.get(
            "/api/v1/speaker/jobs",
            params={"job_type": "extraction", "status": "COMPLETED", "skip": 0, "limit": 50},
        )
        assert response.status_code == 200
        listed = response.json()
        assert list(listed) == ["items", "hasMore", "total"]
        assert (listed["hasMore"], listed["total"]) == (False, 2)
        item = next(one for one in listed["items"] if one["id"] == uploaded["id"])
        assert list(item) == [
            *PENDING,
            "completed_at",
            "filename",
            "display_name",
            "outputFiles",
        ]
        assert item["filename"] == item["display_name"] == "podcast_episode.mp3"
        assert item["outputFiles"] == [
            {name: file[name] for name in ("type", "speaker", "path")} for file in tracks
        ]
        params: dict[str, str | int] = {"job_type": "extraction", "limit": 1}
        page = http.get("/api/v1/speaker/jobs", params=params).json()
        assert (page["hasMore"], page["total"], len(page["items"])) == (True, 2, 1)

        # "Retry Failed Job": the same id and time, a new task, "PROCESSING".
        failed = http.post(
            "/api/v1/speaker/extract", files={"file": ("a.wav", make_wav(seconds=2))}
        )
        assert failed.status_code == 200
        assert run_jobs() == 1
        assert http.get(f"/api/v1/speaker/jobs/{failed.json()['id']}").json()["status"] == "FAILED"
        response = http.post(f"/api/v1/speaker/jobs/{failed.json()['id']}/retry")
        assert response.status_code == 200
        retried = response.json()
        assert {*retried} == {*PENDING}
        assert (retried["id"], retried["created_at"]) == (
            failed.json()["id"],
            failed.json()["created_at"],
        )
        assert (retried["job_type"], retried["status"]) == ("extraction", "PROCESSING")
        # "New task ID".
        assert retried["task_id"] != failed.json()["task_id"]
        assert retried["user_id"] == failed.json()["user_id"]
        assert run_jobs() == 1

        # "Delete Job": 204 No Content, and the files are gone with it.
        link = result["speakers"][0]["download_url"]
        response = http.delete(f"/api/v1/speaker/jobs/{uploaded['id']}")
        assert (response.status_code, response.content) == (204, b"")
        assert http.get(link).status_code == 404
        # "elif response.status_code == 404: Job not found or access denied".
        response = http.delete(f"/api/v1/speaker/jobs/{uploaded['id']}")
        assert response.status_code == 404

        # "400 Bad Request - Invalid Input".
        response = http.post("/api/v1/speaker/extract", files={"file": ("a.txt", b"no audio")})
        assert response.status_code == 400
        body = response.json()
        assert list(body) == ["error_code", "message", "details"]
        assert body["error_code"] == "INVALID_AUDIO_FORMAT"
        assert body["message"] == "Invalid file type. Must be audio or video file."
        assert body["details"]["extension"] == ".txt"
        assert ".mp3" in body["details"]["supported_extensions"]

        # "422 Processing Error - Extraction Failed": most of the file is missing.
        response = http.post(
            "/api/v1/speaker/extract", files={"file": ("a.flac", TALK.read_bytes()[:100])}
        )
        assert response.status_code == 422
        body = response.json()
        assert list(body) == ["error_code", "message", "details"]
        assert body["error_code"] == "PROCESSING_FAILED"
        assert body["message"] == "Failed to extract speakers from audio"
        assert body["details"] == {
            "reason": "The recording is damaged: most of it cannot be decoded."
        }

        # "402 Payment Required - Insufficient Credits": whole credits, 27.5 a second.
        Price.objects.create(
            service="speaker_extraction",
            workspace=alice,
            unit="per_second",
            amount_mcr=27_500_000,
            effective_from=Now(),
        )
        available = wallet_get(workspace=alice).available_mcr // 1000
        response = http.post("/api/v1/speaker/extract", files={"file": ("b.wav", make_wav())})
        assert response.status_code == 402
        assert response.json() == {
            "detail": "Insufficient credits for processing. "
            f"Required: 27500, Available: {available}"
        }
        Price.objects.filter(workspace=alice).delete()

        # "404 Not Found - Job Not Found … trying to access another user's job".
        stranger = httpx.get(
            f"{live_server.url}/api/v1/speaker/jobs/{by_url['id']}",
            headers={"X-API-Key": make_key(charlie)},
            trust_env=False,
        )
        assert stranger.status_code == 404
        assert stranger.json() == {"detail": "Job not found or access denied"}

        # "Credits are charged per second of audio (27.5 credits/second)", also of the address.
        charged = Job.objects.get(pk=by_url["id"]).charged_mcr
        assert charged / 1000 == pytest.approx(27.5 * SECONDS, abs=0.1)
        # "Failed" ones cost nothing.
        assert Job.objects.filter(state=JobState.FAILED, charged_mcr=0).count() == 2
        assert ledger_discrepancies() == []

        # "429 Too Many Requests - Rate Limit … Exceeded 100 requests per minute limit", "Rate
        # limits apply per endpoint".
        one = f"/api/v1/speaker/jobs/{by_url['id']}"
        answers = [http.get("/api/v1/jobs/" + one.rpartition("/")[2]) for _ in range(101)]
        assert [answer.status_code for answer in answers] == [200] * 100 + [429]
        assert answers[-1].json() == {"detail": "Rate limit exceeded. Try again later."}
        assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60
        assert http.get(one).status_code == 200
