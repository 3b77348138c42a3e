"""Orders by address, of a range, repeated and retried."""

from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from billing.models import Hold, HoldState
from billing.selectors import ledger_discrepancies, wallet_get
from config.errors import (
    AddressRefused,
    InsufficientCredits,
    LimitReached,
    ModelUnavailable,
    RangeOutside,
    RecordingGone,
    ValidationFailed,
    WrongState,
)
from jobs.importing import import_cancel, import_create
from jobs.ingesting import run_next_ingest
from jobs.models import Asset, Ingest, IngestState, Job, JobState
from jobs.ordering import Repeat, order_of
from jobs.services import (
    Order,
    asset_delete,
    job_cancel,
    job_create,
    job_estimate,
    job_retry,
    jobs_create,
)
from tests.fakes.http import Server, says
from tests.makers import make_asset, make_grant, make_job, make_wav, make_workspace, run_jobs
from tests.races import together

pytestmark = pytest.mark.usefixtures("no_beats")

# Of `media_server`: 0.2 s at 2.5 credits a second.
PRICE_MCR = 500


def order_by_url(workspace: Any, server: Server, **values: Any) -> Job:
    order = Order(url=f"{server.url}/a.wav", stems=("vocals",), **values)
    return job_create(workspace=workspace, api_key=None, order=order)


def again(job: Job) -> Job:
    return Job.objects.get(pk=job.pk)


def held(workspace: Any) -> int:
    return wallet_get(workspace=workspace).held_mcr


@pytest.mark.django_db
def test_an_order_by_address_waits_and_is_priced_when_the_recording_is_here(
    alice: Any, media_server: Server, fake_separation: list[Any]
):
    job = order_by_url(alice, media_server)
    assert (job.state, job.asset, job.price_mcr, held(alice)) == (JobState.WAITING, None, 0, 0)
    assert job.stems == ["vocals"]
    assert run_jobs() == 0
    assert run_next_ingest()
    queued = again(job)
    assert (queued.state, queued.price_mcr, held(alice)) == (
        JobState.QUEUED,
        PRICE_MCR,
        PRICE_MCR,
    )
    assert queued.recording == Asset.objects.get()
    assert queued.is_preview
    assert run_jobs() == 1
    done = again(job)
    assert (done.state, done.charged_mcr, held(alice)) == (JobState.SUCCEEDED, PRICE_MCR, 0)
    kinds = list(done.events.order_by("pk").values_list("kind", flat=True))
    assert kinds[:2] == ["waiting", "queued"]


@pytest.mark.django_db
def test_a_range_of_it_is_priced_as_its_samples_are(alice: Any, media_server: Server):
    job = order_by_url(alice, media_server, range_s=(0.05, 7))
    run_next_ingest()
    job = again(job)
    assert (job.range_start, job.range_end) == (2205, 8820)
    assert job.n_samples == 6615
    assert job.price_mcr == 375


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("sample_rate", "formats"), [(44_100, ["flac", "mp3"]), (96_000, ["flac"])]
)
def test_a_format_that_was_only_hoped_for_is_left_out(
    alice: Any, media_server: Server, sample_rate: int, formats: list[str]
):
    media_server.answer = says("200 OK", body=make_wav(seconds=0.2, sample_rate=sample_rate))
    hoped: dict[str, Any] = {"more_formats": ("flac",), "formats_if_possible": ("mp3",)}
    job = order_by_url(alice, media_server, **hoped)
    run_next_ingest()
    assert (again(job).state, again(job).more_formats) == (JobState.QUEUED, formats)
    order = Order(again(job).recording.uuid, **hoped)
    same = job_create(workspace=alice, api_key=None, order=order)
    assert same.more_formats == formats
    with pytest.raises(ValidationFailed):
        job_create(workspace=alice, api_key=None, order=replace(order, more_formats=("mp3",)))


@pytest.mark.django_db
def test_credits_that_do_not_suffice_are_told_when_the_price_is_known(media_server: Server):
    poor = make_workspace("Poor", credits=0)
    make_grant(poor, PRICE_MCR - 1)
    job = order_by_url(poor, media_server)
    run_next_ingest()
    job = again(job)
    assert (job.state, job.error_code) == (JobState.FAILED, "insufficient_credits")
    assert "0.5 credits" in job.error_message
    assert (held(poor), Hold.objects.count()) == (0, 0)
    # The recording was fetched all the same.
    assert (job.recording, Ingest.objects.get().state) == (Asset.objects.get(), IngestState.READY)


@pytest.mark.django_db
def test_who_has_no_credits_at_all_is_told_at_once(media_server: Server):
    with pytest.raises(InsufficientCredits):
        order_by_url(make_workspace("Broke", credits=0), media_server)
    assert (Job.objects.count(), Ingest.objects.count()) == (0, 0)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"model": "htdemucs-6s"}, ModelUnavailable),
        ({"output_format": "mp4"}, ValidationFailed),
        ({"steps": ("polish",)}, ValidationFailed),
        ({"url": "http://127.0.0.1/a.wav"}, AddressRefused),
        ({"url": ""}, ValidationFailed),
    ],
)
def test_what_is_wrong_with_it_is_said_before_anything_is_fetched(
    alice: Any, values: dict[str, Any], error: type[Exception]
):
    values = {"url": "http://media.example.org/a.wav", **values}
    with pytest.raises(error):
        job_create(workspace=alice, api_key=None, order=Order(**values))
    assert (Job.objects.count(), Ingest.objects.count()) == (0, 0)


@pytest.mark.django_db
def test_a_recording_that_cannot_be_fetched_ends_the_job(alice: Any, media_server: Server):
    media_server.answer = says("404 Not Found")
    job = order_by_url(alice, media_server)
    ingest = Ingest.objects.get()
    run_next_ingest()
    ingest.refresh_from_db()
    job = again(job)
    assert ingest.state == IngestState.FAILED
    assert (job.state, job.error_code) == (JobState.FAILED, ingest.error_code)
    assert (job.asset, job.finished_at is not None) == (None, True)


@pytest.mark.django_db
def test_a_job_that_was_cancelled_meanwhile_stays_so(alice: Any, media_server: Server):
    job = order_by_url(alice, media_server)
    assert job_cancel(workspace=alice, job_uuid=job.uuid).state == JobState.CANCELLED
    run_next_ingest()
    assert (again(job).state, held(alice)) == (JobState.CANCELLED, 0)


@pytest.mark.django_db
def test_several_jobs_wait_for_one_import_and_end_with_it(alice: Any, media_server: Server):
    ingest = import_create(workspace=alice, api_key=None, url=f"{media_server.url}/a.wav")
    order = Order(import_uuid=ingest.uuid, stems=("vocals",))
    jobs = [job_create(workspace=alice, api_key=None, order=order) for _ in range(2)]
    import_cancel(workspace=alice, import_uuid=ingest.uuid)
    assert {again(job).error_code for job in jobs} == {"import_cancelled"}
    with pytest.raises(WrongState):
        job_create(workspace=alice, api_key=None, order=order)


@pytest.mark.django_db
def test_a_job_that_cannot_begin_takes_nothing_with_it(alice: Any, media_server: Server):
    ingest = import_create(workspace=alice, api_key=None, url=f"{media_server.url}/song.wav")
    order = Order(import_uuid=ingest.uuid, stems=("vocals",))
    broken, whole = (job_create(workspace=alice, api_key=None, order=order) for _ in range(2))
    # As after the key of secrets was lost.
    Job.objects.filter(pk=broken.pk).update(callback_secret="unreadable")
    run_next_ingest()
    ingest.refresh_from_db()
    assert (ingest.state, again(whole).state) == (IngestState.READY, JobState.QUEUED)
    assert (again(broken).state, again(broken).error_code) == (JobState.FAILED, "internal")
    assert held(alice) == again(whole).price_mcr


@pytest.mark.django_db
def test_only_so_many_jobs_wait_for_one_import(
    alice: Any, media_server: Server, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("jobs.waiting._JOBS_AT_MOST", 2)
    ingest = import_create(workspace=alice, api_key=None, url=f"{media_server.url}/a.wav")
    order = Order(import_uuid=ingest.uuid, stems=("vocals",))
    jobs = [job_create(workspace=alice, api_key=None, order=order) for _ in range(2)]
    with pytest.raises(LimitReached):
        job_create(workspace=alice, api_key=None, order=order)
    job_cancel(workspace=alice, job_uuid=jobs[0].uuid)
    job_create(workspace=alice, api_key=None, order=order)


@pytest.mark.django_db
def test_a_range_must_hold_something(alice: Any, tmp_path: Path):
    asset = make_asset(alice, tmp_path)
    for range_s in [(1, 2), (-1, 0.5), (0.5, 0.5), (0.7, 0.2), (1e300, 1e301)]:
        with pytest.raises(RangeOutside):
            job_estimate(workspace=alice, order=Order(asset.uuid, range_s=range_s))
    quote = job_estimate(workspace=alice, order=Order(asset.uuid, range_s=(0.5, 1e300)))
    assert (quote.samples, quote.price_mcr, quote.duration_s) == ((22_050, 44_100), 1_250, 0.5)


@pytest.mark.django_db
def test_a_tariff_prices_an_order(alice: Any, tmp_path: Path):
    asset = make_asset(alice, tmp_path)
    order = Order(asset.uuid, stems=("vocals", "drums"), tariff="stem_extraction")
    assert job_estimate(workspace=alice, order=order).price_mcr == 28
    job = job_create(
        workspace=alice, api_key=None, order=Order(asset.uuid, tariff="two_stem_separation")
    )
    assert (job.price_mcr, job.tariff) == (10_000, "two_stem_separation")


@pytest.mark.django_db(transaction=True)
def test_a_repeated_call_is_one_job_also_beside_itself(tmp_path: Path):
    alice = make_workspace("Alice's", credits=100)
    asset = make_asset(alice, tmp_path)
    repeat = Repeat(sha256="a" * 64, within_s=120)

    def call() -> Job:
        # As after another upload of the same file.
        return job_create(workspace=alice, api_key=None, order=Order(asset.uuid), repeat=repeat)

    assert len({job.pk for job in together(4, call)}) == 1
    other = Repeat(sha256="b" * 64, within_s=120)
    assert job_create(
        workspace=alice, api_key=None, order=Order(asset.uuid), repeat=other
    ).pk not in {call().pk}
    assert Job.objects.count() == 2


@pytest.mark.django_db
def test_a_repeat_is_forgotten_after_a_while(alice: Any, tmp_path: Path):
    asset = make_asset(alice, tmp_path)
    jobs = [
        job_create(
            workspace=alice,
            api_key=None,
            order=Order(asset.uuid),
            repeat=Repeat(sha256="a" * 64, within_s=within_s),
        )
        for within_s in (120, 0)
    ]
    assert jobs[0] != jobs[1]


@pytest.mark.django_db
def test_several_orders_are_all_or_none(alice: Any, tmp_path: Path):
    asset = make_asset(alice, tmp_path)
    good, bad = Order(asset.uuid), Order(uuid4())
    with pytest.raises(Exception, match="no such asset"):
        jobs_create(workspace=alice, api_key=None, orders=[(good, "a"), (bad, "b")])
    assert (Job.objects.count(), held(alice)) == (0, 0)
    jobs = jobs_create(workspace=alice, api_key=None, orders=[(good, "a"), (good, "b")])
    assert [job.pk for job in jobs] == [
        job.pk
        for job in jobs_create(workspace=alice, api_key=None, orders=[(good, "a"), (good, "b")])
    ]
    assert held(alice) == 5_000


@pytest.mark.django_db
def test_a_failed_job_is_retried_once_as_another(
    alice: Any, tmp_path: Path, fake_separation: list[Any]
):
    job = make_job(alice, make_asset(alice, tmp_path))
    with pytest.raises(WrongState):
        job_retry(workspace=alice, api_key=None, job_uuid=job.uuid)
    job_cancel(workspace=alice, job_uuid=job.uuid)
    retried = job_retry(workspace=alice, api_key=None, job_uuid=job.uuid)
    assert (retried.retry_of, retried.state, retried.stems) == (job, JobState.QUEUED, ["vocals"])
    with pytest.raises(WrongState):
        job_retry(workspace=alice, api_key=None, job_uuid=job.uuid)
    job_cancel(workspace=alice, job_uuid=retried.uuid)
    third = job_retry(workspace=alice, api_key=None, job_uuid=retried.uuid)
    assert third.retry_of == job
    run_jobs()
    assert again(third).state == JobState.SUCCEEDED
    states = set(Hold.objects.values_list("state", flat=True))
    assert states == {HoldState.RELEASED, HoldState.CAPTURED}
    assert wallet_get(workspace=alice).posted_mcr == 100_000 - third.price_mcr


@pytest.mark.django_db
def test_what_failed_to_come_is_fetched_anew(alice: Any, media_server: Server):
    job = order_by_url(alice, media_server, range_s=(0.1, 0.2))
    import_cancel(workspace=alice, import_uuid=Ingest.objects.get().uuid)
    retried = job_retry(workspace=alice, api_key=None, job_uuid=job.uuid)
    assert (retried.state, Ingest.objects.count()) == (JobState.WAITING, 2)
    run_next_ingest()
    assert (again(retried).state, again(retried).n_samples) == (JobState.QUEUED, 4410)


@pytest.mark.django_db
def test_a_recording_that_is_gone_cannot_be_worked_on_again(alice: Any, tmp_path: Path):
    job = make_job(alice, make_asset(alice, tmp_path))
    job_cancel(workspace=alice, job_uuid=job.uuid)
    asset_delete(workspace=alice, asset_uuid=job.recording.uuid)
    with pytest.raises(RecordingGone):
        job_retry(workspace=alice, api_key=None, job_uuid=job.uuid)


@pytest.mark.django_db
def test_an_order_can_be_told_from_its_job(alice: Any, tmp_path: Path):
    asset = make_asset(alice, tmp_path)
    order = Order(
        asset.uuid,
        stems=("vocals", "drums"),
        model="htdemucs",
        output_format="wav16",
        more_formats=("mp3",),
        range_s=(0.25, 0.75),
        tariff="stem_extraction",
        metadata={"title": "A"},
        dialect="audiopod",
        dialect_data={"mode": "two"},
        callback_secret="shared",
    )
    job = job_create(workspace=alice, api_key=None, order=order)
    assert order_of(job) == order
    assert "shared" not in job.callback_secret


@pytest.mark.django_db(transaction=True)
def test_batches_of_the_same_recordings_do_not_wait_for_each_other_for_ever(tmp_path: Path):
    alice = make_workspace("Alice's", credits=1000)
    first, second = (make_asset(alice, tmp_path) for _ in range(2))

    def batch(*assets: Asset) -> list[Job]:
        orders = [(Order(asset.uuid), None) for asset in assets]
        return jobs_create(workspace=alice, api_key=None, orders=orders * 3)

    def single() -> Job:
        return job_create(workspace=alice, api_key=None, order=Order(second.uuid))

    for _ in range(3):
        # PostgreSQL ends such a circle by an error, which would come out of this.
        together(6, lambda: batch(first, second), lambda: batch(second, first), single)
    assert Job.objects.count() == 3 * 2 * (6 + 6 + 1)
    assert ledger_discrepancies() == []
