"""PyPI's `audiopod`, unchanged, against the service: sync and async, with its own waiting.

Nothing but the pauses that it makes between looks is replaced: meanwhile the worker works.
"""

import asyncio
import gc
import io
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import audiopod
import httpx
import numpy as np
import pytest
import soundfile
from audiopod.exceptions import (
    APIError,
    AuthenticationError,
    InsufficientBalanceError,
    RateLimitError,
)
from django.db import connection

from billing.selectors import ledger_discrepancies, wallet_get
from jobs.models import Asset, AssetState, Job
from tests.api.audiopod.steps import talk
from tests.api.real import music, real_engine
from tests.clients.proxy import Fault, Proxy
from tests.makers import make_grant, make_key, run_jobs

pytestmark = [
    pytest.mark.django_db(transaction=True),
    # It opens the file to upload and leaves it open.
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
]


@pytest.fixture(autouse=True)
def _worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Works while the client waits."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    here, sleep, sleep_async = threading.current_thread(), time.sleep, asyncio.sleep

    def work() -> None:
        try:
            run_jobs()
        finally:
            connection.close()

    def pause(seconds: float) -> None:
        if threading.current_thread() is here:
            run_jobs()
        else:
            sleep(seconds)

    async def pause_async(seconds: float, *values: Any) -> None:
        if seconds < 1:
            await sleep_async(seconds, *values)
        else:
            await asyncio.to_thread(work)

    monkeypatch.setattr(time, "sleep", pause)
    monkeypatch.setattr(asyncio, "sleep", pause_async)
    with real_engine(monkeypatch):
        yield
    # What it left open, while that is no error.
    gc.collect()


@pytest.fixture
def sdk(alice: Any, live_server: Any) -> Iterator[audiopod.Client]:
    make_grant(alice, 10_000_000)
    with audiopod.Client(api_key=make_key(alice), base_url=live_server.url) as client:
        yield client


@pytest.fixture
def conversation(tmp_path: Path) -> str:
    path = tmp_path / "talk.wav"
    path.write_bytes(talk())
    return str(path)


@pytest.fixture
def song(tmp_path: Path) -> str:
    path = tmp_path / "song.wav"
    path.write_bytes(music(seconds=2.0))
    return str(path)


def test_speakers_are_extracted_while_it_waits(sdk: audiopod.Client, conversation: str):
    job = sdk.speaker.extract(audio_file=conversation, wait_for_completion=True)
    assert job["status"] == "COMPLETED"
    assert len(job["result"]["speakers"]) == 3
    links = [speaker["download_url"] for speaker in job["result"]["speakers"]]
    assert [httpx.get(link, trust_env=False).status_code for link in links] == [200] * 3
    assert sdk.speaker.get_job(job["id"]) | {"result": None} == job | {"result": None}
    listed: Any = sdk.speaker.list_jobs()
    assert [one["id"] for one in listed["items"]] == [job["id"]]
    assert sdk.speaker.delete_job(job["id"]) == {}
    with pytest.raises(APIError, match="Job not found or access denied") as caught:
        sdk.speaker.get_job(job["id"])
    assert caught.value.status_code == 404


def test_it_is_told_why_a_job_failed(sdk: audiopod.Client, song: str):
    with pytest.raises(Exception, match="Job failed: ") as caught:
        sdk.speaker.extract(audio_file=song, wait_for_completion=True)
    job = Job.objects.get()
    assert (job.state, job.error_code) == ("failed", "no_speech")
    assert job.error_message in str(caught.value)


def test_stems_are_separated_while_it_waits(sdk: audiopod.Client, song: str):
    job = sdk.stem_extraction.separate(file=song, mode="four")
    assert job["status"] == "COMPLETED"
    assert list(job["download_urls"]) == ["vocals", "drums", "bass", "other"]
    for link in job["download_urls"].values():
        answer = httpx.get(link, trust_env=False)
        assert (answer.status_code, answer.content[:4]) == (200, b"RIFF")
    two = sdk.stem_extraction.extract_stems(
        audio_file=song, two_stems_mode="vocals", wait_for_completion=True
    )
    assert {*two["download_urls"]} == {"vocals", "no_vocals"}
    one = sdk.stem_extraction.separate(file=song, mode="single", stem="drums")
    assert list(one["download_urls"]) == ["drums"]
    # Its stems as it writes them: a list as Python prints it.
    some = sdk.stem_extraction.extract_stems(audio_file=song, stem_types=["bass", "other"])
    assert sdk.stem_extraction.wait_for_completion(some["id"])["stem_paths"] == {
        "bass": f"stems/{some['id']}/bass.wav",
        "other": f"stems/{some['id']}/other.wav",
    }
    chosen = sdk.stem_extraction.extract_advanced(
        file=song, custom_stems=["vocals", "instrumental"], exclude_stems=["vocals"]
    )
    assert list(chosen["download_urls"]) == ["instrumental"]
    listed: Any = sdk.stem_extraction.list_jobs(limit=2)
    assert (listed["total"], len(listed["items"])) == (5, 2)
    assert sdk.stem_extraction.delete_job(one["id"]) == {}
    assert {mode["mode"] for mode in sdk.stems.modes()["modes"]} >= {"single", "mastering"}
    assert {"id": "vocals", "allowed": True}.items() <= sdk.stems.catalog()["stems"][0].items()
    assert "four" in [
        package["name"]
        for package in sdk.stems.available_packages()["packages"]
        if package["allowed"]
    ]


def test_it_is_told_who_speaks_when(sdk: audiopod.Client, conversation: str):
    # The count goes in the query.
    job = sdk.speaker.diarize(audio_file=conversation, num_speakers=2, wait_for_completion=True)
    assert (job["job_type"], job["status"]) == ("diarization", "COMPLETED")
    assert Job.objects.get().options["num_speakers"] == 2
    result = job["result"]
    assert [speaker["label"] for speaker in result["speakers"]] == ["SPEAKER_0", "SPEAKER_1"]
    assert {segment["speaker"] for segment in result["segments"]} == {"SPEAKER_0", "SPEAKER_1"}
    for segment in result["segments"]:
        assert 0 <= segment["start"] < segment["end"] <= 30.637
    (rttm,) = result["files"]
    lines = httpx.get(rttm["download_url"], trust_env=False).text.splitlines()
    assert len(lines) == len(result["segments"])


def test_noise_is_reduced_while_it_waits(sdk: audiopod.Client, conversation: str):
    job = sdk.denoiser.denoise(file=conversation, mode="studio")
    assert (job["status"], job["quality_mode"]) == ("COMPLETED", "studio")
    cleaned, rate = soundfile.read(
        io.BytesIO(httpx.get(job["output_url"], trust_env=False).content)
    )
    given, _ = soundfile.read(conversation)
    assert (rate, len(cleaned)) == (16_000, len(given))
    assert not np.array_equal(cleaned, given)
    # 5.5 credits a second.
    assert Job.objects.get().charged_mcr == -(-5_500 * len(given) // rate)
    listed: Any = sdk.denoiser.list_jobs()
    assert listed["items"][0]["id"] == job["id"]
    assert sdk.denoiser.delete_job(job["id"]) == {}


def test_it_learns_of_its_money(sdk: audiopod.Client, song: str, alice: Any):
    # 10,100 credits at 7,500 to the dollar.
    assert sdk.wallet.get_balance()["balance_cents"] == 134
    pricing = sdk.wallet.get_pricing()
    assert pricing["services"]["speaker_extraction"]["rate_per_minute"] == "$0.22/min"
    estimate = sdk.wallet.estimate_cost("speaker_extraction", 300)
    assert (estimate["cost_usd"], estimate["duration_minutes"]) == ("$1.10", 5.0)
    assert sdk.wallet.check_balance("speaker_extraction", 300) == {
        "can_proceed": True,
        "cost_cents": 110,
        "current_balance_cents": 134,
    }
    with pytest.raises(InsufficientBalanceError, match="Insufficient balance") as caught:
        sdk.wallet.check_balance("speaker_extraction", 3600)
    assert (caught.value.required_cents, caught.value.available_cents) == (1320, 134)
    assert "stem_extraction" in sdk.wallet.get_service_types()
    sdk.stem_extraction.separate(file=song, mode="four")
    usage = sdk.wallet.get_usage_history()
    assert [one["service_type"] for one in usage["logs"]] == ["stem_extraction"]
    assert len(sdk.wallet.get_topup_history()["topups"]) == 2
    credits = sdk.credits.get_balance()
    assert credits["total_available_credits"] == 10_100 - 33
    assert sdk.credits.get_multipliers()["speaker_extraction"] == 1650
    assert sdk.credits.get_usage_history()[0]["credits_used"] == 33.0
    # Money is for people who signed in.
    with pytest.raises(APIError) as refused:
        sdk.wallet.create_topup_checkout(500)
    assert refused.value.status_code == 403
    assert sdk.get_user_info()["full_name"] == alice.name


def test_it_knows_the_refusals(live_server: Any, alice: Any, conversation: str):
    with (
        audiopod.Client(api_key="ap_wrong", base_url=live_server.url) as stranger,
        pytest.raises(AuthenticationError, match="Invalid or missing API key"),
    ):
        stranger.speaker.list_jobs()
    with (
        audiopod.Client(api_key=make_key(alice), base_url=live_server.url) as poor,
        # 27.5 credits a second of half a minute, of whom 100 are there.
        pytest.raises(InsufficientBalanceError, match="Required: 843, Available: 100"),
    ):
        poor.speaker.extract(audio_file=conversation)
    assert not Job.objects.exists()
    assert not Asset.objects.filter(state=AssetState.READY).exists()


def test_it_is_told_of_too_many_requests(live_server: Any, alice: Any):
    key = make_key(alice, rate_limit_per_minute=1)

    async def use() -> None:
        # The other one repeats such calls until it gives up, with an error of its HTTP library.
        async with audiopod.AsyncClient(api_key=key, base_url=live_server.url) as client:
            await client.speaker.list_jobs()
            with pytest.raises(RateLimitError):
                await client.speaker.list_jobs()

    asyncio.run(use())


def test_the_async_client_waits_too(alice: Any, live_server: Any, conversation: str, song: str):
    make_grant(alice, 10_000_000)
    key = make_key(alice)

    async def use() -> tuple[Any, ...]:
        async with audiopod.AsyncClient(api_key=key, base_url=live_server.url) as client:
            speakers = await client.speaker.extract(
                audio_file=conversation, wait_for_completion=True
            )
            stems = await client.stem_extraction.separate(file=song, mode="four")
            listed = await client.speaker.list_jobs()
            balance = await client.wallet.get_balance()
            deleted = await client.speaker.delete_job(speakers["id"])
            return speakers, stems, listed, balance, deleted

    speakers, stems, listed, balance, deleted = asyncio.run(use())
    assert (speakers["status"], len(speakers["result"]["speakers"])) == ("COMPLETED", 3)
    assert (stems["status"], len(stems["download_urls"])) == ("COMPLETED", 4)
    assert listed["total"] == 1
    assert balance["balance_cents"] == (10_100_000 - charged_mcr()) // 75_000
    assert deleted == {}


def charged_mcr() -> int:
    return sum(Job.objects.values_list("charged_mcr", flat=True))


def test_an_order_that_it_repeats_is_charged_once(alice: Any, live_server: Any, conversation: str):
    """A proxy passes each POST on and answers 503 in the place of the service, three times."""
    make_grant(alice, 10_000_000)
    with Proxy(live_server.url).running() as proxy:
        proxy.will("POST", "/api/v1/speaker/extract", *[Fault(status=503)] * 3)
        with audiopod.Client(api_key=make_key(alice), base_url=proxy.url) as client:
            job = client.speaker.extract(audio_file=conversation)
        assert len(proxy.called("POST", "/api/v1/speaker/extract")) == 4
    # Its pauses have let the worker work.
    only = Job.objects.get()
    assert (job["id"], only.state) == (only.pk, "succeeded")
    # 27.5 credits a second, once; rounded up to a milli-credit.
    samples, rate = 490_185, 16_000
    assert only.charged_mcr == -(-27_500 * samples // rate) == 842_506
    wallet = wallet_get(workspace=alice)
    assert (wallet.posted_mcr, wallet.held_mcr) == (10_100_000 - 842_506, 0)
    assert ledger_discrepancies() == []
    # The three uploads that were not needed are gone.
    uploads = Asset.objects.filter(job=None)
    assert uploads.count() == 4
    assert uploads.get(state=AssetState.READY) == only.asset
