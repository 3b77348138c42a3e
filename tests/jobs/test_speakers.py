"""Naming speakers and making several one, after a job has found them."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any
from uuid import UUID

import pytest
from django.db import connection

from accounts.models import Workspace
from billing.models import Hold, Transaction
from billing.selectors import ledger_discrepancies, wallet_get
from config.errors import (
    AppError,
    IdempotencyConflict,
    LimitReached,
    NotFound,
    RecordingGone,
    ValidationFailed,
    WrongState,
)
from jobs import ordering, speakers
from jobs.cleaning import storage_clean
from jobs.models import Asset, Job, JobTimeline
from jobs.services import asset_delete, job_cancel, job_delete
from jobs.speakers import (
    merges_left,
    speakers_get_for_workspace,
    speakers_merge,
    speakers_rename,
)
from jobs.storage import storage_open
from jobs.timeline_texts import TIMELINE_FORMATS, timeline_text
from tests.makers import (
    make_asset,
    make_grant,
    make_job,
    make_speaker_job,
    make_workspace,
    run_jobs,
)
from tests.races import together

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_beats", "fake_diarization")]

Stored = Callable[[], list[str]]


@pytest.fixture
def job(alice: Workspace, tmp_path: Path) -> Job:
    """A job of Alice's that found SPEAKER_0, SPEAKER_1 and SPEAKER_2."""
    job = make_speaker_job(alice, make_asset(alice, tmp_path, name="meeting.wav", seconds=2))
    run_jobs()
    return job


def rename(job: Job, **names: str) -> dict[str, str]:
    found = speakers_rename(workspace=job.workspace, job_uuid=job.uuid, names=names)
    return found.titles


def merge(job: Job, *groups: list[str], key: str | None = None) -> Job:
    return speakers_merge(
        workspace=job.workspace,
        api_key=None,
        job_uuid=job.uuid,
        groups=groups,
        idempotency_key=key,
    )


def filenames(job: Job) -> list[str]:
    return list(job.stem_assets.order_by("pk").values_list("filename", flat=True))


def text(job: Job, format_name: str) -> str:
    found = speakers_get_for_workspace(workspace=job.workspace, job_uuid=job.uuid)
    return timeline_text(found, format_name=format_name).content


def test_a_name_shows_in_every_format_and_in_every_file(job: Job):
    assert rename(job, SPEAKER_0="Alice") == {
        "SPEAKER_0": "Alice",
        "SPEAKER_1": "SPEAKER_1",
        "SPEAKER_2": "SPEAKER_2",
    }
    for format_name in TIMELINE_FORMATS:
        content = text(job, format_name)
        assert "Alice" in content
        assert "SPEAKER_0" not in content
        assert "SPEAKER_1" in content
    assert filenames(job)[0] == "meeting (Alice).wav"
    assert filenames(job)[1] == "meeting (SPEAKER_1).wav"
    assert filenames(job)[3] == "meeting (Alice, sample).wav"
    # Rows and files go by the label still.
    assert JobTimeline.objects.get().turns["turns"][0]["speaker"] == "SPEAKER_0"
    assert job.stem_assets.filter(stem="SPEAKER_0").count() == 2


def test_another_name_and_none_at_all(job: Job):
    rename(job, SPEAKER_0="Alice", SPEAKER_1="Bob")
    assert rename(job, SPEAKER_0="Carol")["SPEAKER_1"] == "Bob"
    assert filenames(job)[:2] == ["meeting (Carol).wav", "meeting (Bob).wav"]
    assert rename(job, SPEAKER_0="")["SPEAKER_0"] == "SPEAKER_0"
    assert rename(job, SPEAKER_1="SPEAKER_1")["SPEAKER_1"] == "SPEAKER_1"
    assert JobTimeline.objects.get().names == {}
    assert filenames(job)[:2] == ["meeting (SPEAKER_0).wav", "meeting (SPEAKER_1).wav"]


def test_two_may_swap_names(job: Job):
    rename(job, SPEAKER_0="Alice", SPEAKER_1="Bob")
    titles = rename(job, SPEAKER_0="Bob", SPEAKER_1="Alice")
    assert (titles["SPEAKER_0"], titles["SPEAKER_1"]) == ("Bob", "Alice")


def test_names_are_written_in_one_way(job: Job):
    decomposed = "  Zoe\u0308 \t A/B "
    assert rename(job, SPEAKER_0=decomposed)["SPEAKER_0"] == "Zo\u00eb A/B"
    assert filenames(job)[0] == "meeting (Zo\u00eb A_B).wav"
    assert "Zo\u00eb_A/B" in text(job, "rttm")


@pytest.mark.parametrize(
    "names",
    [
        {"SPEAKER_9": "Alice"},
        {"SPEAKER_0": "x" * 81},
        {"SPEAKER_0": "two\x00"},
        {"SPEAKER_0": "a\u202eb"},
        {"SPEAKER_0": "Same", "SPEAKER_1": "same"},
        {"SPEAKER_0": "SPEAKER_1"},
        {"SPEAKER_0": "speaker_2"},
        {"SPEAKER_2": "BOB"},
    ],
)
def test_a_bad_name_changes_nothing(job: Job, names: dict[str, str]):
    rename(job, SPEAKER_1="Bob")
    files = filenames(job)
    with pytest.raises(ValidationFailed) as caught:
        rename(job, **names)
    assert set(caught.value.fields) <= {f"names.{label}" for label in names}
    assert caught.value.fields
    assert JobTimeline.objects.get().names == {"SPEAKER_1": "Bob"}
    assert filenames(job) == files


def test_the_longest_name_fits(job: Job):
    name = "\u00e9" * 80
    Asset.objects.filter(pk=job.recording.pk).update(filename="r" * 250 + ".wav")
    make_grant(job.workspace, 55_000)
    again = make_speaker_job(job.workspace, Asset.objects.get(pk=job.recording.pk))
    run_jobs()
    assert rename(again, SPEAKER_0=name)["SPEAKER_0"] == name
    assert filenames(again)[3] == "r" * 150 + f" ({name}, sample).wav"


def test_a_speaker_is_named_after_the_recording_is_gone(job: Job):
    asset_delete(workspace=job.workspace, asset_uuid=job.recording.uuid)
    storage_clean()
    rename(job, SPEAKER_0="Alice")
    assert filenames(job)[0] == "meeting (Alice).wav"
    found = speakers_get_for_workspace(workspace=job.workspace, job_uuid=job.uuid)
    assert timeline_text(found, format_name="rttm").filename == "timeline.rttm"


@pytest.mark.django_db(transaction=True)
def test_of_two_who_give_the_same_name_at_the_same_time_one_does(tmp_path: Path):
    workspace = make_workspace(credits=100)
    job = make_speaker_job(workspace, make_asset(workspace, tmp_path, seconds=0.2))
    run_jobs()

    def give(label: str) -> str:
        try:
            return rename(job, **{label: "Alice"})[label]
        except ValidationFailed:
            return ""
        finally:
            connection.close()

    for _ in range(5):
        with ThreadPoolExecutor(3) as pool:
            given = list(pool.map(give, ["SPEAKER_0", "SPEAKER_1", "SPEAKER_2"]))
        assert sorted(given) == ["", "", "Alice"]
        assert list(JobTimeline.objects.get().names.values()) == ["Alice"]
        rename(job, SPEAKER_0="", SPEAKER_1="", SPEAKER_2="")


@pytest.mark.django_db(transaction=True)
def test_names_that_are_given_at_the_same_time_are_all_kept(tmp_path: Path):
    workspace = make_workspace(credits=100)
    job = make_speaker_job(workspace, make_asset(workspace, tmp_path, seconds=0.2))
    run_jobs()

    def give(number: int) -> None:
        try:
            rename(job, **{f"SPEAKER_{number % 3}": f"Name {number}"})
        finally:
            connection.close()

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(give, range(9)))
    names = JobTimeline.objects.get().names
    assert {label: int(name.split()[1]) % 3 for label, name in names.items()} == {
        "SPEAKER_0": 0,
        "SPEAKER_1": 1,
        "SPEAKER_2": 2,
    }


def test_merging_makes_new_tracks_for_free(job: Job, fake_diarization: list[Any], stored: Stored):
    rename(job, SPEAKER_2="Carol", SPEAKER_1="Bob")
    before = wallet_get(workspace=job.workspace).posted_mcr
    merged = merge(job, ["SPEAKER_0", "SPEAKER_2"])
    assert (merged.service, merged.state, merged.price_mcr) == ("speaker_extraction", "queued", 0)
    assert (merged.source_job, merged.asset, merged.model) == (job, job.asset, job.model)
    assert wallet_get(workspace=job.workspace).held_mcr == 0
    assert run_jobs() == 1
    merged.refresh_from_db()
    assert (merged.state, merged.charged_mcr, merged.progress) == ("succeeded", 0, 1)
    # Nobody was looked for again.
    assert len(fake_diarization) == 1
    row = JobTimeline.objects.get(job=merged)
    assert [(t["speaker"], t["start_s"], t["end_s"]) for t in row.turns["turns"]] == [
        ("SPEAKER_0", 0.0, 0.8),
        ("SPEAKER_1", 0.7, 1.2),
        ("SPEAKER_0", 1.2, 1.6),
        ("SPEAKER_1", 1.6, 1.8),
    ]
    assert [(r["speaker"], r["talk_s"]) for r in row.statistics] == [
        ("SPEAKER_0", 1.2),
        ("SPEAKER_1", 0.7),
    ]
    # The first of the group had no name of its own.
    assert row.names == {"SPEAKER_0": "Carol", "SPEAKER_1": "Bob"}
    assert filenames(merged) == [
        "meeting (Carol).wav",
        "meeting (Bob).wav",
        "meeting (Carol, sample).wav",
        "meeting (Bob, sample).wav",
    ]
    # What was there stays.
    assert JobTimeline.objects.get(job=job).names == {"SPEAKER_1": "Bob", "SPEAKER_2": "Carol"}
    assert job.stem_assets.count() == 6
    wallet = wallet_get(workspace=job.workspace)
    assert (wallet.posted_mcr, wallet.held_mcr) == (before, 0)
    assert (Hold.objects.count(), Transaction.objects.filter(kind="capture").count()) == (1, 1)
    assert ledger_discrepancies() == []


def test_a_merged_track_is_what_both_said(job: Job):
    def samples(of: Job, label: str) -> bytes:
        output = of.stem_assets.get(stem=label, kind="track")
        with storage_open(key=output.storage_key) as handle:
            return handle.read()

    merged = merge(job, ["SPEAKER_1", "SPEAKER_2"])
    run_jobs()
    # Who is not merged has the very track of before.
    assert samples(merged, "SPEAKER_0") == samples(job, "SPEAKER_0")
    assert samples(merged, "SPEAKER_1") != samples(job, "SPEAKER_1")


def test_options_go_on_without_the_counts(alice: Workspace, tmp_path: Path):
    asset = make_asset(alice, tmp_path, seconds=1)
    job = make_speaker_job(alice, asset, num_speakers=3, pauses="close", clips=False)
    run_jobs()
    merged = merge(job, ["SPEAKER_0", "SPEAKER_1"])
    assert merged.options == {**job.options, "num_speakers": None}
    run_jobs()
    assert merged.stem_assets.count() == 2


def test_what_was_merged_may_be_merged_further_for_the_same_paid_job(job: Job):
    first = merge(job, ["SPEAKER_0", "SPEAKER_1"])
    run_jobs()
    second = merge(first, ["SPEAKER_0", "SPEAKER_2"])
    run_jobs()
    assert second.source_job == job
    assert merges_left(job) == merges_left(second) == 18
    titles = speakers_get_for_workspace(workspace=job.workspace, job_uuid=second.uuid).titles
    assert list(titles) == ["SPEAKER_0"]
    with pytest.raises(ValidationFailed):
        merge(second, ["SPEAKER_0", "SPEAKER_1"])


def test_merges_of_one_paid_job_are_bounded(job: Job, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(speakers, "MERGES_PER_JOB", 2)
    first = merge(job, ["SPEAKER_0", "SPEAKER_1"], key="a")
    run_jobs()
    job_cancel_of = merge(first, ["SPEAKER_0", "SPEAKER_2"])
    job_cancel(workspace=job.workspace, job_uuid=job_cancel_of.uuid)
    for source in (job, first):
        with pytest.raises(LimitReached):
            merge(source, ["SPEAKER_0", "SPEAKER_2"])
    # The same order again is no further one.
    assert merge(job, ["SPEAKER_0", "SPEAKER_1"], key="a") == first
    assert Job.objects.count() == 3
    # One that failed was of no use.
    Job.objects.filter(pk=job_cancel_of.pk).update(state="failed")
    assert merges_left(job) == 1
    merge(job, ["SPEAKER_0", "SPEAKER_2"])


@pytest.mark.django_db(transaction=True)
def test_the_bound_holds_for_calls_at_the_same_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(speakers, "MERGES_PER_JOB", 3)
    workspace = make_workspace(credits=100)
    job = make_speaker_job(workspace, make_asset(workspace, tmp_path, seconds=0.2))
    run_jobs()

    def order(number: int) -> bool:
        try:
            merge(job, ["SPEAKER_0", "SPEAKER_1"])
        except LimitReached:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(order, range(12))) == 3
    assert Job.objects.filter(source_job=job).count() == 3


@pytest.mark.django_db(transaction=True)
def test_the_same_merge_under_one_key_is_one_job(tmp_path: Path):
    workspace = make_workspace(credits=100)
    job = make_speaker_job(workspace, make_asset(workspace, tmp_path, seconds=0.2))
    run_jobs()

    def order(_: int) -> UUID:
        try:
            return merge(job, ["SPEAKER_0", "SPEAKER_1"], key="k").uuid
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(order, range(8)))) == 1
    assert Job.objects.filter(source_job=job).count() == 1
    with pytest.raises(IdempotencyConflict):
        merge(job, ["SPEAKER_0", "SPEAKER_2"], key="k")


@pytest.mark.django_db(transaction=True)
def test_the_last_merge_under_one_key_is_one_job_for_all_who_ask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(speakers, "MERGES_PER_JOB", 1)
    workspace = make_workspace(credits=100)
    job = make_speaker_job(workspace, make_asset(workspace, tmp_path, seconds=0.2))
    run_jobs()
    looked = Barrier(3)

    def look(*args: Any) -> Job | None:
        found = job_of_key(*args)
        if found is None:
            # All have found that there is none yet.
            looked.wait(30)
        return found

    job_of_key = ordering._job_of_key
    monkeypatch.setattr(ordering, "_job_of_key", look)
    made = together(3, lambda: merge(job, ["SPEAKER_0", "SPEAKER_1"], key="k"))
    assert made == [Job.objects.get(source_job=job)] * 3


@pytest.mark.django_db(transaction=True)
def test_a_name_that_is_given_while_the_job_is_deleted_locks_nobody_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    workspace = make_workspace(credits=100)
    job = make_speaker_job(workspace, make_asset(workspace, tmp_path, seconds=0.2))
    run_jobs()

    def delete() -> None:
        try:
            job_delete(workspace=workspace, job_uuid=job.uuid)
        finally:
            connection.close()

    def wait_and_rename(*args: Any) -> None:
        deleting.append(pool.submit(delete))
        assert any(is_awaited() or deleting[0].done() for _ in range(100_000))
        files_rename(*args)

    files_rename = speakers._files_rename
    monkeypatch.setattr(speakers, "_files_rename", wait_and_rename)
    deleting: list[Future[None]] = []
    with ThreadPoolExecutor(1) as pool:
        assert rename(job, SPEAKER_0="Alice")["SPEAKER_0"] == "Alice"
        deleting[0].result()
    assert not JobTimeline.objects.exists()
    assert not Asset.objects.filter(job=job, state="ready").exists()


def is_awaited() -> bool:
    """Whether somebody waits for a lock that this connection holds."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks"
            " WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
        )
        return bool(cursor.fetchone()[0])


@pytest.mark.parametrize(
    "groups",
    [
        [],
        [[]],
        [["SPEAKER_0"]],
        [["SPEAKER_0", "SPEAKER_0"]],
        [["SPEAKER_0", "SPEAKER_9"]],
        [["SPEAKER_0", "SPEAKER_1"], ["SPEAKER_1", "SPEAKER_2"]],
    ],
)
def test_bad_groups_make_no_job(job: Job, groups: list[list[str]]):
    with pytest.raises(ValidationFailed):
        merge(job, *groups)
    assert Job.objects.count() == 1


def refused(kind: type[AppError], job: Job) -> None:
    n_jobs = Job.objects.count()
    with pytest.raises(kind):
        merge(job, ["SPEAKER_0", "SPEAKER_1"])
    assert Job.objects.count() == n_jobs
    assert wallet_get(workspace=job.workspace).held_mcr == sum(
        Hold.objects.filter(state="pending").values_list("amount_mcr", flat=True)
    )


def test_without_the_recording_nothing_can_be_merged(job: Job):
    asset_delete(workspace=job.workspace, asset_uuid=job.recording.uuid)
    refused(RecordingGone, job)


def test_a_recording_that_is_deleted_meanwhile_is_gone(job: Job, monkeypatch: pytest.MonkeyPatch):
    def lock_late(of: Job) -> Any:
        asset_delete(workspace=job.workspace, asset_uuid=job.recording.uuid)
        return lock(of)

    lock = speakers._paid_job_locked
    monkeypatch.setattr(speakers, "_paid_job_locked", lock_late)
    refused(RecordingGone, job)


def test_only_turns_of_a_job_that_succeeded_are_merged(alice: Workspace, tmp_path: Path):
    asset = make_asset(alice, tmp_path)
    waiting = make_speaker_job(alice, asset)
    refused(WrongState, waiting)
    job_cancel(workspace=alice, job_uuid=waiting.uuid)
    refused(WrongState, waiting)
    refused(WrongState, make_job(alice, asset))


def test_a_merge_that_waits_or_was_cancelled_has_no_speakers_to_show(job: Job):
    merged = merge(job, ["SPEAKER_0", "SPEAKER_1"])
    for _ in range(2):
        with pytest.raises(WrongState):
            speakers_get_for_workspace(workspace=job.workspace, job_uuid=merged.uuid)
        refused(WrongState, merged)
        job_cancel(workspace=job.workspace, job_uuid=merged.uuid)


def test_a_stranger_and_a_deleted_job_find_nothing(job: Job, charlie: Workspace):
    with pytest.raises(NotFound):
        speakers_merge(
            workspace=charlie,
            api_key=None,
            job_uuid=job.uuid,
            groups=[["SPEAKER_0", "SPEAKER_1"]],
        )
    with pytest.raises(NotFound):
        speakers_rename(workspace=charlie, job_uuid=job.uuid, names={"SPEAKER_0": "Mine"})
    assert JobTimeline.objects.get().names == {}
    merged = merge(job, ["SPEAKER_0", "SPEAKER_1"])
    job_delete(workspace=job.workspace, job_uuid=job.uuid)
    with pytest.raises(NotFound):
        merge(job, ["SPEAKER_0", "SPEAKER_1"])
    # Its turns are its own.
    assert run_jobs() == 1
    merged.refresh_from_db()
    assert merged.state == "succeeded"


def test_the_recording_of_a_waiting_merge_cannot_be_deleted(job: Job):
    merge(job, ["SPEAKER_0", "SPEAKER_1"])
    with pytest.raises(WrongState):
        asset_delete(workspace=job.workspace, asset_uuid=job.recording.uuid)
