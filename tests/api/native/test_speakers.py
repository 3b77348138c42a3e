"""Speaker extraction through the API, from the order to the merge."""

import csv
import io
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from billing.selectors import ledger_discrepancies, wallet_get
from jobs.models import Asset, Job, JobTimeline
from jobs.services import asset_create, asset_delete, job_delete
from tests.makers import (
    make_asset,
    make_grant,
    make_job,
    make_key,
    make_speaker_job,
    make_wav,
    make_workspace,
    run_jobs,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_beats")]

JSON = "application/json"


@pytest.fixture
def asset(alice: Any, tmp_path: Path) -> Asset:
    return make_asset(alice, tmp_path, name="meeting.wav", seconds=2)


@pytest.fixture
def job(alice: Any, asset: Asset, fake_diarization: list[Any]) -> Job:
    """A job of Alice's that found SPEAKER_0, SPEAKER_1 and SPEAKER_2."""
    job = make_speaker_job(alice, asset)
    run_jobs()
    return job


@pytest.fixture
def path(job: Job) -> str:
    return f"/v1/jobs/{job.uuid}"


def order(client: Client, asset: Asset, **body: Any) -> Any:
    body = {"asset": str(asset.uuid), "service": "speaker_extraction", **body}
    return client.post("/v1/jobs", body, JSON)


def rename(client: Client, path: str, **names: str) -> Any:
    return client.patch(f"{path}/speakers", {"names": names}, JSON)


def merge(client: Client, path: str, *groups: list[str], **headers: str) -> Any:
    return client.post(f"{path}/speakers/merge", {"groups": groups}, JSON, headers=headers)


def text(response: Any) -> str:
    return str(response.content.decode())


def test_it_works(alice_client: Client, asset: Asset, fake_diarization: list[Any]):
    response = order(alice_client, asset, options={"num_speakers": 3}, format="flac")
    assert response.status_code == 201
    body = response.json()
    assert (body["service"], body["model"]) == ("speaker_extraction", "pyannote-wespeaker")
    assert (body["stems"], body["price_mcr"], body["step"]) == ([], 55_000, "")
    assert body["source_job"] is None
    assert body["options"] == {
        "num_speakers": 3,
        "min_speakers": None,
        "max_speakers": None,
        "pauses": "keep",
        "loudness": None,
        "denoise": False,
        "overlap": "separate",
        "clips": True,
    }
    assert alice_client.get("/v1/credits").json()["held_mcr"] == 55_000

    run_jobs()
    assert fake_diarization[0]["count"].exact == 3
    body = alice_client.get(f"/v1/jobs/{body['id']}").json()
    assert (body["status"], body["charged_mcr"], body["credits_charged"]) == (
        "succeeded",
        55_000,
        "55",
    )
    found = [(output["kind"], output["stem"], output["format"]) for output in body["outputs"]]
    labels = ["SPEAKER_0", "SPEAKER_1", "SPEAKER_2"]
    assert found == [
        *[("track", label, "flac16") for label in labels],
        *[("clip", label, "flac16") for label in labels],
    ]
    assert alice_client.get("/v1/credits").json()["balance_mcr"] == 45_000
    assert ledger_discrepancies() == []


def test_the_speakers_with_their_numbers_and_files(
    alice_client: Client, client: Client, job: Job, path: str
):
    body = alice_client.get(f"{path}/speakers").json()
    assert (body["job"], body["duration_s"], body["merges_left"]) == (str(job.uuid), 2.0, 20)
    assert body["overlaps"] == [
        {"start_s": 0.7, "end_s": 0.8, "speakers": ["SPEAKER_0", "SPEAKER_1"]}
    ]
    first = body["speakers"][0]
    numbers = ("speaker", "name", "turns", "talk_s", "longest_turn_s", "overlap_s")
    assert [first[name] for name in numbers] == ["SPEAKER_0", None, 1, 0.8, 0.8, 0.1]
    assert (first["share"], first["mean_confidence"]) == (0.4211, 0.9)
    assert -20 < first["rms_db"] < -5
    assert -25 < first["lufs"] < -5
    assert 0.1 < first["peak"] < 1
    outputs = {output["id"]: output for output in alice_client.get(path).json()["outputs"]}
    for speaker in body["speakers"]:
        for kind in ("track", "clip"):
            output = speaker[kind]
            known = outputs[output["id"]]
            assert (known["kind"], known["stem"]) == (kind, speaker["speaker"])
            assert output["filename"] == known["filename"]
            response: Any = client.get(output["download_url"])
            assert response.status_code == 200
            assert len(b"".join(response.streaming_content)) == output["size_bytes"]


def test_a_deleted_track_is_not_shown(alice_client: Client, alice: Any, job: Job, path: str):
    track = job.stem_assets.get(stem="SPEAKER_1", kind="track")
    asset_delete(workspace=alice, asset_uuid=track.uuid)
    speakers = alice_client.get(f"{path}/speakers").json()["speakers"]
    assert [speaker["track"] is None for speaker in speakers] == [False, True, False]
    assert [speaker["clip"] is None for speaker in speakers] == [False, False, False]


@pytest.mark.parametrize(
    ("format_name", "content_type", "filename"),
    [
        ("rttm", "text/plain; charset=utf-8", "meeting.rttm"),
        ("json", "application/json", "meeting.json"),
        ("csv", "text/csv; charset=utf-8", "meeting.csv"),
        ("vtt", "text/vtt; charset=utf-8", "meeting.vtt"),
        ("labels", "text/plain; charset=utf-8", "meeting.txt"),
    ],
)
def test_the_timeline_as_a_text(
    alice_client: Client,
    client: Client,
    path: str,
    format_name: str,
    content_type: str,
    filename: str,
):
    response = alice_client.get(f"{path}/timeline", {"format": format_name})
    assert (response.status_code, response.headers["Content-Type"]) == (200, content_type)
    assert response.headers["Content-Disposition"] == f'attachment; filename="{filename}"'
    assert response.headers["Cache-Control"] == "private, no-store"
    content = text(response)
    assert content.count("SPEAKER_1") >= 2
    # The same by a link, for whoever has it.
    link = alice_client.get(f"{path}/speakers").json()["timelines"][format_name]
    response = client.get(link)
    assert (response.status_code, text(response)) == (200, content)
    assert response.headers["Content-Disposition"] == f'attachment; filename="{filename}"'


def test_the_texts_hold_the_turns(alice_client: Client, path: str):
    rttm = text(alice_client.get(f"{path}/timeline")).splitlines()
    assert rttm[0] == "SPEAKER meeting 1 0.000 0.800 <NA> <NA> SPEAKER_0 <NA> <NA>"
    assert len(rttm) == 4
    rows = list(csv.DictReader(io.StringIO(text(alice_client.get(f"{path}/timeline?format=csv")))))
    assert [(row["start_s"], row["speaker"]) for row in rows] == [
        ("0.000", "SPEAKER_0"),
        ("0.700", "SPEAKER_1"),
        ("1.200", "SPEAKER_2"),
        ("1.600", "SPEAKER_1"),
    ]
    values = alice_client.get(f"{path}/timeline?format=json").json()
    assert values["turns"][1] == {
        "start_s": 0.7,
        "end_s": 1.2,
        "speaker": "SPEAKER_1",
        "confidence": 0.8,
    }
    assert [row["speaker"] for row in values["speakers"]] == ["SPEAKER_0", "SPEAKER_1", "SPEAKER_2"]


@pytest.mark.parametrize("name", ["docx", "", "RTTM", "../rttm"])
def test_an_unknown_format_is_refused(alice_client: Client, path: str, name: str):
    response = alice_client.get(f"{path}/timeline", {"format": name})
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (400, "validation_failed")
    assert error["fields"] == {"format": ["This must be one of: rttm, json, csv, vtt, labels."]}


def test_a_link_ends_with_its_time_and_with_the_job(
    alice_client: Client, client: Client, alice: Any, job: Job, path: str, settings: Any
):
    link = alice_client.get(f"{path}/speakers").json()["timelines"]["rttm"]
    assert client.get(link).status_code == 200
    assert client.get(link[:-1] + ("a" if link[-1] != "a" else "b")).status_code == 404
    later = timezone.now() + timedelta(seconds=settings.DOWNLOAD_URL_SECONDS + 1)
    with time_machine.travel(later, tick=False):
        assert client.get(link).status_code == 404
    job_delete(workspace=alice, job_uuid=job.uuid)
    response = client.get(link)
    assert (response.status_code, response.json()["error"]["code"]) == (404, "not_found")


def test_a_link_to_a_file_is_no_link_to_a_timeline(alice_client: Client, client: Client, path: str):
    body = alice_client.get(f"{path}/speakers").json()
    of_file = body["speakers"][0]["track"]["download_url"].rpartition("/")[2]
    of_text = body["timelines"]["rttm"].rpartition("/")[2]
    assert client.get(f"/v1/timelines/{of_file}").status_code == 404
    assert client.get(f"/v1/downloads/{of_text}").status_code == 404


def test_names_show_everywhere_at_once(alice_client: Client, client: Client, path: str):
    before = alice_client.get("/v1/credits").json()
    link = alice_client.get(f"{path}/speakers").json()["timelines"]["vtt"]
    response = rename(alice_client, path, SPEAKER_0="Alice Öz", SPEAKER_1="=Bob")
    assert response.status_code == 200
    speakers = response.json()["speakers"]
    assert [speaker["name"] for speaker in speakers] == ["Alice Öz", "=Bob", None]
    assert [speaker["speaker"] for speaker in speakers] == ["SPEAKER_0", "SPEAKER_1", "SPEAKER_2"]
    assert speakers[0]["track"]["filename"] == "meeting (Alice Öz).wav"
    assert speakers[0]["clip"]["filename"] == "meeting (Alice Öz, sample).wav"
    assert "Alice Öz" in text(client.get(link))
    # No cell of a spreadsheet is a formula.
    assert ",'=Bob," in text(alice_client.get(f"{path}/timeline?format=csv"))
    assert " Alice_Öz <NA>" in text(alice_client.get(f"{path}/timeline?format=rttm"))
    response = client.get(speakers[0]["track"]["download_url"])
    response.close()
    assert "meeting%20%28Alice%20%C3%96z%29.wav" in response.headers["Content-Disposition"]
    assert alice_client.get("/v1/credits").json() == before
    assert rename(alice_client, path, SPEAKER_0="").json()["speakers"][0]["name"] is None


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "names"),
        ({"names": {}}, "names"),
        ({"names": ["Alice"]}, "names"),
        ({"names": {"SPEAKER_0": None}}, "names.SPEAKER_0"),
        ({"names": {"SPEAKER_0": {"first": "Alice"}}}, "names.SPEAKER_0"),
        ({"names": {"SPEAKER_0": "x" * 81}}, "names.SPEAKER_0"),
        ({"names": {"SPEAKER_0": "x" * 4000}}, "names.SPEAKER_0"),
        ({"names": {"SPEAKER_0": "a\u0007b"}}, "names.SPEAKER_0"),
        ({"names": {"SPEAKER_0": "Al", "SPEAKER_2": "AL"}}, "names.SPEAKER_2"),
        ({"names": {"SPEAKER_7": "Al"}}, "names.SPEAKER_7"),
        ({"names": {"SPEAKER_0": "Al"}, "job": "x"}, "job"),
    ],
)
def test_bad_names_are_refused(alice_client: Client, path: str, body: dict[str, Any], field: str):
    response = alice_client.patch(f"{path}/speakers", body, JSON)
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (400, "validation_failed")
    assert field in error["fields"]
    assert JobTimeline.objects.get().names == {}


def test_it_merges(alice_client: Client, alice: Any, job: Job, path: str):
    rename(alice_client, path, SPEAKER_1="Bob")
    before = wallet_get(workspace=alice).posted_mcr
    response = merge(alice_client, path, ["SPEAKER_0", "SPEAKER_2"])
    assert response.status_code == 201
    body = response.json()
    assert (body["service"], body["price_mcr"]) == ("speaker_extraction", 0)
    assert (body["source_job"], body["asset"]) == (str(job.uuid), str(job.recording.uuid))
    merged = f"/v1/jobs/{body['id']}"
    refused = alice_client.get(f"{merged}/speakers")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "wrong_state")
    run_jobs()
    body = alice_client.get(f"{merged}/speakers").json()
    assert [(speaker["speaker"], speaker["name"]) for speaker in body["speakers"]] == [
        ("SPEAKER_0", None),
        ("SPEAKER_1", "Bob"),
    ]
    assert body["merges_left"] == 19
    assert alice_client.get(merged).json()["charged_mcr"] == 0
    assert wallet_get(workspace=alice).posted_mcr == before


def test_a_repeated_merge_under_one_key_is_one_job(alice_client: Client, path: str):
    first, second = (
        merge(alice_client, path, ["SPEAKER_0", "SPEAKER_1"], **{"Idempotency-Key": "k"})
        for _ in range(2)
    )
    assert (first.status_code, first.json()["id"]) == (201, second.json()["id"])
    other = merge(alice_client, path, ["SPEAKER_0", "SPEAKER_2"], **{"Idempotency-Key": "k"})
    assert (other.status_code, other.json()["error"]["code"]) == (422, "idempotency_conflict")
    assert Job.objects.count() == 2


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"groups": []},
        {"groups": [["SPEAKER_0"]]},
        {"groups": ["SPEAKER_0", "SPEAKER_1"]},
        {"groups": [["SPEAKER_0", "SPEAKER_9"]]},
        {"groups": [["SPEAKER_0", "SPEAKER_1"]], "pauses": "close"},
    ],
)
def test_bad_groups_are_refused(alice_client: Client, path: str, body: dict[str, Any]):
    response = alice_client.post(f"{path}/speakers/merge", body, JSON)
    assert (response.status_code, response.json()["error"]["code"]) == (400, "validation_failed")
    assert Job.objects.count() == 1


def test_without_its_recording_a_merge_is_refused(
    alice_client: Client, alice: Any, job: Job, path: str
):
    asset_delete(workspace=alice, asset_uuid=job.recording.uuid)
    response = merge(alice_client, path, ["SPEAKER_0", "SPEAKER_1"])
    assert (response.status_code, response.json()["error"]["code"]) == (409, "recording_gone")


def test_a_separation_has_no_speakers(alice_client: Client, alice: Any, asset: Asset):
    job = make_job(alice, asset)
    for response in (
        alice_client.get(f"/v1/jobs/{job.uuid}/speakers"),
        alice_client.get(f"/v1/jobs/{job.uuid}/timeline?format=rttm"),
        rename(alice_client, f"/v1/jobs/{job.uuid}", SPEAKER_0="Alice"),
        merge(alice_client, f"/v1/jobs/{job.uuid}", ["SPEAKER_0", "SPEAKER_1"]),
    ):
        error = response.json()["error"]
        assert (response.status_code, error["code"]) == (409, "wrong_state")
        assert error["message"] == "This job looked for no speakers."


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        ({"stems": ["vocals"]}, 400, "validation_failed", "stems"),
        ({"model": "htdemucs"}, 400, "unknown_model", ""),
        ({"model": "deepfilternet3"}, 400, "unknown_model", ""),
        ({"format": "au"}, 400, "unsupported_format", ""),
        ({"num_speakers": 2}, 400, "validation_failed", "num_speakers"),
        ({"options": []}, 400, "validation_failed", "options.non_field_errors"),
        ({"options": {"speakers": 2}}, 400, "validation_failed", "options.speakers"),
        ({"options": {"num_speakers": 0}}, 400, "validation_failed", "options.num_speakers"),
        ({"options": {"num_speakers": 21}}, 400, "validation_failed", "options.num_speakers"),
        ({"options": {"num_speakers": "two"}}, 400, "validation_failed", "options.num_speakers"),
        (
            {"options": {"min_speakers": 5, "max_speakers": 4}},
            400,
            "validation_failed",
            "options.min_speakers",
        ),
        (
            {"options": {"num_speakers": 5, "max_speakers": 4}},
            400,
            "validation_failed",
            "options.num_speakers",
        ),
        ({"options": {"pauses": "cut"}}, 400, "validation_failed", "options.pauses"),
        ({"options": {"overlap": "all"}}, 400, "validation_failed", "options.overlap"),
        ({"options": {"loudness": 3}}, 400, "validation_failed", "options.loudness"),
        ({"options": {"loudness": "nan"}}, 400, "validation_failed", "options.loudness"),
        ({"options": {"denoise": "much"}}, 400, "validation_failed", "options.denoise"),
        ({"service": "separation", "options": {}}, 400, "validation_failed", "options"),
        (
            {"service": "separation", "model": "pyannote-wespeaker"},
            400,
            "unknown_model",
            "",
        ),
    ],
)
def test_a_bad_order_is_refused_before_anything_is_held(
    alice_client: Client,
    asset: Asset,
    body: dict[str, Any],
    status: int,
    code: str,
    field: str,
):
    body = {"asset": str(asset.uuid), "service": "speaker_extraction", **body}
    for path in ("/v1/jobs", "/v1/jobs/estimate"):
        response = alice_client.post(path, body, JSON)
        error = response.json()["error"]
        assert (response.status_code, error["code"]) == (status, code)
        assert not field or field in error["fields"]
    assert Job.objects.count() == 0
    assert alice_client.get("/v1/credits").json()["available_mcr"] == 100_000


def test_it_is_refused_where_the_model_is_not_installed(
    alice_client: Client, asset: Asset, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("STEMWRIGHT_CACHE_DIR", str(tmp_path / "empty"))
    for options, missing in (({}, "pyannote-wespeaker"), ({"denoise": True}, "deepfilternet3")):
        response = order(alice_client, asset, options=options)
        error = response.json()["error"]
        assert (response.status_code, error["code"]) == (503, "model_unavailable")
        assert missing in error["message"]
    assert alice_client.get("/v1/credits").json()["available_mcr"] == 100_000


def test_it_refuses_a_format_that_cannot_hold_the_recording(
    alice_client: Client, alice: Any, tmp_path: Path
):
    path = tmp_path / "fine.wav"
    path.write_bytes(make_wav(seconds=0.2, sample_rate=96_000))
    asset = asset_create(workspace=alice, filename="fine.wav", path=path)
    response = order(alice_client, asset, format="mp3")
    assert (response.status_code, response.json()["error"]["code"]) == (400, "unsupported_format")


@pytest.mark.parametrize(
    ("n_samples", "sample_rate", "price_mcr", "credits"),
    [
        # The examples of the price list.
        (4_800_000, 16_000, 8_250_000, "8250"),
        (39_690_000, 44_100, 24_750_000, "24750"),
        (86_400_000, 48_000, 49_500_000, "49500"),
        (172_800_000, 48_000, 99_000_000, "99000"),
        # Nothing is rounded but the last milli-credit, and that up.
        (1, 48_000, 1, "0.001"),
        (44_101, 44_100, 27_501, "27.501"),
        (999_999, 8_000, 3_437_497, "3437.497"),
    ],
)
def test_estimate_hold_and_charge_are_the_price(
    tmp_path: Path,
    fake_diarization: list[Any],
    n_samples: int,
    sample_rate: int,
    price_mcr: int,
    credits: str,
):
    workspace = make_workspace(credits=0)
    make_grant(workspace, price_mcr)
    client = Client(headers={"X-API-Key": make_key(workspace)})
    asset = make_asset(workspace, tmp_path, seconds=0.5)
    kept = {"n_samples": asset.n_samples, "sample_rate": asset.sample_rate}
    claimed = {"n_samples": n_samples, "sample_rate": sample_rate}
    Asset.objects.filter(pk=asset.pk).update(**claimed)
    body = {"asset": str(asset.uuid), "service": "speaker_extraction"}
    quote = client.post("/v1/jobs/estimate", body, JSON).json()
    assert (quote["credits_mcr"], quote["credits"], quote["stems"]) == (price_mcr, credits, [])
    job = order(client, asset).json()
    assert job["price_mcr"] == price_mcr
    assert client.get("/v1/credits").json()["available_mcr"] == 0
    # One milli-credit more is too much.
    refused = order(client, asset)
    assert (refused.status_code, refused.json()["error"]["data"]["required_mcr"]) == (
        402,
        price_mcr,
    )
    # The file is the short one that it is.
    Asset.objects.filter(pk=asset.pk).update(**kept)
    run_jobs()
    job = client.get(f"/v1/jobs/{job['id']}").json()
    assert (job["status"], job["charged_mcr"]) == ("succeeded", price_mcr)
    assert client.get("/v1/credits").json()["balance_mcr"] == 0
    assert ledger_discrepancies() == []
