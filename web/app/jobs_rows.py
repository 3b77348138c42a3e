"""A job as pages show it: in a row of a list, in the head of its page, and while it runs."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from django.utils.functional import Promise
from django.utils.translation import gettext as _

from accounts.people import full_name
from jobs.eta import UNKNOWN, Etas, etas_now
from jobs.models import ENDED, Asset, AssetState, Job, JobState, Service
from jobs.naming import job_name
from web.app.jobs_words import (
    SERVICES,
    STATES,
    STEPS,
    percent_of,
    place_text,
    stage_of,
    stages_of,
    time_left,
)

ACTIVE: Final = (JobState.WAITING, JobState.QUEUED, JobState.RUNNING)
_KINDS: Final = {
    JobState.SUCCEEDED: "ok",
    JobState.FAILED: "error",
    JobState.CANCELLED: "",
    JobState.RUNNING: "info",
}
_STEMS_SHOWN = 4


@dataclass(frozen=True)
class Stage:
    """`is_now` is what is being done, `percent` how far all of it is."""

    text: str | Promise
    is_done: bool = False
    is_now: bool = False


@dataclass
class JobRow:
    """Of a job as `job_search` or `job_get_for_workspace` reads it."""

    job: Job
    may_write: bool = False

    @cached_property
    def name(self) -> str:
        """That of the recording, which is gone once the recording is deleted, unless it was given
        one of its own."""
        return shown_name(self.job)

    @property
    def orderer(self) -> str:
        """The member or the key; empty for one that is no more, and of older jobs."""
        job = self.job
        if job.ordered_by is not None:
            return full_name(job.ordered_by) or job.ordered_by.email
        return job.api_key.name if job.api_key is not None else ""

    @property
    def id(self) -> str:
        return str(self.job.uuid)

    @property
    def state(self) -> str:
        return self.job.state

    @property
    def state_text(self) -> str | Promise:
        return STATES[JobState(self.job.state)]

    @property
    def kind(self) -> str:
        """Of the badge."""
        return _KINDS.get(JobState(self.job.state), "")

    @property
    def is_active(self) -> bool:
        return self.job.state in ACTIVE

    @cached_property
    def stage(self) -> str:
        """What happens now, in words; of a job that has ended, how it ended."""
        job = self.job
        if job.state == JobState.RUNNING:
            if job.cancel_requested_at is not None:
                return _("Stopping")
            return str(STEPS.get(job.step, STATES[JobState.RUNNING]))
        if job.state == JobState.QUEUED and job.attempt > 0:
            return _("Waiting to be tried again")
        return str(self.state_text)

    @property
    def percent(self) -> int | None:
        return percent_of(self.job.progress) if self.job.state == JobState.RUNNING else None

    @cached_property
    def hint(self) -> str:
        """How long it still takes, and how many are before it: what is known of it."""
        if self.job.state not in (JobState.QUEUED, JobState.RUNNING):
            return ""
        etas = etas_now()
        left = time_left(_eta_s(self.job, etas))
        place = ""
        if self.job.state == JobState.QUEUED:
            place = place_text(etas.place_of(self.job))
        return ", ".join(text for text in (place, left) if text)

    @property
    def news(self) -> tuple[Any, ...]:
        """Differs when the row looks different."""
        return self.job.state, self.stage, self.percent, self.hint

    @property
    def service(self) -> str | Promise:
        return SERVICES.get(Service(self.job.service), self.job.service)

    @property
    def what(self) -> str:
        """What is made, in short."""
        job = self.job
        if job.service == Service.SEPARATION:
            names = [stem_name(stem) for stem in job.stems]
            more = len(names) - _STEMS_SHOWN
            shown = ", ".join(names[:_STEMS_SHOWN])
            return f"{shown} +{more}" if more > 0 else shown
        if job.service == Service.ENHANCEMENT:
            return ", ".join(stem_name(step) for step in job.steps)
        if job.service == Service.CONVERSION:
            return ", ".join([job.output_format, *job.more_formats])
        return ""

    @property
    def length_s(self) -> float | None:
        """Of what is worked on; unknown until the recording has come."""
        job = self.job
        return None if job.asset is None else job.n_samples / job.asset.sample_rate

    @property
    def is_downloadable(self) -> bool:
        return self.job.state == JobState.SUCCEEDED and bool(self.outputs)

    @property
    def outputs(self) -> list[Asset]:
        outputs: list[Asset] = self.job.outputs  # type: ignore[attr-defined]
        return outputs

    @property
    def recording_is_kept(self) -> bool:
        return self.job.asset is not None and self.job.asset.state == AssetState.READY

    @property
    def may_cancel(self) -> bool:
        return self.may_write and self.is_active and self.job.cancel_requested_at is None

    @property
    def may_retry(self) -> bool:
        failed = self.job.state in (JobState.FAILED, JobState.CANCELLED)
        has_recording = self.job.asset is None or self.recording_is_kept
        return self.may_write and failed and has_recording and self.job.source_job_id is None

    @property
    def may_delete(self) -> bool:
        return self.may_write and self.job.state in ENDED

    @property
    def may_rename(self) -> bool:
        return self.may_write

    @property
    def may_run_again(self) -> bool:
        return self.may_write and self.recording_is_kept

    @property
    def stages(self) -> list[Stage]:
        """All that happens from the order to the end; for a job that has not ended."""
        job = self.job
        steps = stages_of(job.service, is_prepared=bool(job.steps))
        now = stage_of(job.step)
        at = steps.index(now) if now in steps else 0
        is_fetched = job.asset is not None
        running = job.state == JobState.RUNNING
        first = _("Recording received") if is_fetched else str(STATES[JobState.WAITING])
        return [
            Stage(first, is_done=is_fetched, is_now=not is_fetched),
            Stage(_("In the queue"), is_done=running, is_now=is_fetched and not running),
            *(
                Stage(STEPS[step], is_done=running and place < at, is_now=running and place == at)
                for place, step in enumerate(steps)
            ),
            Stage(_("Done")),
        ]


def shown_name(job: Job) -> str:
    return job_name(job) or (_("Deleted recording") if job.asset else _("Recording"))


def stem_name(stem: str) -> str:
    """As people write it: `lead_vocals` is "lead vocals"."""
    return stem.replace("_", " ")


def _eta_s(job: Job, etas: Etas) -> int:
    return UNKNOWN if job.asset is None else etas.of(job)
