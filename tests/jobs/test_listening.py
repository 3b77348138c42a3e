"""What a player plays of a job is exact, complete, of one length, and gone with its files."""

import io
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
import soundfile
from django.db.models.functions import Now

from config.errors import NotFound, WrongState
from jobs import cleaning, leases, ordering, outbox, storage
from jobs.cleaning import has_files_to_clean, storage_clean
from jobs.derived_work import derived_run
from jobs.deriving import derived_claim, derived_reap, has_derived_waiting
from jobs.listening import Playing, is_playable, listening_get, peak_levels, playing_of
from jobs.mixing import MixLane, MixOrder, mix_create
from jobs.models import Asset, Derived, DerivedState, Job, Listening, Mix, OutputKind
from jobs.selectors import job_get_for_workspace
from jobs.services import Order, asset_delete, job_create, job_delete
from jobs.storage import storage_open
from separation.audio.segments import peak_counts
from tests.makers import (
    make_asset,
    make_done_job,
    make_grant,
    make_job,
    make_key,
    make_speaker_job,
    make_tone,
    run_command,
    run_derived,
    run_jobs,
)
from tests.races import together

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_beats", "fake_separation")]


def samples_of(listening: Listening) -> Any:
    """All segments, each decoded alone, as a browser does it."""
    with storage_open(key=listening.audio_key) as handle:
        data = handle.read()
    offsets = listening.offsets
    assert len(data) == offsets[-1]
    parts = [
        soundfile.read(io.BytesIO(data[start:end]), always_2d=True, dtype="float32")[0]
        for start, end in zip(offsets, offsets[1:], strict=False)
    ]
    return np.concatenate(parts) * listening.gain


def peaks_of(listening: Listening) -> list[Any]:
    with storage_open(key=listening.peaks_key) as handle:
        data = handle.read()
    levels = peak_levels(listening)
    assert len(data) == levels[-1].offset + 2 * levels[-1].count
    return [
        np.frombuffer(data, np.int8, 2 * level.count, level.offset).reshape(-1, 2)
        for level in levels
    ]


def test_copies_are_made_when_the_job_succeeds_and_hold_every_sample(
    alice: Any, tmp_path: Path, settings: Any
):
    job = make_done_job(alice, tmp_path, seconds=21.3, stems=("vocals", "drums"))
    assert Listening.objects.filter(state=DerivedState.QUEUED).count() == 3
    assert run_derived() == 3
    playing = playing_of(job)
    assert (playing.state, playing.progress) == ("ready", 1.0)
    assert (playing.sample_rate, playing.n_samples) == (44_100, 939_330)
    assert playing.segment_samples == 220_500
    assert [lane.name for lane in playing.lanes] == ["vocals", "drums"]
    assert playing.original is not None
    tone = make_tone(seconds=21.3)
    for lane in (*playing.lanes, playing.original):
        listening = lane.listening
        assert listening is not None
        assert len(listening.offsets) == 6
        stored = Path(settings.MEDIA_ROOT / lane.asset.storage_key)
        source, _ = soundfile.read(stored, dtype="float32")
        assert np.array_equal(samples_of(listening), source)
        fine, middle, coarse = peaks_of(listening)
        assert [len(fine), len(middle), len(coarse)] == [2130, 213, 22]
        middle_of_both = tone.mean(axis=1)
        assert abs(int(coarse[:, 1].max()) - round(127 * middle_of_both.max())) <= 1
        assert abs(int(fine[1000, 0]) - round(127 * middle_of_both[441_000:441_441].min())) <= 1
    assert not (settings.SCRATCH_DIR.exists() and list(settings.SCRATCH_DIR.iterdir()))


def test_those_of_an_api_wait_until_somebody_looks(alice: Any, tmp_path: Path):
    make_key(alice)
    job = make_job(alice, make_asset(alice, tmp_path))
    Job.objects.filter(pk=job.pk).update(api_key=alice.api_keys.get())
    run_jobs()
    assert not Listening.objects.exists()
    job = job_get_for_workspace(workspace=alice, job_uuid=job.uuid)
    playing = playing_of(job)
    assert (playing.state, playing.progress) == ("preparing", 0)
    assert Listening.objects.filter(is_awaited=True).count() == 2
    assert run_derived() == 2
    assert playing_of(job).state == "ready"


def test_what_is_louder_than_full_scale_is_kept(alice: Any, tmp_path: Path, settings: Any):
    job = make_done_job(alice, tmp_path)
    asset = job.outputs[0]  # type: ignore[attr-defined]
    loud = make_tone() * 9
    soundfile.write(
        settings.MEDIA_ROOT / asset.storage_key, loud, 44_100, subtype="FLOAT", format="WAV"
    )
    run_derived()
    listening = Listening.objects.get(asset=asset)
    assert listening.gain == 4
    assert np.abs(samples_of(listening) - loud).max() <= 4 * 2**-24
    assert peaks_of(listening)[2][0].tolist() == [-127, 127]


def test_of_a_range_the_recording_is_cut_too(alice: Any, tmp_path: Path, media_dir: Path):
    job = make_done_job(alice, tmp_path, seconds=2)
    Job.objects.filter(pk=job.pk).update(range_start=10_000, range_end=30_000)
    Listening.objects.all().delete()
    job = job_get_for_workspace(workspace=alice, job_uuid=job.uuid)
    playing_of(job)
    run_derived()
    original = playing_of(job).original
    assert original is not None
    assert original.listening is not None
    source, _ = soundfile.read(media_dir / original.asset.storage_key, dtype="float32")
    assert np.array_equal(samples_of(original.listening), source[10_000:30_000])


def test_speakers_have_a_lane_each_with_their_turns(
    alice: Any, tmp_path: Path, fake_diarization: list[Any]
):
    make_grant(alice, 100_000)
    job = make_speaker_job(alice, make_asset(alice, tmp_path, seconds=2), pauses="close")
    whole = make_speaker_job(alice, make_asset(alice, tmp_path, seconds=2))
    assert run_jobs() == 2
    run_derived()

    def playing(of: Job) -> Playing:
        return playing_of(job_get_for_workspace(workspace=alice, job_uuid=of.uuid))

    assert [lane.kind for lane in playing(whole).lanes] == [OutputKind.TRACK] * 3
    assert playing(whole).lanes[1].turns == [(0.7, 1.2, 0.8), (1.6, 1.8, 0.6)]
    for lane in playing(job).lanes:
        # Without pauses it is shorter, and silent to the end of the others.
        assert lane.turns == ()
        assert lane.listening is not None
        assert lane.asset.n_samples < 88_200
        sound = samples_of(lane.listening)
        assert len(sound) == 88_200
        assert np.abs(sound[lane.asset.n_samples :]).max() == 0
        assert np.abs(sound[: lane.asset.n_samples]).max() > 0.1


def test_where_only_speakers_were_found_the_recording_has_their_turns(
    alice: Any, tmp_path: Path, fake_diarization: list[Any]
):
    make_grant(alice, 100_000)
    asset = make_asset(alice, tmp_path, seconds=2)
    order = Order(
        asset_uuid=asset.uuid,
        service="speaker_diarization",
        stems=None,
        model=None,
        output_format="wav",
    )
    job = job_create(workspace=alice, api_key=None, order=order)
    assert run_jobs() == 1
    # Before anybody looks.
    assert run_derived() == 1
    job = job_get_for_workspace(workspace=alice, job_uuid=job.uuid)
    assert is_playable(job)
    playing = playing_of(job)
    assert (playing.state, playing.original) == ("ready", None)
    assert [lane.is_original for lane in playing.lanes] == [True]
    assert [speaker.label for speaker in playing.speakers] == [
        "SPEAKER_0",
        "SPEAKER_1",
        "SPEAKER_2",
    ]
    assert playing.speakers[1].turns == [(0.7, 1.2, 0.8), (1.6, 1.8, 0.6)]
    assert playing.lanes[0].listening is not None
    assert len(samples_of(playing.lanes[0].listening)) == 88_200
    asset_delete(workspace=alice, asset_uuid=asset.uuid)
    assert not is_playable(job_get_for_workspace(workspace=alice, job_uuid=job.uuid))


def test_a_job_that_has_not_succeeded_or_kept_nothing_has_nothing_to_play(
    alice: Any, tmp_path: Path
):
    waiting = make_job(alice, make_asset(alice, tmp_path))
    with pytest.raises(WrongState):
        playing_of(job_get_for_workspace(workspace=alice, job_uuid=waiting.uuid))
    run_jobs()
    Asset.objects.filter(job=waiting).update(state="deleted")
    with pytest.raises(NotFound):
        playing_of(job_get_for_workspace(workspace=alice, job_uuid=waiting.uuid))


def test_nothing_is_left_when_its_files_are_deleted(
    alice: Any, tmp_path: Path, stored: Callable[[], list[str]]
):
    job = make_done_job(alice, tmp_path)
    run_derived()
    assert len([name for name in stored() if name.startswith("listening/")]) == 4
    stem = Listening.objects.get(asset__job=job)
    job_delete(workspace=alice, job_uuid=job.uuid)
    with pytest.raises(NotFound):
        listening_get(job=job, listening_uuid=stem.uuid)
    while storage_clean():
        pass
    assert [str(row.asset.uuid) for row in Listening.objects.all()] == [str(job.recording.uuid)]
    asset_delete(workspace=alice, asset_uuid=job.recording.uuid)
    while storage_clean():
        pass
    assert stored() == []
    assert not Listening.objects.exists()
    assert not has_files_to_clean()


def test_a_copy_whose_file_goes_while_it_is_made_is_taken_back(
    alice: Any, tmp_path: Path, stored: Callable[[], list[str]], media_dir: Path
):
    job = make_done_job(alice, tmp_path)
    for row in (derived_claim(), derived_claim()):
        assert isinstance(row, Listening)
        if row.asset.job_id is None:
            continue
        # The file is still there, the row is not: as if it was purged in this moment.
        Listening.objects.filter(pk=row.pk).delete()
        derived_run(row)
    assert job.uuid
    assert [name for name in stored() if name.startswith("listening/")] == []


def test_orphans_are_those_of_no_row(alice: Any, tmp_path: Path, media_dir: Path, stored: Any):
    job = make_done_job(alice, tmp_path)
    run_derived()
    (row,) = Listening.objects.filter(asset__job=job)
    kept = [name for name in stored() if name.startswith("listening/")]
    gone = media_dir / "listening" / str(job.uuid) / str(row.uuid) / "1" / "audio"
    gone.parent.mkdir(parents=True)
    gone.write_bytes(b"x")
    for path in media_dir.rglob("*"):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    lines = run_command("storage_orphans")
    assert str(gone.relative_to(media_dir)) in "\n".join(lines)
    assert not any(name in "\n".join(lines) for name in kept)


def test_a_lost_worker_is_noticed_and_the_copy_made_by_another(
    alice: Any, tmp_path: Path, settings: Any, stored: Callable[[], list[str]]
):
    settings.JOB_RETRY_PAUSE_SECONDS = 0
    job = make_done_job(alice, tmp_path)
    row = derived_claim()
    assert row is not None
    assert derived_reap() == 0
    Listening.objects.filter(pk=row.pk).update(lease_until=Now() - timedelta(seconds=1))
    assert derived_reap() == 1
    assert has_derived_waiting()
    assert run_derived() == 2
    assert playing_of(job).state == "ready"
    before = stored()
    # The first worker was only slow.
    derived_run(row)
    row.refresh_from_db()
    assert (row.state, row.attempt) == (DerivedState.READY, 2)
    assert stored() == before


def test_what_cannot_be_decoded_fails_and_is_not_tried_for_ever(
    alice: Any, tmp_path: Path, media_dir: Path
):
    job = make_done_job(alice, tmp_path)
    asset = job.outputs[0]  # type: ignore[attr-defined]
    (media_dir / asset.storage_key).write_bytes(b"RIFF....WAVEnothing")
    run_derived()
    row = Listening.objects.get(asset=asset)
    assert (row.state, row.error_code, row.is_hopeless) == ("failed", "broken_media", True)
    assert playing_of(job).state == "failed"
    Listening.objects.update(finished_at=Now() - timedelta(days=1))
    playing_of(job)
    assert not has_derived_waiting()


def test_storage_that_was_away_is_tried_again_later(
    alice: Any, tmp_path: Path, monkeypatch: Any, settings: Any
):
    settings.JOB_RETRY_PAUSE_SECONDS = 0
    job = make_done_job(alice, tmp_path)

    def refuse(**_: Any) -> None:
        raise OSError("away")

    with monkeypatch.context() as patch:
        patch.setattr("jobs.listening_making.storage_save", refuse)
        assert run_derived() == 6
    assert playing_of(job).state == "failed"
    assert not has_derived_waiting()
    Listening.objects.update(finished_at=Now() - timedelta(hours=1))
    assert playing_of(job).state == "preparing"
    assert run_derived() == 2
    assert playing_of(job).state == "ready"


@pytest.mark.parametrize("rate", [8_000, 11_025, 44_100, 96_000])
def test_each_hundredth_of_a_second_has_its_peaks(rate: int):
    for n in (1, rate // 100, rate, 10 * rate, 10 * rate + 1, 25 * rate):
        fine, middle, coarse = peak_counts(n, rate)
        assert fine == -(-n * 100 // rate)
        assert (middle, coarse) == (-(-fine // 10), -(-fine // 100))


@pytest.mark.django_db(transaction=True)
def test_an_order_of_a_recording_and_the_end_of_another_do_not_wait_for_each_other(
    alice: Any, tmp_path: Path, monkeypatch: Any
):
    """One has the recording and wants the wallet, the other has the wallet and names it."""
    asset = make_asset(alice, tmp_path)
    make_job(alice, asset)
    has_recording, has_wallet = Event(), Event()
    pay, end = ordering.job_pay, outbox.job_ended

    def job_pay(job: Job, **values: Any) -> None:
        has_recording.set()
        assert has_wallet.wait(30)
        pay(job, **values)

    def job_ended(job: Job) -> None:
        end(job)
        has_wallet.set()

    def finish() -> int:
        assert has_recording.wait(30)
        return run_jobs()

    monkeypatch.setattr(ordering, "job_pay", job_pay)
    monkeypatch.setattr(leases, "job_ended", job_ended)
    # The worker may find the second one too.
    _, finished = together(2, lambda: make_job(alice, asset), finish)
    assert finished in (1, 2)


@pytest.mark.parametrize("form", ["copy", "mix"])
def test_what_is_ready_only_while_its_files_are_removed_is_taken_back(
    alice: Any, tmp_path: Path, monkeypatch: Any, stored: Callable[[], list[str]], form: str
):
    job = make_done_job(alice, tmp_path)
    if form == "mix":
        Listening.objects.all().delete()
        (stem,) = job.outputs  # type: ignore[attr-defined]
        order = MixOrder([MixLane(str(stem.uuid), 1, 0)], "wav")
        mix_create(workspace=alice, job_uuid=job.uuid, order=order)
    rows: list[Derived] = []
    while (row := derived_claim()) is not None:
        rows.append(row)
    Mix.objects.update(expires_at=Now())
    asset_delete(workspace=alice, asset_uuid=job.recording.uuid)
    look = storage.storage_has
    late: list[Derived] = []

    def storage_has(*, key: str) -> bool:
        is_there = look(key=key)
        # Between the last look and the end of the row, the worker is done.
        for row in rows:
            if key in (f"{row.folder}/1/peaks", f"{row.folder}/1/mix"):
                late.append(row)
                derived_run(row)
        return is_there

    monkeypatch.setattr(cleaning, "storage_has", storage_has)
    while storage_clean():
        pass
    assert len(late) == 1
    assert not Mix.objects.exists()
    assert not [name for name in stored() if name.startswith(("mixes/", late[0].folder))]
