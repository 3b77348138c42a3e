import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.db.utils import OperationalError

from jobs.heartbeat import Heartbeat, is_hanging
from jobs.instance import FOLDER_VARIABLE, Pulse
from jobs.leases import CancelRequested, LeaseLost
from jobs.models import Job
from jobs.scheduling import job_claim
from tests.makers import make_asset, make_job

pytestmark = pytest.mark.django_db


@pytest.fixture
def job(alice: Any, tmp_path: Path) -> Job:
    return make_job(alice, make_asset(alice, tmp_path, seconds=0.5), stems=("vocals", "drums"))


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def until_stopped(heartbeat: Heartbeat) -> None:
    until(lambda: heartbeat._stop is not None)


class TestHeartbeat:
    @pytest.fixture
    def claimed(self, job: Job, monkeypatch: pytest.MonkeyPatch, settings: Any) -> Job:
        monkeypatch.undo()
        settings.JOB_HEARTBEAT_SECONDS = 0
        claimed = job_claim()
        assert claimed is not None
        return claimed

    @pytest.mark.parametrize("stop", [LeaseLost(), CancelRequested()])
    def test_what_the_beat_learns_stops_the_work(
        self, claimed: Job, stop: Exception, monkeypatch: pytest.MonkeyPatch
    ):
        def beat(*args: Any, **kwargs: Any) -> None:
            raise stop

        monkeypatch.setattr("jobs.heartbeat.job_beat", beat)
        with Heartbeat(claimed) as heartbeat:
            until_stopped(heartbeat)
            with pytest.raises(type(stop)):
                heartbeat.report(0.5)

    def test_it_says_that_the_worker_lives(
        self, claimed: Job, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ):
        monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
        beats: list[None] = []

        def beat(*args: Any, **kwargs: Any) -> None:
            beats.append(None)
            raise LeaseLost

        monkeypatch.setattr("jobs.heartbeat.job_beat", beat)
        with Heartbeat(claimed) as heartbeat:
            until_stopped(heartbeat)
            # Also while the work cannot end, as within a call to storage.
            (tmp_path / Pulse.WORKER).unlink()
            until((tmp_path / Pulse.WORKER).exists)
        assert len(beats) == 1

    @pytest.mark.parametrize("error", [OperationalError("away"), MemoryError()])
    def test_a_beat_that_failed_comes_again_at_once(
        self, claimed: Job, monkeypatch: pytest.MonkeyPatch, error: Exception
    ):
        beat = mock.Mock(side_effect=[error, error, LeaseLost])
        look = mock.Mock()
        monkeypatch.setattr("jobs.heartbeat.job_beat", beat)
        monkeypatch.setattr("jobs.heartbeat.job_look", look)
        with Heartbeat(claimed) as heartbeat:
            until_stopped(heartbeat)
        assert (beat.call_count, look.call_count) == (3, 0)

    def test_beats_are_few(self, claimed: Job, monkeypatch: pytest.MonkeyPatch):
        beat = mock.Mock()
        monkeypatch.setattr("jobs.heartbeat.job_beat", beat)
        looks = iter([None, None, CancelRequested()])
        monkeypatch.setattr("jobs.heartbeat.job_look", mock.Mock(side_effect=looks))
        with Heartbeat(claimed) as heartbeat:
            until_stopped(heartbeat)
        assert beat.call_count == 1

    def test_a_job_that_cannot_even_end_loses_its_lease(
        self, claimed: Job, monkeypatch: pytest.MonkeyPatch, settings: Any
    ):
        """The work hangs where nobody asks whether it may go on."""
        settings.JOB_TIME_LIMIT_BASE_SECONDS = settings.JOB_TIME_LIMIT_FACTOR = 0
        monkeypatch.setattr("jobs.heartbeat._HANG_PATIENCE_S", 0)
        beat = mock.Mock()
        monkeypatch.setattr("jobs.heartbeat.job_beat", beat)
        with Heartbeat(claimed) as heartbeat:
            heartbeat._thread.join()
            assert is_hanging()
        assert not is_hanging()
        assert beat.call_count == 0
