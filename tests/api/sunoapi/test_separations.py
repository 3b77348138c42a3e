"""Orders of separations and their records."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db.models.functions import Now
from django.test import Client

from api.sunoapi.stems import ALL, TWELVE, stems_of_mode
from billing.selectors import wallet_get
from jobs.ingesting import run_next_ingest
from jobs.models import Asset, AssetState, Job, JobState
from jobs.services import asset_delete
from jobs.storage import download_token_read
from tests.api.sunoapi.steps import NO_ID, NOWHERE, info, pair_of, post, refused, separated
from tests.fakes.http import Server, says
from tests.makers import make_asset, make_job, run_jobs

pytestmark = pytest.mark.django_db
GENERATE = "/api/v1/vocal-removal/generate"
FIELDS = {stem.field for stem in ALL}


@pytest.fixture
def pair(alice: Any, tmp_path: Path) -> dict[str, str]:
    return pair_of(alice, tmp_path)


def held(workspace: Any) -> int:
    return wallet_get(workspace=workspace).held_mcr


def test_two_stems_are_the_default(
    client: Client, alice: Any, pair: dict[str, str], fake_separation: list[Any]
):
    task = separated(client, pair)
    job = Job.objects.get()
    assert (task, job.stems) == (job.uuid.hex, ["vocals", "instrumental"])
    assert (job.dialect, job.tariff, job.callback_style) == (
        "sunoapi",
        "two_stem_separation",
        "sunoapi",
    )
    assert held(alice) == 10_000
    assert info(client, "vocal-removal", task) == {
        "taskId": task,
        "musicId": pair["audioId"],
        "audioId": pair["audioId"],
        "callbackUrl": NOWHERE,
        "musicIndex": 0,
        "completeTime": None,
        "response": None,
        "successFlag": "PENDING",
        "createTime": round(job.created_at.timestamp() * 1000),
        "errorCode": None,
        "errorMessage": None,
    }
    assert run_jobs() == 1
    job.refresh_from_db()
    assert job.finished_at is not None
    record = info(client, "vocal-removal", task)
    assert record["successFlag"] == "SUCCESS"
    assert record["completeTime"] == round(job.finished_at.timestamp() * 1000)
    response = record["response"]
    assert set(response) == {"originUrl", "originData", *FIELDS}
    links = {name for name in FIELDS if response[name] is not None}
    assert links == {"vocalUrl", "instrumentalUrl"}
    vocals = Asset.objects.get(job=job, stem="vocals")
    assert response["originData"][0] == {
        "id": str(vocals.uuid),
        "stem_type_group_name": "Vocals",
        "audio_url": response["vocalUrl"],
        "duration": 1.0,
    }
    assert wallet_get(workspace=alice).posted_mcr == 90_000


def test_reading_a_record_asks_little(
    client: Client,
    pair: dict[str, str],
    fake_separation: list[Any],
    django_assert_max_num_queries: Any,
):
    task = separated(client, {**pair, "type": "split_stem"})
    run_jobs()
    info(client, "vocal-removal", task)
    # Who asks and how often, the task, its files, and whether its callback was given up.
    with django_assert_max_num_queries(5):
        info(client, "vocal-removal", task)


def test_links_hold_for_fourteen_days(
    client: Client, pair: dict[str, str], fake_separation: list[Any]
):
    task = separated(client, pair)
    run_jobs()
    response = info(client, "vocal-removal", task)["response"]
    for name in ("originUrl", "vocalUrl", "instrumentalUrl"):
        path = urlsplit(response[name]).path
        seconds = download_token_read(path.rsplit("/", 1)[1]).seconds
        assert seconds == pytest.approx(timedelta(days=14).total_seconds(), abs=60)
        # Without any key.
        assert Client().head(path).status_code == 200


def test_a_split_makes_what_there_is_of_the_twelve(
    client: Client, alice: Any, pair: dict[str, str], fake_separation: list[Any]
):
    task = separated(client, {**pair, "type": "split_stem"})
    assert Job.objects.get().tariff == "full_split"
    assert held(alice) == 50_000
    run_jobs()
    response = info(client, "vocal-removal", task)["response"]
    ordered = set(stems_of_mode("split_stem"))
    made = {stem.field for stem in TWELVE if not ordered.isdisjoint(stem.names)}
    assert {"vocalUrl", "drumsUrl", "bassUrl", "fxUrl"} <= made
    assert {name for name in FIELDS if response[name] is not None} == made
    assert len(response["originData"]) == len(made)


def test_where_nothing_takes_stems_apart_again_their_wholes_are_made(roots_only: None):
    assert stems_of_mode("split_stem") == ("vocals", "drums", "bass", "other")


def test_with_all_models_a_split_makes_all_twelve(
    client: Client, pair: dict[str, str], fake_separation: list[Any], whole_tree: None
):
    task = separated(client, {**pair, "type": "split_stem"})
    run_jobs()
    job = Job.objects.get()
    assert job.stems == [
        *("lead_vocals", "backing_vocals", "drum_kit", "bass", "guitar", "keyboard", "strings"),
        *("brass", "woodwinds", "percussion", "synth", "fx"),
    ]
    response = info(client, "vocal-removal", task)["response"]
    assert {name for name in FIELDS if response[name] is None} == {"instrumentalUrl"}
    links = {stem.field: stem.ours for stem in TWELVE}
    for one in response["originData"]:
        field = next(field for field in links if response[field] == one["audio_url"])
        assert str(Asset.objects.get(job=job, stem=links[field]).uuid) == one["id"]


def test_without_any_model_it_is_refused_by_name(
    client: Client, alice: Any, pair: dict[str, str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("STEMWRIGHT_WEIGHTS_DIR", "/nowhere")
    monkeypatch.setattr("separation.weights.is_installed", lambda model: False)
    for mode in ("separate_vocal", "split_stem"):
        body = {**pair, "callBackUrl": NOWHERE, "type": mode}
        code, text = refused(post(client, GENERATE, body))
        assert code == 400
        assert "not available" in text or "lead_vocals, backing_vocals, drum_kit" in text
    assert (Job.objects.count(), held(alice)) == (0, 0)


def test_every_call_is_charged(
    client: Client, alice: Any, pair: dict[str, str], fake_separation: list[Any]
):
    assert separated(client, pair) != separated(client, pair)
    assert held(alice) == 20_000


def test_the_same_idempotency_key_charges_once(client: Client, alice: Any, pair: dict[str, str]):
    first = separated(client, pair, **{"Idempotency-Key": "one"})
    assert separated(client, pair, **{"Idempotency-Key": "one"}) == first
    assert (Job.objects.count(), held(alice)) == (1, 10_000)
    body = {**pair, "callBackUrl": NOWHERE, "type": "split_stem"}
    code, text = refused(post(client, GENERATE, body, **{"Idempotency-Key": "one"}))
    assert (code, text) == (400, "This idempotency key was used with other values.")
    assert refused(post(client, GENERATE, body, **{"Idempotency-Key": ""}))[0] == 400
    assert held(alice) == 10_000


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"taskId": None}, "taskId"),
        ({"audioId": None}, "audioId"),
        ({"callBackUrl": None}, "callBackUrl"),
        ({"type": "split_everything"}, "split_everything"),
        ({"audioUrl": "https://media.example.org/a.wav"}, "audioUrl"),
        ({"callBackSecret": "short"}, "callBackSecret"),
        ({"taskId": "x\0y"}, "taskId"),
        ({"taskId": {"a": 1}}, "taskId"),
        ({"taskId": 10**400}, "taskId"),
    ],
)
def test_wrong_parameters_are_named(
    client: Client, alice: Any, pair: dict[str, str], changes: dict[str, Any], named: str
):
    body = {**pair, "callBackUrl": NOWHERE, **changes}
    body = {name: value for name, value in body.items() if value is not None}
    code, text = refused(post(client, GENERATE, body))
    assert code == 400
    assert named in text
    assert (Job.objects.count(), held(alice)) == (0, 0)


@pytest.mark.parametrize("body", ["{", "[]", '"text"', "null", b"\xff\xfe", '{"\\ud800": 1}'])
def test_no_body_is_our_fault(client: Client, body: Any):
    assert refused(post(client, GENERATE, body))[0] == 400


def test_a_pair_must_fit(client: Client, alice: Any, pair: dict[str, str], tmp_path: Path):
    other = make_asset(alice, tmp_path)
    for changes in (
        {"taskId": NO_ID},
        {"audioId": str(other.uuid)},
        {"audioId": "no id"},
        {"taskId": "../..", "audioId": "../.."},
    ):
        body = {**pair, "callBackUrl": NOWHERE, **changes}
        assert refused(post(client, GENERATE, body))[0] == 400
    assert Job.objects.count() == 0


def test_a_recording_that_is_gone_is_unknown(client: Client, alice: Any, pair: dict[str, str]):
    asset_delete(workspace=alice, asset_uuid=Asset.objects.get().uuid)
    body = {**pair, "callBackUrl": NOWHERE}
    assert refused(post(client, GENERATE, body))[0] == 400


def test_the_callback_must_be_reachable(client: Client, pair: dict[str, str]):
    for url in ("http://127.0.0.1/in", "ftp://example.org", "no address"):
        code, text = refused(post(client, GENERATE, {**pair, "callBackUrl": url}))
        assert (code, text.split(";")[0]) == (400, "This address cannot be used")
    assert Job.objects.count() == 0


def test_a_stem_is_an_audio_of_its_task(
    client: Client, pair: dict[str, str], fake_separation: list[Any]
):
    task = separated(client, pair)
    run_jobs()
    stem = info(client, "vocal-removal", task)["response"]["originData"][1]
    again = separated(client, {"taskId": task, "audioId": stem["id"]})
    assert info(client, "vocal-removal", again)["audioId"] == stem["id"]
    # The recording, too.
    separated(client, {"taskId": task, "audioId": pair["audioId"]})


def test_a_file_by_its_address(
    client: Client, alice: Any, media_server: Server, fake_separation: list[Any]
):
    task = separated(client, {"audioUrl": f"{media_server.url}/a.wav"})
    record = info(client, "vocal-removal", task)
    assert (record["successFlag"], record["audioId"], held(alice)) == ("PENDING", None, 0)
    assert run_next_ingest()
    assert held(alice) == 10_000
    assert run_jobs() == 1
    record = info(client, "vocal-removal", task)
    assert record["successFlag"] == "SUCCESS"
    assert record["audioId"] == str(Asset.objects.get(job=None).uuid)


def test_a_file_that_cannot_be_fetched(client: Client, alice: Any, media_server: Server):
    media_server.answer = says("404 Not Found")
    task = separated(client, {"audioUrl": f"{media_server.url}/a.wav"})
    assert run_next_ingest()
    record = info(client, "vocal-removal", task)
    assert (record["successFlag"], record["errorCode"], record["response"]) == (
        "CREATE_TASK_FAILED",
        400,
        None,
    )
    assert "404" in record["errorMessage"]
    assert wallet_get(workspace=alice).available_mcr == 100_000


def test_a_task_that_failed(client: Client, alice: Any, pair: dict[str, str]):
    task = separated(client, pair)
    failed = {"state": JobState.FAILED, "finished_at": Now(), "started_at": Now()}
    jobs = Job.objects.filter(dialect="sunoapi")
    jobs.update(**failed, error_code="internal", error_message="Something went wrong.")
    record = info(client, "vocal-removal", task)
    assert (record["successFlag"], record["errorCode"]) == ("GENERATE_AUDIO_FAILED", 500)
    assert record["errorMessage"] == "Something went wrong."
    jobs.update(error_code="insufficient_credits", started_at=None)
    record = info(client, "vocal-removal", task)
    assert (record["successFlag"], record["errorCode"]) == ("CREATE_TASK_FAILED", 429)
    jobs.update(state=JobState.CANCELLED, error_code="", error_message="")
    record = info(client, "vocal-removal", task)
    assert (record["errorCode"], record["errorMessage"]) == (400, "The task was cancelled.")


def test_what_is_no_longer_kept_has_no_link(
    client: Client, pair: dict[str, str], fake_separation: list[Any]
):
    task = separated(client, pair)
    run_jobs()
    Asset.objects.exclude(stem="vocals").update(state=AssetState.DELETED)
    response = info(client, "vocal-removal", task)["response"]
    assert (response["originUrl"], response["instrumentalUrl"]) == (None, None)
    assert response["vocalUrl"] is not None


def test_only_tasks_of_this_api_and_kind_are_known(
    client: Client, alice: Any, pair: dict[str, str], tmp_path: Path
):
    path = "/api/v1/vocal-removal/record-info"
    native = make_job(alice, make_asset(alice, tmp_path))
    for text in (native.uuid.hex, pair["taskId"], NO_ID, "x", "a\0b", "9" * 5000):
        code, message = refused(client.get(path, {"taskId": text}))
        assert (code, message.split(";")[0]) == (400, "There is no such task or audio")
    for query in ({}, {"taskId": ""}):
        code, message = refused(client.get(path, query))
        assert (code, message) == (400, "The request is not valid. taskId: This field is required.")
    task = separated(client, pair)
    for kind in ("wav", "midi"):
        assert refused(client.get(f"/api/v1/{kind}/record-info", {"taskId": task}))[0] == 400


def test_a_stranger_knows_nothing_of_it(
    client: Client, stranger: Client, pair: dict[str, str], charlie: Any
):
    task = separated(client, pair)
    path = "/api/v1/vocal-removal/record-info"
    assert refused(stranger.get(path, {"taskId": task}))[0] == 400
    for body in (pair, {**pair, "taskId": task}):
        assert refused(post(stranger, GENERATE, {**body, "callBackUrl": NOWHERE}))[0] == 400
    assert held(charlie) == 0
