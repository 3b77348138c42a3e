"""The mix of a job as it was set: exactly these gains, in bounded time, and gone with the job."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from django.db.models.functions import Now

from config.errors import AppError, LimitReached, NotFound, UnsupportedFormat, ValidationFailed
from jobs import mixing
from jobs.cleaning import has_files_to_clean, storage_clean
from jobs.derived_work import derived_run
from jobs.deriving import derived_claim
from jobs.mixing import MixLane, MixOrder, mix_create, mix_file, mix_get
from jobs.models import Asset, Job, Listening, Mix
from jobs.services import job_delete
from separation.audio.decode import AudioReader
from tests.makers import make_done_job, make_tone, run_derived

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_beats", "fake_separation")]


@pytest.fixture
def job(alice: Any, tmp_path: Path) -> Job:
    done = make_done_job(alice, tmp_path, seconds=2.5, stems=("vocals", "drums"))
    Listening.objects.all().delete()
    return done


def lanes(job: Job, *values: tuple[float, float]) -> list[MixLane]:
    stems = Asset.objects.filter(job=job).order_by("pk")
    return [
        MixLane(str(stem.uuid), gain, pan) for stem, (gain, pan) in zip(stems, values, strict=False)
    ]


def make_mix(job: Job, *values: tuple[float, float], form: str = "wav32f", **more: Any) -> Mix:
    order = MixOrder(lanes=lanes(job, *values), form=form, **more)
    return mix_create(workspace=job.workspace, job_uuid=job.uuid, order=order)


def made(mix: Mix) -> Mix:
    assert run_derived() == 1
    mix.refresh_from_db()
    assert mix.state == "ready", mix.error_code
    return mix


def path_of(mix: Mix, media_dir: Path) -> Path:
    path = media_dir / mix_file(mix).key
    assert path.stat().st_size == mix.size_bytes
    return path


def sound_of(mix: Mix, media_dir: Path) -> Any:
    return soundfile.read(path_of(mix, media_dir), dtype="float32", always_2d=True)[0]


def stereo_at(tone: Any, pan: float) -> Any:
    """As StereoPannerNode does it, by its definition."""
    left, right = tone[:, 0], tone[:, 1]
    if pan <= 0:
        x = (pan + 1) * math.pi / 2
        return np.stack([left + right * math.cos(x), right * math.sin(x)], axis=1)
    x = pan * math.pi / 2
    return np.stack([left * math.cos(x), right + left * math.sin(x)], axis=1)


def test_it_has_exactly_these_gains(job: Job, media_dir: Path):
    mix = made(make_mix(job, (0.5, -0.4), (0.25, 0.7), master=1.5))
    stem = soundfile.read(media_dir / Asset.objects.filter(job=job)[0].storage_key)[0]
    expected = 1.5 * (0.5 * stereo_at(stem, -0.4) + 0.25 * stereo_at(stem, 0.7))
    sound = sound_of(mix, media_dir)
    assert sound.shape == expected.shape
    assert np.abs(sound - expected).max() < 1e-6
    assert mix.peak == pytest.approx(np.abs(expected).max(), rel=1e-5)
    assert mix.clipped_samples == 0
    assert mix.filename == "song (mix).wav"
    assert mix.expires_at > mix.created_at


def test_a_part_of_it(job: Job, media_dir: Path):
    whole = sound_of(made(make_mix(job, (1, 0), (0, 0))), media_dir)
    part = sound_of(made(make_mix(job, (1, 0), (0, 0), start=30_000, end=90_001)), media_dir)
    assert np.array_equal(part, whole[30_000:90_001])


def test_all_muted_is_silence(job: Job, media_dir: Path):
    mix = made(make_mix(job, (0, 0), (0, 0), form="wav", is_normalised=True))
    sound = sound_of(mix, media_dir)
    assert sound.shape == (110_250, 2)
    assert not sound.any()


def test_what_is_too_loud_is_told_and_can_be_normalised(job: Job, media_dir: Path):
    mix = made(make_mix(job, (4, 0), (4, 0), form="wav"))
    tone = 8 * make_tone(seconds=2.5)
    assert mix.clipped_samples == pytest.approx(np.count_nonzero(np.abs(tone) > 1), rel=1e-3)
    assert mix.peak == pytest.approx(2.4, rel=1e-3)
    loud = made(make_mix(job, (4, 0), (4, 0), form="wav32f"))
    assert loud.clipped_samples == 0
    assert loud.peak == pytest.approx(2.4, rel=1e-3)
    for gain in (4, 0.02):
        plain = made(make_mix(job, (gain, 0), (gain, 0)))
        normal = made(make_mix(job, (gain, 0), (gain, 0), form="wav24", is_normalised=True))
        assert normal.clipped_samples == 0
        sound = sound_of(normal, media_dir)
        # -1 dBFS, and nothing but louder or quieter than the one that nobody normalised.
        assert np.abs(sound).max() == pytest.approx(10**-0.05, abs=2**-23)
        factor = 10**-0.05 / plain.peak
        assert np.abs(sound - factor * sound_of(plain, media_dir)).max() < 2**-22
    quiet = made(make_mix(job, (0.01, 0), (0, 0), form="mp3"))
    assert quiet.clipped_samples == 0


@pytest.mark.parametrize(
    ("form", "codec", "bits"),
    [
        ("wav", "pcm_s16le", 16),
        ("wav24", "pcm_s24le", 24),
        ("wav32f", "pcm_f32le", None),
        ("flac", "flac", 16),
        ("mp3", "mp3", None),
        ("m4a", "aac", None),
    ],
)
def test_each_format_can_be_read_again(
    job: Job, media_dir: Path, form: str, codec: str, bits: int | None
):
    mix = made(make_mix(job, (1, 0), (0.5, 0), form=form))
    with AudioReader(path_of(mix, media_dir)) as reader:
        assert (reader.format.codec, reader.format.bits_per_sample) == (codec, bits)
        assert (reader.format.sample_rate, reader.format.channels) == (44_100, 2)
        sound = np.concatenate(list(reader.blocks()), axis=1).T
    tone = 1.5 * make_tone(seconds=2.5)
    # AAC ends with a whole packet.
    assert 0 <= len(sound) - len(tone) < (1024 if form == "m4a" else 1)
    assert np.abs(sound[: len(tone)] - tone).max() < (0.03 if bits is None else 1e-4)


def test_mono_stays_mono_until_it_is_moved(
    alice: Any, tmp_path: Path, media_dir: Path, monkeypatch: Any
):
    job = make_done_job(alice, tmp_path)
    Listening.objects.all().delete()
    stem = Asset.objects.get(job=job)
    tone = make_tone(channels=1)
    soundfile.write(media_dir / stem.storage_key, tone, 44_100, subtype="PCM_16", format="WAV")
    Asset.objects.filter(pk=stem.pk).update(channels=1, layout="mono")
    mono = sound_of(made(make_mix(job, (1, 0))), media_dir)
    assert mono.shape == (44_100, 1)
    left = sound_of(made(make_mix(job, (1, -0.5))), media_dir)
    both = np.repeat(mono, 2, axis=1)
    assert np.abs(left - stereo_at(both, -0.5)).max() < 1e-6


@pytest.mark.parametrize(
    "values",
    [
        {"form": "ogg"},
        {"master": 4.1},
        {"master": float("nan")},
        {"master": True},
        {"lanes": [(5, 0)]},
        {"lanes": [(1, -1.1)]},
        {"lanes": [("loud", 0)]},
        {"lanes": []},
        {"start": 5, "end": 5},
        {"start": -1},
        {"end": 110_251},
    ],
)
def test_what_cannot_be_is_refused(job: Job, values: dict[str, Any]):
    asked = values.pop("lanes", [(1, 0)])
    with pytest.raises(ValidationFailed):
        make_mix(job, *asked, **values)
    assert not Mix.objects.exists()


def test_only_what_the_job_made_is_mixed(job: Job, charlie: Any, alice: Any, tmp_path: Path):
    other = make_done_job(alice, tmp_path)
    lane = lanes(job, (1, 0))[0]
    for uuid in (str(job.recording.uuid), lanes(other, (1, 0))[0].asset_uuid, "x"):
        order = MixOrder(lanes=[MixLane(uuid, 1, 0)], form="wav")
        with pytest.raises(ValidationFailed):
            mix_create(workspace=alice, job_uuid=job.uuid, order=order)
    twice = MixOrder(lanes=[lane, lane], form="wav")
    with pytest.raises(ValidationFailed):
        mix_create(workspace=alice, job_uuid=job.uuid, order=twice)
    with pytest.raises(NotFound):
        mix_create(workspace=charlie, job_uuid=job.uuid, order=MixOrder([lane], "wav"))


def test_a_rate_that_a_format_does_not_have(job: Job):
    Asset.objects.update(sample_rate=192_000)
    for form in ("mp3", "m4a"):
        with pytest.raises(UnsupportedFormat):
            make_mix(job, (1, 0), form=form)
    Asset.objects.update(sample_rate=44_100, channels=6)
    with pytest.raises(AppError):
        make_mix(job, (1, 0.5), form="wav")


def test_there_are_not_too_many_at_a_time_nor_for_long(
    job: Job, monkeypatch: Any, stored: Callable[[], list[str]]
):
    before = stored()
    monkeypatch.setattr(mixing, "_OPEN_AT_MOST", 2)
    monkeypatch.setattr(mixing, "_KEPT_AT_MOST", 2)
    first, _ = make_mix(job, (1, 0)), make_mix(job, (1, 0))
    with pytest.raises(LimitReached):
        make_mix(job, (1, 0))
    run_derived()
    assert len(stored()) == len(before) + 2
    make_mix(job, (1, 0))
    with pytest.raises(NotFound):
        mix_get(workspace=job.workspace, job_uuid=job.uuid, mix_uuid=first.uuid)
    run_derived()
    while storage_clean():
        pass
    assert len(stored()) == len(before) + 2
    Mix.objects.update(expires_at=Now())
    while storage_clean():
        pass
    assert stored() == before
    assert not Mix.objects.exists()
    assert not has_files_to_clean()


def test_it_goes_with_the_job_even_while_it_is_made(
    job: Job, stored: Callable[[], list[str]], alice: Any
):
    mix = make_mix(job, (1, 0))
    made(mix)
    make_mix(job, (1, 0))
    claimed = derived_claim()
    assert isinstance(claimed, Mix)
    files = claimed.job.stem_assets.all()
    assert files
    job_delete(workspace=alice, job_uuid=job.uuid)
    with pytest.raises(NotFound):
        mix_get(workspace=alice, job_uuid=job.uuid, mix_uuid=mix.uuid)
    derived_run(claimed)
    while storage_clean():
        pass
    assert stored() == [job.recording.storage_key]
    assert not Mix.objects.exists()
    assert derived_claim() is None


def test_a_worker_that_was_given_up_takes_its_file_back(job: Job, stored: Callable[[], list[str]]):
    before = stored()
    make_mix(job, (1, 0))
    claimed = derived_claim()
    assert claimed is not None
    Mix.objects.update(attempt=7)
    derived_run(claimed)
    assert stored() == before
