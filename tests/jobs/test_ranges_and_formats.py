"""Jobs of a range, with steps before, in several formats; cleaning and converting."""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from billing.selectors import ledger_discrepancies, wallet_get
from config import errors
from jobs.engine import EngineLost
from jobs.models import Asset, Job, JobTimeline
from jobs.services import Order, job_create, job_estimate
from jobs.speakers import speakers_get_for_workspace, speakers_merge
from jobs.storage import storage_open
from jobs.work import conversion, preparing
from jobs.work import separation as work_separation
from separation import batching, catalog, engines
from tests.fakes.engine import convert_here, prepare_here, separate_here
from tests.makers import make_asset, make_grant, run_jobs
from tests.separation.conftest import GAINS, SEGMENT, GainEngine

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_beats")]

RATE = 44_100
SECONDS = 2.0
RANGE_S = (0.25, 1.5)
RANGE = slice(round(0.25 * RATE), round(1.5 * RATE))
N_RANGE = RANGE.stop - RANGE.start

Samples = Any


class Halving:
    """Stands for the denoiser: it leaves half of everything."""

    def __init__(self, sample_rate: int, channels: int, *, device: str) -> None:
        self._nothing = np.zeros((channels, 0), np.float32)

    def push(self, block: Samples) -> Samples:
        return block * np.float32(0.5)

    def flush(self) -> Samples:
        return self._nothing


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.JOB_RETRY_PAUSE_SECONDS = 0
    monkeypatch.setattr(preparing, "engine_prepare", prepare_here)
    monkeypatch.setattr(conversion, "engine_convert", convert_here)
    monkeypatch.setattr(
        "separation.enhance.steps._CLASSES", {"deepfilternet3": f"{__name__}:Halving"}
    )


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[GainEngine]:
    """The library itself, with a model that is only a gain."""
    known = catalog.model("htdemucs")
    model = dataclasses.replace(known, segment_samples=SEGMENT, adds_mean=False)
    engine = GainEngine(model)
    monkeypatch.setattr(catalog, "models", lambda: (model,))
    monkeypatch.setattr(engines, "load_engine", lambda *_: engine)
    monkeypatch.setattr(work_separation, "engine_separate", separate_here)
    yield engine
    batching.close_queue(engine)


@pytest.fixture
def asset(alice: Any, tmp_path: Path) -> Asset:
    make_grant(alice, 1_000_000)
    return make_asset(alice, tmp_path, name="song.wav", seconds=SECONDS)


@pytest.fixture
def ordered(alice: Any, asset: Asset) -> Callable[..., Job]:
    def order(service: str, **values: Any) -> Job:
        return job_create(
            workspace=alice,
            api_key=None,
            order=Order(asset_uuid=asset.uuid, service=service, **values),
        )

    return order


def done(job: Job) -> Job:
    assert run_jobs() == 1
    job.refresh_from_db()
    assert (job.state, job.error_code) == ("succeeded", "")
    assert ledger_discrepancies() == []
    return job


def samples_of(asset: Asset) -> Samples:
    """Of one file, (n, channels) float64."""
    with storage_open(key=asset.storage_key) as handle:
        return soundfile.read(handle, always_2d=True)[0]


def files(job: Job) -> list[tuple[str, str, str, str]]:
    return [(o.kind, o.stem, o.form, o.filename) for o in job.stem_assets.order_by("pk")]


def assert_rows_tell_what_the_files_hold(job: Job) -> None:
    for output in job.stem_assets.all():
        with storage_open(key=output.storage_key) as handle:
            info = soundfile.info(handle)
        assert (output.n_samples, output.sample_rate) == (info.frames, info.samplerate)
        subtypes = {"pcm_s16le": "PCM_16", "pcm_s24le": "PCM_24", "libmp3lame": "MPEG_LAYER_III"}
        flac = {16: "PCM_16", 24: "PCM_24"}.get(output.bits_per_sample or 0)
        assert info.subtype == (flac if output.codec == "flac" else subtypes[output.codec])


def test_a_range_in_several_formats(ordered: Callable[..., Job], engine: GainEngine, asset: Asset):
    job = ordered(
        "separation",
        stems=("vocals", "bass"),
        output_format="wav",
        more_formats=("flac24", "wav24", "mp3"),
        range_s=RANGE_S,
    )
    done(job)
    expected = [
        ("wav", ".wav"), ("flac24", ".flac"), ("wav24", ".wav24.wav"), ("mp3", ".mp3"),
    ]  # fmt: skip
    assert files(job) == [
        ("stem", stem, form, f"song ({stem}){suffix}")
        for form, suffix in expected
        for stem in ("vocals", "bass")
    ]
    assert_rows_tell_what_the_files_hold(job)
    recorded = samples_of(asset)[RANGE]
    for output in job.stem_assets.exclude(form="mp3"):
        assert output.n_samples == N_RANGE
        # The recording has 16 bits, and so has `wav`.
        step = 2.0 ** -(15 if output.form == "wav" else 23)
        made = samples_of(output)
        np.testing.assert_allclose(made, GAINS[output.stem] * recorded, atol=4 * step)


def test_what_is_ordered_before_is_done_before(
    ordered: Callable[..., Job], engine: GainEngine, asset: Asset
):
    job = done(ordered("separation", stems=("vocals",), steps=("denoise",)))
    (output,) = job.stem_assets.all()
    # As deep as the recording, though what was made of it is float.
    assert (output.form, output.bits_per_sample, output.n_samples) == ("wav", 16, asset.n_samples)
    expected = 0.5 * GAINS["vocals"] * samples_of(asset)
    np.testing.assert_allclose(samples_of(output), expected, atol=2.0**-14)


def test_what_the_recording_says_of_itself_goes_along(
    ordered: Callable[..., Job], engine: GainEngine, monkeypatch: pytest.MonkeyPatch, asset: Asset
):
    asked: list[str | None] = []

    def look(*, tags_from: str | None, **call: Any) -> Any:
        asked.append(tags_from)
        return separate_here(tags_from=tags_from, **call)

    monkeypatch.setattr(work_separation, "engine_separate", look)
    done(ordered("separation", stems=("vocals",), range_s=RANGE_S))
    done(ordered("separation", stems=("vocals",)))
    (prepared, stored) = asked
    assert prepared is not None
    assert prepared.endswith(asset.storage_key)
    assert stored is None


def test_progress_never_goes_back(
    ordered: Callable[..., Job], engine: GainEngine, monkeypatch: pytest.MonkeyPatch
):
    told: list[tuple[str, float]] = []

    def report(self: Any, progress: float, *, step: str = "") -> None:
        told.append((step, progress))

    monkeypatch.setattr("jobs.heartbeat.Heartbeat.report", report)
    done(ordered("separation", stems=("vocals",), steps=("denoise",), range_s=RANGE_S))
    steps = list(dict.fromkeys(step for step, _ in told))
    assert steps == ["prepare", "load", "separate"]
    shares = [share for step, share in told if step != "load"]
    assert shares == sorted(shares)
    assert max(share for step, share in told if step == "prepare") == pytest.approx(0.4)
    assert shares[-1] == 1


def test_without_range_and_steps_nothing_is_prepared(
    ordered: Callable[..., Job], engine: GainEngine, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(preparing, "engine_prepare", None)
    done(ordered("separation", stems=("vocals",)))


def test_a_lost_attempt_is_prepared_anew(
    ordered: Callable[..., Job], engine: GainEngine, monkeypatch: pytest.MonkeyPatch, settings: Any
):
    lost = [EngineLost(-9)]

    def lose_once(**call: Any) -> Any:
        if lost:
            raise lost.pop()
        return prepare_here(**call)

    monkeypatch.setattr(preparing, "engine_prepare", lose_once)
    job = ordered("separation", stems=("vocals",), range_s=RANGE_S)
    assert run_jobs() == 2
    job.refresh_from_db()
    assert (job.state, job.attempt, job.losses) == ("succeeded", 2, 1)
    assert list(settings.SCRATCH_DIR.iterdir()) == []


def test_parts_of_a_range_are_gone_on_from(
    ordered: Callable[..., Job], engine: GainEngine, monkeypatch: pytest.MonkeyPatch, settings: Any
):
    settings.JOB_PARTS_FROM_SECONDS, settings.JOB_PART_SECONDS = 1, 0.5
    order = {"stems": ("vocals",), "range_s": RANGE_S, "more_formats": ("mp3",)}
    whole = done(ordered("separation", **order))

    def lose_after_a_part(*, watch: Any, on_progress: Any, **options: Any) -> Any:
        def report(*, step: str, completed: int, total: int | None) -> None:
            on_progress(step=step, completed=completed, total=total)
            if step == "part":
                while not job.parts.exists():
                    watch()
                monkeypatch.setattr(work_separation, "engine_separate", separate_here)
                raise EngineLost(-9)

        return separate_here(watch=watch, on_progress=report, **options)

    job = ordered("separation", **order)
    monkeypatch.setattr(work_separation, "engine_separate", lose_after_a_part)
    assert run_jobs() == 2
    job.refresh_from_db()
    assert (job.state, job.attempt) == ("succeeded", 2)
    for ours, theirs in zip(
        job.stem_assets.order_by("pk"), whole.stem_assets.order_by("pk"), strict=True
    ):
        assert (ours.form, ours.sha256) == (theirs.form, theirs.sha256)


def test_a_short_range_of_a_long_recording_is_not_kept_in_parts(
    ordered: Callable[..., Job], engine: GainEngine, settings: Any
):
    settings.JOB_PARTS_FROM_SECONDS, settings.JOB_PART_SECONDS = 1.5, 0.5
    short = done(ordered("separation", stems=("vocals",), range_s=RANGE_S))
    long = done(ordered("separation", stems=("vocals",)))
    assert (short.parts.count(), long.parts.count()) == (0, 4)


# --- Cleaning and converting ---


def test_a_recording_is_cleaned(ordered: Callable[..., Job], asset: Asset):
    job = done(ordered("enhancement", steps=("denoise",), more_formats=("mp3",), range_s=RANGE_S))
    assert job.model == "deepfilternet3"
    assert files(job) == [
        ("recording", "", "wav", "song (enhanced).wav"),
        ("recording", "", "mp3", "song (enhanced).mp3"),
    ]
    assert_rows_tell_what_the_files_hold(job)
    made = samples_of(job.stem_assets.get(form="wav"))
    np.testing.assert_allclose(made, 0.5 * samples_of(asset)[RANGE], atol=2.0**-15)
    assert job.charged_mcr == job.price_mcr > 0


def test_a_recording_is_converted_as_it_is(ordered: Callable[..., Job], asset: Asset):
    job = done(ordered("conversion", output_format="flac", more_formats=("wav24", "wav")))
    assert files(job) == [
        ("recording", "", "flac", "song.flac"),
        ("recording", "", "wav24", "song.wav"),
        ("recording", "", "wav", "song.wav.wav"),
    ]
    assert_rows_tell_what_the_files_hold(job)
    for output in job.stem_assets.all():
        np.testing.assert_array_equal(samples_of(output), samples_of(asset))


@pytest.mark.parametrize("service", ["separation", "enhancement", "speaker_extraction"])
@pytest.mark.parametrize("step", ["dereverb", "deecho"])
def test_a_step_that_nothing_here_does_is_refused_by_name(
    ordered: Callable[..., Job],
    alice: Any,
    monkeypatch: pytest.MonkeyPatch,
    service: str,
    step: str,
):
    others = tuple(tool for tool in catalog.tools() if tool.task != step)
    monkeypatch.setattr("separation.catalog.tools", lambda: others)
    before = wallet_get(workspace=alice)
    with pytest.raises(errors.ModelUnavailable) as caught:
        ordered(service, steps=("denoise", step))
    assert f"'{step}'" in caught.value.text
    assert not Job.objects.exists()
    after = wallet_get(workspace=alice)
    assert (after.posted_mcr, after.held_mcr) == (before.posted_mcr, before.held_mcr)


@pytest.mark.parametrize(
    ("steps", "said"), [(("sing",), "no step named 'sing'"), (("denoise", "denoise"), "twice")]
)
def test_steps_that_cannot_be_meant(ordered: Callable[..., Job], steps: Any, said: str):
    with pytest.raises(errors.ValidationFailed) as caught:
        ordered("enhancement", steps=steps)
    assert said in caught.value.fields["steps"][0]


def test_a_step_whose_weights_are_not_here_is_refused(
    ordered: Callable[..., Job], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("STEMWRIGHT_CACHE_DIR", str(tmp_path))
    with pytest.raises(errors.ModelUnavailable, match="the step 'denoise'"):
        ordered("enhancement", steps=("denoise",))


def test_a_stem_that_no_model_makes_is_refused_by_name(
    ordered: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
):
    roots = tuple(model for model in catalog.models() if not model.input)
    monkeypatch.setattr(catalog, "models", lambda: roots)
    with pytest.raises(errors.ModelUnavailable, match="the stem 'piano'"):
        ordered("separation", stems=("vocals", "piano"))


def test_a_range_costs_what_its_samples_cost(alice: Any, asset: Asset):
    def price(range_s: tuple[float, float] | None) -> int:
        order = Order(asset_uuid=asset.uuid, service="separation", range_s=range_s)
        return job_estimate(workspace=alice, order=order).price_mcr

    whole = price(None)
    assert price((0.5, 1.0)) * 4 == price((0, 99)) == whole
    for range_s in ((SECONDS, 3), (-1, 1), (1, 1), (1, 0.5)):
        with pytest.raises(errors.RangeOutside):
            price(range_s)


# --- Speakers ---


def test_speakers_of_a_range_in_several_formats(
    ordered: Callable[..., Job], fake_diarization: list[Any]
):
    job = done(
        ordered("speaker_extraction", range_s=RANGE_S, steps=("denoise",), more_formats=("mp3",))
    )
    assert fake_diarization[0]["info"].n_samples == N_RANGE
    labels = ["SPEAKER_0", "SPEAKER_1", "SPEAKER_2"]
    tails = {"track": "", "clip": ", sample"}
    assert files(job) == [
        (kind, label, form, f"song ({label}{tail}).{form}")
        for kind, tail in tails.items()
        for form in ("wav", "mp3")
        for label in labels
    ]
    assert_rows_tell_what_the_files_hold(job)
    tracks = job.stem_assets.filter(kind="track")
    assert set(tracks.values_list("n_samples", flat=True)) == {N_RANGE}
    assert JobTimeline.objects.get(job=job).turns["duration_s"] == pytest.approx(1.25)


def test_who_speaks_when_makes_no_files(ordered: Callable[..., Job], fake_diarization: list[Any]):
    job = done(ordered("speaker_diarization"))
    assert files(job) == []
    timeline = JobTimeline.objects.get(job=job)
    assert len(timeline.turns["turns"]) == 4
    assert [row["rms_db"] for row in timeline.statistics] == [None] * 3
    found = speakers_get_for_workspace(workspace=job.workspace, job_uuid=job.uuid)
    assert list(found.titles) == ["SPEAKER_0", "SPEAKER_1", "SPEAKER_2"]


def test_a_merge_is_of_the_same_range_and_makes_no_more(
    ordered: Callable[..., Job], fake_diarization: list[Any]
):
    for service, n_files in (("speaker_diarization", 0), ("speaker_extraction", 8)):
        job = done(ordered(service, range_s=RANGE_S, steps=("denoise",), more_formats=("mp3",)))
        merged = speakers_merge(
            workspace=job.workspace,
            api_key=None,
            job_uuid=job.uuid,
            groups=[["SPEAKER_0", "SPEAKER_2"]],
        )
        done(merged)
        assert (merged.service, merged.price_mcr) == (service, 0)
        assert (merged.n_samples, merged.steps) == (N_RANGE, ["denoise"])
        assert merged.stem_assets.count() == n_files
        tracks = merged.stem_assets.filter(kind="track")
        assert {track.n_samples for track in tracks} <= {N_RANGE}
