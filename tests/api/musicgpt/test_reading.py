import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.db.models import F
from django.db.models.functions import Now
from django.test import Client

from api.musicgpt.ids import conversion_id_of, task_id_of
from jobs.models import Asset, AssetState, Job, OutputKind, Tally
from jobs.services import job_cancel
from jobs.storage import download_token_read
from jobs.tallies import FIT, fit_label
from tests.api.musicgpt.steps import URL, by_id, by_user, extract, job_of, refused, send, wav
from tests.makers import make_asset, make_job, run_jobs

pytestmark = pytest.mark.django_db


@pytest.fixture
def job(client: Client) -> Job:
    return job_of(extract(client, audio_file=wav(), stems='["drums", "vocals"]'))


def conversion(client: Client, job: Job, **query: Any) -> dict[str, Any]:
    response = by_id(client, task_id=job.uuid, **query)
    assert response.status_code == 200
    body = response.json()
    assert list(body) == ["success", "conversion"]
    assert body["success"] is True
    found: dict[str, Any] = body["conversion"]
    return found


def state(job: Job, **values: Any) -> None:
    Job.objects.filter(pk=job.pk).update(**values)


def output(job: Job, *, name: str, stem: str = "", kind: str = "recording") -> Asset:
    """As if the job had made it."""
    form, container = name.rsplit(".", 1)
    return Asset.objects.create(
        workspace=job.workspace,
        state=AssetState.READY,
        job=job,
        stem=stem,
        kind=kind,
        form=form,
        filename=name,
        storage_key=f"jobs/{job.uuid}/1/{stem}{name}",
        size_bytes=1,
        sha256="0" * 64,
        codec="x",
        container=container,
        sample_rate=44_100,
        channels=2,
        n_samples=44_100,
        layout="stereo",
        is_float=False,
        is_lossy=False,
    )


def file_of(link: str) -> Asset:
    """What a link opens, for seven days."""
    assert link.startswith("http://testserver/v1/")
    download = download_token_read(link.rsplit("/", 1)[1])
    assert 6 * 86_400 < download.seconds <= 7 * 86_400
    return Asset.objects.get(uuid=download.asset_uuid)


def done(job: Job, **values: Any) -> None:
    """Ended well, without anybody having worked on it."""
    state(job, state="succeeded", finished_at=Now(), charged_mcr=F("price_mcr"), **values)


def test_a_conversion_has_two_ids_that_are_found_from_each_other():
    task_id = uuid4()
    other = conversion_id_of(task_id)
    assert other != task_id
    assert (other.version, other.variant) == (task_id.version, task_id.variant)
    assert task_id_of(other) == task_id


def test_it_is_read_by_either_id(client: Client, job: Job):
    by_task = conversion(client, job)
    assert by_task["task_id"] == str(job.uuid)
    response = by_id(client, conversion_id=by_task["conversion_id"])
    assert response.json()["conversion"] == by_task
    for query in ({}, {"task_id": job.uuid, "conversion_id": by_task["conversion_id"]}):
        says = refused(by_id(client, **query), 422)
        assert says == "Send exactly one of task_id and conversion_id."
    # An empty text counts as none.
    assert by_id(client, task_id=job.uuid, conversion_id="").status_code == 200


@pytest.mark.parametrize("type", ["EXTRACTION", "extraction", "Extraction"])
def test_the_type_is_taken_in_any_case(client: Client, job: Job, type: str):
    assert conversion(client, job, conversionType=type)["conversion_type"] == "EXTRACTION"


@pytest.mark.parametrize(
    ("alias", "address", "type"),
    [
        ("DENOISE", "denoise", "DENOISING"),
        ("file_conversion", "file_convert", "FILE_CONVERT"),
        ("EXTRACT_KEY_BPM", "extract_key_bpm", "KEY_BPM_EXTRACTION"),
        ("key-bpm extraction", "extract_key_bpm", "KEY_BPM_EXTRACTION"),
    ],
)
def test_the_type_is_taken_as_clients_spell_it(client: Client, alias: str, address: str, type: str):
    job = job_of(send(client, address, audio_url=URL, target_format="mp3"))
    assert conversion(client, job, conversionType=alias)["conversion_type"] == type


def test_what_is_not_there_is_not_found(client: Client, job: Job):
    unknown = "There is no such conversion."
    assert refused(by_id(client, task_id=uuid4()), 404) == unknown
    # The other id of a job is no task.
    assert refused(by_id(client, task_id=conversion_id_of(job.uuid)), 404) == unknown
    for type in ("DENOISING", "MUSIC_AI"):
        assert refused(by_id(client, task_id=job.uuid, conversionType=type), 404) == unknown


def test_of_others_nothing_is_known(client: Client, stranger: Client, job: Job):
    assert refused(by_id(stranger, task_id=job.uuid), 404) == "There is no such conversion."
    refused(by_id(stranger, conversion_id=conversion_id_of(job.uuid)), 404)
    assert by_user(stranger).json()["conversions"] == []


def test_jobs_of_other_apis_are_unknown(client: Client, alice: Any, tmp_path: Path):
    job = make_job(alice, make_asset(alice, tmp_path))
    assert refused(by_id(client, task_id=job.uuid), 404) == "There is no such conversion."
    assert by_user(client).json()["conversions"] == []


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"task_id": "1"}, "task_id: This must be an id"),
        ({"task_id": "\0"}, "task_id: This must be an id"),
        ({"conversion_id": f"{{{uuid4()}}}"}, "conversion_id: This must be an id"),
        ({"task_id": uuid4(), "conversionType": ""}, "conversionType: Send one of EXTRACTION"),
        ({"task_id": uuid4(), "conversionType": "\0é"}, "conversionType: There is no such type"),
    ],
)
def test_wrong_parameters_are_named(client: Client, query: dict[str, Any], says: str):
    assert refused(by_id(client, **query), 422).startswith(says)


def test_its_status_follows_the_job(client: Client, job: Job):
    def told(**values: Any) -> tuple[str, str]:
        state(job, **values)
        body = conversion(client, job)
        return body["status"], body["status_msg"]

    assert told() == ("IN_QUEUE", "In queue")
    body = conversion(client, job)
    assert set(body) == {
        *("task_id", "conversion_id", "conversion_type", "status", "status_msg", "eta"),
        *("credit_estimate", "conversion_cost", "conversion_duration"),
        *("audio_url", "audio_url_wav", "conversion_path", "conversion_path_wav"),
        *("title", "lyrics", "music_style", "createdAt", "updatedAt"),
    }
    assert (body["audio_url"], body["audio_url_wav"]) == (None, None)
    assert (body["conversion_cost"], body["credit_estimate"]) == (0, 0.028)
    assert body["conversion_duration"] == 1.0
    assert told(state="running", lease_until=Now()) == ("IN_PROGRESS", "Conversion in progress")
    ended = {"lease_until": None, "finished_at": Now()}
    assert told(state="succeeded", **ended) == ("COMPLETED", "Conversion successful")
    failed = {"error_code": "broken_media", "error_message": "The recording cannot be read."}
    assert told(state="failed", **failed) == ("FAILED", "The recording cannot be read.")
    assert told(state="cancelled") == ("FAILED", "The conversion was cancelled")
    assert conversion(client, job)["eta"] == 0


def test_how_long_it_takes_is_told_once_it_was_measured(client: Client, job: Job):
    assert conversion(client, job)["eta"] == -1
    # Ten runs of a second of music, two seconds each.
    labels = {"service": "separation", "stems": fit_label(2)}
    sums = {"n": 10, "x": 10, "y": 20, "xx": 10, "xy": 20}
    for term, value in sums.items():
        Tally.objects.create(
            name=FIT, labels=json.dumps({**labels, "term": term}, sort_keys=True), value=value
        )
    assert conversion(client, job)["eta"] == 2
    # What comes before it is waited for.
    response = extract(client, audio_file=wav(seconds=3), stems='["drums", "vocals"]')
    assert response.json()["eta"] == 8
    assert by_user(client).json()["conversions"][0]["eta"] == 8


def test_of_an_address_nothing_is_known_yet(client: Client, alice: Any):
    job = job_of(extract(client, audio_url=URL, stems='["vocals"]'))
    body = conversion(client, job)
    assert (body["status"], body["status_msg"]) == ("IN_QUEUE", "The recording is being fetched")
    assert (body["eta"], body["credit_estimate"], body["conversion_duration"]) == (-1, -1, None)
    job_cancel(workspace=alice, job_uuid=job.uuid)
    assert conversion(client, job)["status"] == "FAILED"


def test_stems_are_texts_that_hold_json(client: Client, job: Job):
    files = {
        (stem, name): output(job, stem=stem, name=name, kind=OutputKind.STEM)
        for stem in ("vocals", "drums")
        for name in ("wav16.wav", "mp3.mp3")
    }
    done(job)
    body = conversion(client, job)
    for field, alias, name in (
        ("audio_url", "conversion_path", "mp3.mp3"),
        ("audio_url_wav", "conversion_path_wav", "wav16.wav"),
    ):
        assert body[field] == body[alias]
        links = json.loads(body[field])
        # In the order of the order.
        assert list(links) == ["drums", "vocals"]
        assert [file_of(link) for link in links.values()] == [
            files["drums", name],
            files["vocals", name],
        ]
    assert body["conversion_cost"] == 0.028


def test_names_of_stems_are_those_of_this_api(client: Client, job: Job):
    stems = {"lead_vocals": "lead_vocal", "lead_guitar": "solo_guitar", "kick": "kick_drum"}
    state(job, stems=list(stems))
    for stem in stems:
        output(job, stem=stem, name="wav16.wav", kind=OutputKind.STEM)
    done(job)
    body = conversion(client, job)
    assert list(json.loads(body["audio_url_wav"])) == list(stems.values())
    # There is no MP3 of them: the WAV takes its place.
    assert list(json.loads(body["audio_url"])) == list(stems.values())


def test_other_conversions_are_plain_addresses(client: Client):
    job = job_of(send(client, "denoise", audio_file=wav()))
    wave, small = output(job, name="wav16.wav"), output(job, name="mp3.mp3")
    done(job)
    body = conversion(client, job, conversionType="DENOISING")
    assert file_of(body["audio_url"]) == file_of(body["conversion_path"]) == small
    assert file_of(body["audio_url_wav"]) == file_of(body["conversion_path_wav"]) == wave
    assert "bpm" not in body


def test_key_and_tempo_are_told(client: Client):
    job = job_of(send(client, "extract_key_bpm", audio_file=wav()))
    result = {
        "tempo": {"bpm": 120.5, "min_bpm": 119.0, "max_bpm": 122.0, "beats_s": []},
        "key": {"tonic": "A", "scale": "minor", "camelot": "8A", "confidence": 0.9},
    }
    done(job, result=result)
    body = conversion(client, job, conversionType="KEY_BPM_EXTRACTION")
    assert (body["dominant_key"], body["bpm"], body["key_changes"]) == ("A minor", 120.5, {})
    # The recording that was listened to.
    assert body["conversion_path"] == body["audio_url"]
    assert file_of(body["audio_url"]) == job.recording
    # Neither beats nor a key were found.
    nothing = {"tonic": None, "scale": None, "camelot": None, "confidence": 0.0}
    done(job, result={"tempo": {"bpm": None}, "key": nothing})
    body = conversion(client, job, conversionType="KEY_BPM_EXTRACTION")
    assert (body["dominant_key"], body["bpm"]) == (None, None)


def test_notes_are_told_with_the_midi_file(client: Client):
    job = job_of(send(client, "extract_key_bpm", audio_file=wav()))
    state(job, service="transcription", dialect_data={"conversion_type": "AUDIO_TO_MIDI"})
    note = {"pitch": 60, "start": 0.0, "end": 0.5, "velocity": 0.8}
    midi = output(job, name="midi.midi", kind=OutputKind.NOTES)
    done(job, result={"notes": 1, "instruments": [{"name": "Piano", "notes": [note]}]})
    body = conversion(client, job, conversionType="AUDIO_TO_MIDI")
    assert file_of(body["midi_url"]) == file_of(body["audio_url"]) == midi
    assert body["audio_url_wav"] is None
    assert body["note_events"] == [{**note, "instrument": "Piano"}]
    # There may be many thousands.
    assert "note_events" not in by_user(client).json()["conversions"][0]


def test_a_job_that_was_worked_on_is_complete(
    client: Client, job: Job, fake_separation: list[dict[str, Any]]
):
    assert run_jobs() == 1
    body = conversion(client, job)
    assert body["status"] == "COMPLETED"
    links = json.loads(body["audio_url_wav"])
    for link in links.values():
        file = client.get(link.removeprefix("http://testserver"))
        assert file.status_code == 200
        assert b"".join(file.streaming_content)[:4] == b"RIFF"  # type: ignore[attr-defined]


def test_conversions_come_page_by_page_newest_first(client: Client):
    jobs = [job_of(extract(client, audio_url=URL, stems="vocals")) for _ in range(5)]
    ids = [str(job.uuid) for job in reversed(jobs)]

    def page(**query: Any) -> tuple[list[str], str | None]:
        response = by_user(client, **query)
        assert response.status_code == 200
        body = response.json()
        assert list(body) == ["success", "conversions", "LastEvaluatedKey"]
        return [one["task_id"] for one in body["conversions"]], body["LastEvaluatedKey"]

    assert page() == (ids, None)
    assert page(limit=5) == (ids, None)
    first, key = page(limit=2)
    assert first == ids[:2]
    # Newer ones do not move the pages.
    extract(client, audio_url=URL, stems="vocals")
    second, key = page(limit=2, LastEvaluatedKey=key)
    assert second == ids[2:4]
    assert page(limit=2, LastEvaluatedKey=key) == (ids[4:], None)
    oldest, key = page(limit=4, sortOrder="asc")
    assert oldest == ids[:0:-1]
    assert page(limit=4, sortOrder="ASC", LastEvaluatedKey=key)[0][0] == ids[0]


def test_conversions_are_chosen_by_type_and_time(client: Client):
    old = job_of(extract(client, audio_url=URL, stems="vocals"))
    new = job_of(send(client, "denoise", audio_url=URL))
    state(old, created_at=Now() - timedelta(days=10))
    old.refresh_from_db()

    def found(**query: Any) -> set[str]:
        conversions = by_user(client, **query).json()["conversions"]
        return {one["task_id"] for one in conversions}

    both = {str(old.uuid), str(new.uuid)}
    assert found() == found(conversionType="", startDate="", endDate="") == both
    assert found(conversionType="denoise") == {str(new.uuid)}
    assert found(conversionType="MUSIC_AI") == set()
    day = old.created_at.date().isoformat()
    moment = old.created_at.isoformat()
    assert found(startDate=moment) == both
    # The whole of a day is meant, and up to a moment.
    assert found(startDate=day, endDate=day) == found(endDate=day) == {str(old.uuid)}
    assert found(endDate=moment) == set()
    # A plus that was not escaped.
    assert found(endDate=moment.replace("+", " ")) == set()
    assert found(endDate=moment.replace("+00:00", "Z")) == set()
    # Time zones that Python knows and PostgreSQL does not.
    assert found(startDate="1970-01-01T00:00:00+23:59") == both
    assert found(endDate="9998-12-31T23:59:59-23:59") == both


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"limit": "0"}, "limit: "),
        ({"limit": "many"}, "limit: "),
        ({"limit": "9" * 50}, "limit: "),
        ({"sortOrder": "up"}, "sortOrder: Send ASC or DESC."),
        ({"startDate": "yesterday"}, "startDate: Send a day or a time"),
        ({"startDate": "2026-13-01"}, "startDate: Send a day or a time"),
        ({"endDate": "9999-12-31"}, "endDate: Send a day or a time"),
        ({"endDate": "0001-01-01T00:00:00+14:00"}, "endDate: Send a day or a time"),
        ({"LastEvaluatedKey": "x"}, "LastEvaluatedKey: Take it from the page before."),
        ({"LastEvaluatedKey": "é\0"}, "LastEvaluatedKey: Take it from the page before."),
        ({"LastEvaluatedKey": "YWZ0ZXI9LTE="}, "LastEvaluatedKey: Take it from"),
        ({"conversionType": "kazoo"}, "conversionType: There is no such type"),
    ],
)
def test_wrong_questions_are_refused(client: Client, query: dict[str, str], says: str):
    assert refused(by_user(client, **query), 422).startswith(says)
