import math
from typing import Any

import pytest
from django.test import Client

from billing.models import Hold
from billing.selectors import ledger_discrepancies, wallet_get
from jobs.models import Asset, AssetState, Job
from jobs.services import job_cancel
from tests.api.answers import content
from tests.api.musicapi.calls import call, post, refusal
from tests.makers import make_asset, make_key, make_workspace, run_jobs

pytestmark = pytest.mark.django_db

TIMED_OUT = "Task failed due to timeout. Credits were previously refunded."


def nothing_was_charged(workspace: Any) -> bool:
    wallet = wallet_get(workspace=workspace)
    assert ledger_discrepancies() == []
    return (wallet.posted_mcr, wallet.held_mcr) == (100_000, 0)


def test_it_answers_with_the_voice_of_the_range(
    client: Client, clip: Asset, alice: Any, worker: None, fake_separation: list[dict[str, Any]]
):
    response = call(client, "vox", clip, vocal_start_s=0.5, vocal_end_s=2)
    assert response.status_code == 200
    job = Job.objects.get()
    voice = Asset.objects.get(job=job)
    body = response.json()
    wave, url = body["data"].pop("wave_response"), body["data"].pop("vocal_audio_url")
    assert body == {
        "code": 200,
        "data": {
            "vox_audio_id": str(voice.uuid),
            "status": "complete",
            "source_clip_id": str(clip.uuid),
            "vocal_start_s": 0.5,
            "vocal_end_s": 2,
        },
        "message": "success",
    }
    assert content(Client().get(url))[:4] == b"RIFF"
    assert (job.dialect, job.service, job.stems) == ("musicapi", "separation", ["vocals"])
    assert (job.range_start, job.range_end, job.tariff) == (
        22_050,
        88_200,
        "vocal_range_extraction",
    )
    # One credit, whatever the range.
    assert (job.price_mcr, wallet_get(workspace=alice).posted_mcr) == (1_000, 99_000)

    levels = wave["waveform_aggregates"]
    assert [level["mip_map_level"] for level in levels] == list(range(11, 21))
    finest = levels[0]["data"]
    assert len(finest) == voice.channels == 2
    assert len(finest[0]) == 2 * math.ceil(voice.n_samples / 2048)
    # The fake engine makes a sine of 0.3.
    assert min(finest[0]) == pytest.approx(-0.3 * 32768, abs=20)
    assert max(finest[0]) == pytest.approx(0.3 * 32768, abs=20)


def test_without_a_range_it_takes_the_first_30_seconds(
    client: Client, clip: Asset, worker: None, fake_separation: list[Any]
):
    data = call(client, "vox", clip).json()["data"]
    assert (data["vocal_start_s"], data["vocal_end_s"]) == (0, 2)
    job = Job.objects.get()
    assert (job.range_start, job.range_end) == (0, 88_200)
    data = call(client, "vox", clip, vocal_start_s=1, vocal_end_s=31).json()["data"]
    # As it was asked for, though the clip is shorter.
    assert (data["vocal_start_s"], data["vocal_end_s"]) == (1, 31)
    assert isinstance(data["vocal_end_s"], int)


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"vocal_start_s": -1}, "vocal_start_s"),
        ({"vocal_start_s": "x"}, "vocal_start_s"),
        ({"vocal_start_s": "nan"}, "vocal_start_s"),
        ({"vocal_start_s": "inf"}, "vocal_start_s"),
        ({"vocal_start_s": [1]}, "vocal_start_s"),
        ({"vocal_end_s": 30.1}, "vocal_end_s"),
        ({"vocal_end_s": "inf"}, "vocal_end_s"),
        ({"vocal_end_s": "nan"}, "vocal_end_s"),
        ({"vocal_start_s": 1, "vocal_end_s": 1}, "vocal_end_s"),
        ({"vocal_start_s": 1, "vocal_end_s": 31.5}, "vocal_end_s"),
        ({"vocal_start_s": 2}, "The range holds nothing"),
        ({"vocal_start_s": 1e300}, "The range holds nothing"),
        ({"clip_id": ""}, "clip_id"),
        ({"clip_id": None}, "clip_id"),
        ({"clip_id": {}}, "clip_id"),
    ],
)
def test_a_wrong_range_is_refused_before_any_charge(
    client: Client, clip: Asset, alice: Any, body: dict[str, Any], named: str
):
    status, message = refusal(post(client, "vox", {"clip_id": str(clip.uuid), **body}))
    assert status == 400
    assert named in message
    assert Job.objects.count() == 0
    assert nothing_was_charged(alice)


@pytest.mark.parametrize("body", [[], "x", 1, None, {}, {"vocal_start_s": 0}])
def test_a_wrong_body_is_refused(client: Client, body: Any):
    assert refusal(post(client, "vox", body))[0] == 400


def test_what_is_not_done_in_time_is_cancelled_and_free(
    client: Client, clip: Asset, alice: Any, settings: Any, pauses: list[Any]
):
    settings.SYNC_WAIT_SECONDS = 0
    assert refusal(call(client, "vox", clip)) == (504, TIMED_OUT)
    assert Job.objects.get().state == "cancelled"
    assert nothing_was_charged(alice)


def test_what_is_under_way_when_time_is_up_is_free_too(
    client: Client, clip: Asset, alice: Any, settings: Any, pauses: list[Any]
):
    """The worker sees the cancel at its next look, and no job succeeds after one."""
    settings.SYNC_WAIT_SECONDS = 0.5
    clock = iter([0.0, 0.1, 1.0])
    taken = {"state": "running", "lease_until": "2100-01-01T00:00:00Z"}
    pauses.append(lambda: Job.objects.update(**taken))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("api.musicapi.waiting.monotonic", lambda: next(clock))
        assert refusal(call(client, "vox", clip)) == (504, TIMED_OUT)
    job = Job.objects.get()
    assert (job.state, job.cancel_requested_at is not None) == ("running", True)


def test_what_ends_in_the_moment_of_the_cancel_is_answered(
    client: Client,
    clip: Asset,
    settings: Any,
    pauses: list[Any],
    fake_separation: list[Any],
    monkeypatch: pytest.MonkeyPatch,
):
    settings.SYNC_WAIT_SECONDS = 0

    def cancel_too_late(**values: Any) -> Job:
        run_jobs()
        return job_cancel(**values)

    monkeypatch.setattr("api.musicapi.waiting.job_cancel", cancel_too_late)
    assert call(client, "vox", clip).status_code == 200


def test_a_failure_says_why_and_is_free(
    client: Client, clip: Asset, alice: Any, worker: None, monkeypatch: pytest.MonkeyPatch
):
    def break_down(**_: Any) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr("jobs.work.separation.engine_separate", break_down)
    status, message = refusal(call(client, "vox", clip))
    assert status == 500
    assert message == (
        "Task failed. Something went wrong on our side. Credits were previously refunded."
    )
    assert nothing_was_charged(alice)


def test_a_repeated_call_under_one_key_charges_once(
    client: Client, clip: Asset, alice: Any, worker: None, fake_separation: list[Any]
):
    body = {"clip_id": str(clip.uuid)}
    first, second = (post(client, "vox", body, **{"Idempotency-Key": "k"}) for _ in range(2))
    assert first.json()["data"]["vox_audio_id"] == second.json()["data"]["vox_audio_id"]
    assert (Job.objects.count(), wallet_get(workspace=alice).posted_mcr) == (1, 99_000)
    other = post(client, "vox", {**body, "vocal_start_s": 1}, **{"Idempotency-Key": "k"})
    assert refusal(other)[0] == 400
    # What it made was deleted since.
    Asset.objects.filter(stem="vocals").update(state=AssetState.DELETED)
    assert refusal(post(client, "vox", body, **{"Idempotency-Key": "k"}))[0] == 400


@pytest.mark.parametrize("setting", ["SYNC_WAITS_PER_PROCESS", "SYNC_WAITS_PER_WORKSPACE"])
def test_few_may_wait_at_a_time(
    client: Client, clip: Asset, alice: Any, settings: Any, setting: str
):
    setattr(settings, setting, 0)
    response = call(client, "vox", clip)
    assert refusal(response)[0] == 429
    assert int(response.headers["Retry-After"]) > 0
    assert (Job.objects.count(), Hold.objects.count()) == (0, 0)


def test_a_call_holds_its_place_while_it_waits(
    client: Client, clip: Asset, settings: Any, pauses: list[Any], fake_separation: list[Any]
):
    settings.SYNC_WAITS_PER_WORKSPACE = 1
    meanwhile = []
    pauses.append(lambda: meanwhile.append(call(client, "vox", clip).status_code))
    pauses.append(run_jobs)
    assert call(client, "vox", clip).status_code == 200
    assert (meanwhile, Job.objects.count()) == ([429], 1)


def test_a_place_is_given_back_however_it_ends(
    client: Client, clip: Asset, settings: Any, pauses: list[Any]
):
    settings.SYNC_WAIT_SECONDS = 0
    settings.SYNC_WAITS_PER_PROCESS = settings.SYNC_WAITS_PER_WORKSPACE = 1
    for _ in range(3):
        assert refusal(call(client, "vox", clip))[0] == 504


def test_who_cannot_pay_is_told_in_known_words(tmp_path: Any):
    poor = make_workspace(credits=0)
    client = Client(headers={"Authorization": f"Bearer {make_key(poor)}"})
    assert refusal(call(client, "vox", make_asset(poor, tmp_path))) == (
        403,
        "The remaining credits are not enough. You can buy more one-time credit packs or "
        "subscribe.",
    )
    assert Job.objects.count() == 0
