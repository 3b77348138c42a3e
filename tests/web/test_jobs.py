"""The pages of jobs: the list, one job, what is done with them, and who may."""

import io
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.api_keys import api_key_authenticate
from accounts.models import Role, User, Workspace
from billing.selectors import wallet_get
from jobs.leases import job_fail
from jobs.models import Job, JobEvent, JobState
from jobs.scheduling import job_claim
from jobs.services import Order, asset_delete, job_cancel, job_create
from jobs.speakers import speakers_get_for_workspace
from tests.makers import (
    make_asset,
    make_job,
    make_key,
    make_member,
    make_speaker_job,
    make_spoken_job,
    make_workspace,
    run_jobs,
)
from tests.web.html import Page

pytestmark = pytest.mark.django_db


@pytest.fixture
def studio(db: None) -> Workspace:
    return make_workspace("Studio", credits=500)


@pytest.fixture
def owner(studio: Workspace) -> User:
    return make_member(studio, Role.OWNER, email="alice@example.org")


@pytest.fixture
def client(owner: User) -> Client:
    return client_of(owner)


def client_of(person: User) -> Client:
    client = Client()
    client.force_login(person)
    return client


def body_of(response: Any, status: int = 200) -> str:
    text: str = response.content.decode()
    assert response.status_code == status, text[:2000]
    assert Page(text).problems() == []
    return text


def ids_of(text: str) -> list[str]:
    return [attrs["data-job"] for attrs in Page(text).all("tr") if "data-job" in attrs]


def failed(job: Job) -> Job:
    claimed = job_claim()
    assert claimed is not None
    assert claimed.pk == job.pk
    job_fail(claimed, code="broken_media", message="The recording cannot be read.")
    job.refresh_from_db()
    return job


def test_a_new_workspace_is_led_to_its_first_job(client: Client):
    text = body_of(client.get("/app/jobs"))
    assert "No jobs yet" in text
    assert 'role="search"' not in text
    assert "No job matches" in body_of(client.get("/app/jobs?q=nothing"))


def test_rows_say_how_far_jobs_are(client: Client, studio: Workspace, tmp_path: Path):
    first = failed(make_job(studio, make_asset(studio, tmp_path, name="broken.wav")))
    running = make_job(studio, make_asset(studio, tmp_path, name="running.wav"))
    assert job_claim() is not None
    Job.objects.filter(pk=running.pk).update(progress=0.431, step="separate")
    queued = make_job(studio, make_asset(studio, tmp_path, name="later.wav", seconds=65))
    text = body_of(client.get("/app/jobs"))
    assert ids_of(text) == [str(job.uuid) for job in (queued, running, first)]
    assert "next in the queue" in text
    assert 'Separating <span class="tabular">43 %</span>' in text
    assert "The recording cannot be read. Not charged." in text
    assert ">1:05<" in text
    assert "162.5" in text
    held = wallet_get(workspace=studio).held_mcr
    assert held == queued.price_mcr + running.price_mcr


def test_what_is_looked_for_stands_in_the_address(
    client: Client, studio: Workspace, tmp_path: Path
):
    song = make_asset(studio, tmp_path, name="My Song.wav")
    other = make_asset(studio, tmp_path, name="talk.wav")
    key = api_key_authenticate(make_key(studio))
    order = Order(asset_uuid=song.uuid, service="separation", stems=("vocals",), model="htdemucs")
    by_key = job_create(workspace=studio, api_key=key, order=order)
    stems = make_job(studio, song)
    speakers = make_speaker_job(studio, other)
    job_cancel(workspace=studio, job_uuid=stems.uuid)
    Job.objects.filter(pk=by_key.pk).update(created_at=Now() - timedelta(days=3))
    day = (timezone.now() - timedelta(days=1)).date()
    for query, expected in {
        "": [speakers, stems, by_key],
        "status=active": [speakers, by_key],
        "status=cancelled": [stems],
        "status=wrong": [speakers, stems, by_key],
        "service=speaker_extraction": [speakers],
        f"key={key.uuid}": [by_key],
        "key=none": [speakers, stems],
        f"from={day}": [speakers, stems],
        f"to={day}": [by_key],
        "from=yesterday": [speakers, stems, by_key],
        "q=my+song": [stems, by_key],
        f"q={str(stems.uuid)[:8]}": [stems],
        f"q={stems.uuid}": [stems],
        "q=%25": [],
        "q=%00": [speakers, stems, by_key],
        "sort=oldest": [by_key, stems, speakers],
    }.items():
        text = body_of(client.get(f"/app/jobs?{query}"))
        assert ids_of(text) == [str(job.uuid) for job in expected], query
    text = body_of(client.get("/app/jobs?q=song&status=cancelled"))
    for chip in ("All <span", "Cancelled <span", "In progress <span"):
        assert chip in text
    assert 'aria-current="true">Cancelled <span class="tabular">1</span>' in text
    assert '>All <span class="tabular">2</span>' in text


def test_pages_lead_on_and_back(
    client: Client, studio: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("web.app.jobs._PAGE_SIZE", 2)
    asset = make_asset(studio, tmp_path)
    ids = [str(make_job(studio, asset).uuid) for _ in range(5)][::-1]

    def turn(query: str, rel: str) -> tuple[list[str], str]:
        text = body_of(client.get(f"/app/jobs{query}"))
        links = {attrs.get("rel"): attrs["href"] for attrs in Page(text).all("a")}
        return ids_of(text), links.get(rel, "")

    first, on = turn("?q=song", "next")
    second, on = turn(on, "next")
    third, nothing = turn(on, "next")
    assert [first, second, third] == [ids[:2], ids[2:4], ids[4:]]
    assert nothing == ""
    again, back = turn(on, "prev")
    assert again == third
    assert turn(back, "prev")[0] == second
    assert turn(f"?sort=oldest&after={ids[3]}", "next")[0] == [ids[2], ids[1]]
    assert turn(f"?after={uuid4()}", "next")[0] == first
    # The page after a job that was deleted meanwhile.
    job_cancel(workspace=studio, job_uuid=UUID(ids[1]))
    client.post("/app/jobs/act", {"action": "delete", "job": ids[1], "confirmed": "1"})
    assert turn(f"?after={ids[1]}", "next")[0] == second


def test_a_long_list_asks_the_database_no_more_often(
    client: Client, studio: Workspace, tmp_path: Path, settings: Any
):
    settings.ETA_LOOK_SECONDS = 60
    asset = make_asset(studio, tmp_path)

    def queries() -> int:
        client.get("/app/jobs")
        with CaptureQueriesContext(connection) as captured:
            body_of(client.get("/app/jobs"))
        return len(captured)

    make_job(studio, asset)
    few = queries()
    for _ in range(9):
        make_job(studio, asset)
    assert queries() == few


def test_several_are_done_at_once_and_what_cannot_be_done_is_said(
    client: Client, studio: Workspace, tmp_path: Path
):
    first = failed(make_job(studio, make_asset(studio, tmp_path, name="broken.wav")))
    second = make_job(studio, make_asset(studio, tmp_path, name="other.wav"))
    both = [str(first.uuid), str(second.uuid)]
    response = client.post("/app/jobs/act", {"action": "retry", "job": both}, follow=True)
    text = body_of(response)
    assert "1 job ordered again." in text
    assert "other.wav: Only a job that failed or was cancelled can be retried." in text
    assert Job.objects.filter(retry_of=first).count() == 1
    response = client.post("/app/jobs/act", {"action": "cancel", "job": both}, follow=True)
    assert "1 job is being stopped." in body_of(response)
    second.refresh_from_db()
    assert second.state == JobState.CANCELLED
    # Without scripts, a question comes before anything is deleted.
    text = body_of(client.post("/app/jobs/act", {"action": "delete", "job": both}))
    assert "Delete these 2 jobs?" in text
    assert Job.objects.filter(deleted_at=None).count() == 3
    body = {"action": "delete", "job": [*both, str(uuid4())], "confirmed": "1"}
    answer = client.post("/app/jobs/act", body, headers={"Accept": "application/json"}).json()
    assert answer == {"said": "2 jobs deleted.", "problems": ["There is no such job."]}
    assert Job.objects.filter(deleted_at=None).count() == 1
    assert "Choose jobs first." in body_of(
        client.post("/app/jobs/act", {"action": "cancel"}, follow=True)
    )
    assert "cannot be done with" in body_of(
        client.post("/app/jobs/act", {"action": "burn", "job": both}), status=400
    )
    many = [str(uuid4()) for _ in range(101)]
    body_of(client.post("/app/jobs/act", {"action": "cancel", "job": many}), status=400)


def test_it_leads_back_to_where_it_was_asked_and_nowhere_else(
    client: Client, studio: Workspace, tmp_path: Path
):
    job = make_job(studio, make_asset(studio, tmp_path))
    own = f"http://testserver/app/jobs/{job.uuid}"
    for referer, expected in {
        "http://testserver/app/jobs?q=a": "http://testserver/app/jobs?q=a",
        own: own,
        "https://evil.example/app/jobs": "/app/jobs",
        "http://testserver/app/keys": "/app/jobs",
    }.items():
        body = {"action": "cancel", "job": str(job.uuid)}
        response = client.post("/app/jobs/act", body, headers={"Referer": referer})
        assert response["Location"] == expected
    body = {"action": "delete", "job": str(job.uuid), "confirmed": "1"}
    response = client.post("/app/jobs/act", body, headers={"Referer": own})
    assert response["Location"] == "/app/jobs"


def test_several_jobs_are_one_download(
    client: Client, studio: Workspace, tmp_path: Path, fake_separation: Any
):
    asset = make_asset(studio, tmp_path, name="song.wav")
    jobs = [make_job(studio, asset, stems=("vocals", "drums")) for _ in range(2)]
    run_jobs()
    waiting = make_job(studio, asset)
    query = "&".join(f"job={job.uuid}" for job in (*jobs, waiting))
    response = client.get(f"/app/jobs/zip?{query}")
    content = b"".join(response.streaming_content)  # type: ignore[attr-defined]
    assert len(content) == int(response["Content-Length"])
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        folders = {name.partition("/")[0] for name in archive.namelist()}
        assert (folders, len(archive.namelist())) == ({"song", "song (2)"}, 4)
    head = client.head(f"/app/jobs/zip?{query}")
    assert (head["Content-Length"], head.content) == (str(len(content)), b"")
    assert client.get(f"/app/jobs/zip?job={waiting.uuid}").status_code == 404
    assert client.get("/app/jobs/zip?job=x").status_code == 404
    single = client.get(f"/app/jobs/{jobs[0].uuid}/zip")
    assert single["Content-Disposition"] == 'attachment; filename="song.zip"'
    b"".join(single.streaming_content)  # type: ignore[attr-defined]


def test_the_page_of_a_job_that_is_done(
    client: Client, studio: Workspace, tmp_path: Path, fake_separation: Any
):
    asset = make_asset(studio, tmp_path, name="Ähm <b>.wav", seconds=4)
    order = Order(
        asset_uuid=asset.uuid,
        stems=("vocals", "drums"),
        model="htdemucs",
        more_formats=("flac",),
        metadata={"album": 'It\'s "one"'},
    )
    job = job_create(workspace=studio, api_key=None, order=order)
    run_jobs()
    Job.objects.filter(pk=job.pk).update(range_start=44_100, range_end=132_300)
    text = body_of(client.get(f"/app/jobs/{job.uuid}"))
    assert "Ähm &lt;b&gt;.wav" in text
    assert "kept until" in text
    assert "1.00 s – 3.00 s" in text
    assert "<dt>In the ledger</dt><dd>-10," in text
    # Each file once, and what sounds where the player cannot.
    assert text.count(f"/app/jobs/{job.uuid}/files/") == 4 + 1
    assert "&quot;album&quot;: &quot;It" in text
    for event in ("Put into the queue", "Started", "Done"):
        assert event in text
    assert "X-API-Key: $STEMWRIGHT_KEY" in text
    assert "ap_" not in text
    output = job.stem_assets.first()
    assert output is not None
    response = client.get(f"/app/jobs/{job.uuid}/files/{output.uuid}")
    assert response.status_code == 302
    download = Client().get(response["Location"])
    assert b"".join(download.streaming_content)[:4] == b"RIFF"  # type: ignore[attr-defined]
    again = f"/app/new?asset={asset.uuid}&amp;service=separation"
    assert again in text
    assert again in body_of(client.get("/app/jobs"))
    assert "Ähm" in body_of(client.get(again.replace("&amp;", "&")))
    # The recording is not one of its files.
    assert client.get(f"/app/jobs/{job.uuid}/files/{asset.uuid}").status_code == 404


def test_the_page_of_a_job_that_failed_says_why(client: Client, studio: Workspace, tmp_path: Path):
    job = failed(make_job(studio, make_asset(studio, tmp_path)))
    text = body_of(client.get(f"/app/jobs/{job.uuid}"))
    assert "The recording cannot be read." in text
    assert "You were not charged." in text
    assert "<code>broken_media</code>" in text
    assert 'value="retry"' in text
    assert job.asset is not None
    asset_delete(workspace=studio, asset_uuid=job.asset.uuid)
    assert 'value="retry"' not in body_of(client.get(f"/app/jobs/{job.uuid}"))


def test_the_page_of_a_job_that_waits_for_its_recording(client: Client, studio: Workspace):
    order = Order(url="https://example.org/a%20song.mp3?secret=1", stems=("vocals",))
    job = job_create(workspace=studio, api_key=None, order=order)
    text = body_of(client.get(f"/app/jobs/{job.uuid}"))
    assert "<title>a song.mp3" in text
    assert "Fetching the recording" in text
    assert "known once the recording is here" in text
    assert "a song.mp3" in body_of(client.get("/app/jobs?q=song"))


@pytest.mark.parametrize(
    ("service", "result", "expected"),
    [
        (
            "analysis",
            {
                "tempo": {"bpm": 120.04, "min_bpm": 118, "max_bpm": 122.5, "confidence": 0.9},
                "key": {"tonic": "F#", "scale": "minor", "camelot": "11A", "confidence": 0.71},
            },
            [
                "120.0 beats a minute (from 118.0 to 122.5), 90 % sure",
                "F# minor (11A), 71 % sure",
            ],
        ),
        (
            "analysis",
            {"tempo": {"bpm": None}, "key": {"tonic": None}},
            ["No beat was heard.", "No key was found."],
        ),
        (
            "transcription",
            {"notes": 1200, "instruments": [{"name": "Grand Piano", "notes": []}]},
            ["1,200 notes: Grand Piano"],
        ),
        ("transcription", {"notes": 0, "instruments": []}, ["No notes were heard."]),
    ],
)
def test_what_was_found_is_told_in_words(
    client: Client,
    studio: Workspace,
    tmp_path: Path,
    service: str,
    result: dict[str, Any],
    expected: list[str],
):
    job = make_job(studio, make_asset(studio, tmp_path))
    Job.objects.filter(pk=job.pk).update(
        service=service, stems=[], state=JobState.SUCCEEDED, finished_at=Now(), result=result
    )
    text = body_of(client.get(f"/app/jobs/{job.uuid}"))
    for words in expected:
        assert words in text


def test_every_event_of_a_job_has_words(client: Client, studio: Workspace, tmp_path: Path):
    job = make_job(studio, make_asset(studio, tmp_path))
    JobEvent.objects.create(job=job, kind="requeued", attempt=2, detail="worker_lost")
    text = body_of(client.get(f"/app/jobs/{job.uuid}"))
    assert "Put back into the queue to be tried again" in text
    assert "worker_lost" in text
    assert "attempt 2" in text


def test_speakers_are_named_on_the_page(client: Client, studio: Workspace, tmp_path: Path):
    job = make_spoken_job(studio, make_asset(studio, tmp_path, name="talk.wav"))
    text = body_of(client.get(f"/app/jobs/{job.uuid}"))
    assert "2 speakers" in text
    assert "2 turns, as a list" in text
    names = {"names.SPEAKER_0": "Ada", "names.SPEAKER_1": ""}
    response = client.post(f"/app/jobs/{job.uuid}/names", names, follow=True)
    assert "The names are saved." in body_of(response)
    assert 'value="Ada"' in body_of(client.get(f"/app/jobs/{job.uuid}"))
    names = {"names.SPEAKER_0": "Ada", "names.SPEAKER_1": "ada"}
    text = body_of(client.post(f"/app/jobs/{job.uuid}/names", names), status=400)
    assert "Another speaker is called so." in text
    assert 'value="ada"' in text
    for form, start in {"rttm": b"SPEAKER", "vtt": b"WEBVTT", "json": b"{"}.items():
        response = client.get(f"/app/jobs/{job.uuid}/timeline/{form}")
        assert response.content.startswith(start)
        assert f'"talk.{form}"' in response["Content-Disposition"]
        assert b"Ada" in response.content
    assert client.get(f"/app/jobs/{job.uuid}/timeline/pdf").status_code == 400


def test_speakers_are_made_one_by_a_free_job(client: Client, studio: Workspace, tmp_path: Path):
    job = make_spoken_job(studio, make_asset(studio, tmp_path))
    path = f"/app/jobs/{job.uuid}/merge"
    text = body_of(client.post(path, {"speaker": ["SPEAKER_0", "SPEAKER_9"]}), status=400)
    assert "Choose at least two speakers that are one." in text
    assert Job.objects.count() == 1
    response = client.post(path, {"speaker": ["SPEAKER_1", "SPEAKER_0"]})
    merged = Job.objects.get(source_job=job)
    assert response["Location"] == f"/app/jobs/{merged.uuid}"
    assert merged.price_mcr == 0
    text = body_of(client.get(f"/app/jobs/{merged.uuid}"))
    assert f"/app/jobs/{job.uuid}" in text
    assert "STEMWRIGHT_KEY" not in text


def test_turns_come_by_pages(
    client: Client, studio: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("web.app.speakers_view._TURNS_A_PAGE", 1)
    job = make_spoken_job(studio, make_asset(studio, tmp_path))
    assert "1 / 2" in body_of(client.get(f"/app/jobs/{job.uuid}"))
    text = body_of(client.get(f"/app/jobs/{job.uuid}?turns=2"))
    assert "2 / 2" in text
    assert "00:00.1" in text
    for wrong in ("9", "-1", "x", "9" * 30):
        body_of(client.get(f"/app/jobs/{job.uuid}?turns={wrong}"))


def test_who_may_what(owner: User, studio: Workspace, tmp_path: Path):
    job = make_spoken_job(studio, make_asset(studio, tmp_path))
    waiting = make_job(studio, make_asset(studio, tmp_path))
    viewer = client_of(make_member(studio, Role.VIEWER))
    text = body_of(viewer.get("/app/jobs"))
    assert ids_of(text) == [str(waiting.uuid), str(job.uuid)]
    assert 'value="delete"' not in text
    assert 'value="cancel"' not in text
    text = body_of(viewer.get(f"/app/jobs/{job.uuid}"))
    assert "<form" not in text.partition("<main")[2].partition("</main>")[0]
    for path, body in {
        "/app/jobs/act": {"action": "cancel", "job": str(waiting.uuid)},
        f"/app/jobs/{job.uuid}/names": {"names.SPEAKER_0": "Eve"},
        f"/app/jobs/{job.uuid}/merge": {"speaker": ["SPEAKER_0", "SPEAKER_1"]},
    }.items():
        body_of(viewer.post(path, body), status=403)
    waiting.refresh_from_db()
    assert waiting.state == JobState.QUEUED
    assert speakers_get_for_workspace(workspace=studio, job_uuid=job.uuid).row.names == {}
    payer = client_of(make_member(studio, Role.BILLING))
    for path in ("/app/jobs", f"/app/jobs/{job.uuid}", "/app/events", "/app/jobs/zip"):
        body_of(payer.get(path), status=403)
    text = body_of(payer.get("/app/"))
    assert str(job.uuid) not in text
    assert "/app/jobs" not in text


def test_strangers_find_nothing(studio: Workspace, tmp_path: Path):
    job = make_spoken_job(studio, make_asset(studio, tmp_path))
    stranger = client_of(make_member(make_workspace("Other", credits=0), Role.OWNER))
    paths = ["", "/zip", f"/files/{uuid4()}", "/timeline/rttm"]
    for path in paths:
        body_of(stranger.get(f"/app/jobs/{job.uuid}{path}"), status=404)
    for path in ("names", "merge"):
        body_of(stranger.post(f"/app/jobs/{job.uuid}/{path}", {}), status=404)
    body = {"action": "delete", "job": str(job.uuid), "confirmed": "1"}
    assert "There is no such job." in body_of(stranger.post("/app/jobs/act", body, follow=True))
    body_of(stranger.get(f"/app/jobs/zip?job={job.uuid}"), status=404)
    assert ids_of(body_of(stranger.get("/app/jobs"))) == []
    job.refresh_from_db()
    assert job.deleted_at is None


def test_the_overview_says_what_matters(client: Client, studio: Workspace, tmp_path: Path):
    text = body_of(client.get("/app/"))
    assert "First steps" in text
    assert "Take the first recording apart" in text
    job = failed(make_job(studio, make_asset(studio, tmp_path)))
    waiting = make_job(studio, make_asset(studio, tmp_path))
    text = body_of(client.get("/app/"))
    assert ids_of(text) == [str(waiting.uuid), str(job.uuid)]
    assert "1 job failed in the last 7 days" in text
    assert "2.5 held by jobs" in text
    make_key(studio)
    make_member(studio, Role.VIEWER)
    assert "First steps" not in body_of(client.get("/app/"))
