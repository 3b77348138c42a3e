"""What jobs are called on pages: states, steps, services, events and lengths of time in words."""

from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.utils.translation import ngettext

from jobs.eta import UNKNOWN
from jobs.models import JobState, Service

Words = str | Promise

STATES: Final[dict[str, Words]] = {
    JobState.WAITING: _lazy("Fetching the recording"),
    JobState.QUEUED: _lazy("In the queue"),
    JobState.RUNNING: _lazy("Running"),
    JobState.SUCCEEDED: _lazy("Done"),
    JobState.FAILED: _lazy("Failed"),
    JobState.CANCELLED: _lazy("Cancelled"),
}
SERVICES: Final[dict[str, Words]] = {
    Service.SEPARATION: _lazy("Stems"),
    Service.SPEAKER_EXTRACTION: _lazy("Speakers, with tracks"),
    Service.SPEAKER_DIARIZATION: _lazy("Who speaks when"),
    Service.ENHANCEMENT: _lazy("Clean-up"),
    Service.ANALYSIS: _lazy("Tempo and key"),
    Service.TRANSCRIPTION: _lazy("Notes"),
    Service.CONVERSION: _lazy("Conversion"),
}
# What the library calls that which is being done.
STEPS: Final[dict[str, Words]] = {
    "probe": _lazy("Reading the recording"),
    "load": _lazy("Loading the model"),
    "prepare": _lazy("Preparing the recording"),
    "separate": _lazy("Separating"),
    "part": _lazy("Separating"),
    "join": _lazy("Joining the parts"),
    "listen": _lazy("Listening for speakers"),
    "cluster": _lazy("Telling speakers apart"),
    "denoise": _lazy("Removing noise"),
    "tracks": _lazy("Making the tracks"),
    "transcribe": _lazy("Writing down the notes"),
    "analyse": _lazy("Finding tempo and key"),
    "enhance": _lazy("Cleaning up"),
    "convert": _lazy("Converting"),
}
EVENTS: Final[dict[str, Words]] = {
    "waiting": _lazy("Ordered; the recording is being fetched"),
    "queued": _lazy("Put into the queue"),
    "started": _lazy("Started"),
    "requeued": _lazy("Put back into the queue to be tried again"),
    "handed_back": _lazy("Handed back by a worker that had to stop"),
    "cancel_requested": _lazy("Asked to stop"),
    "cancelled": _lazy("Cancelled"),
    "succeeded": _lazy("Done"),
    "failed": _lazy("Failed"),
}
_STAGES: Final[dict[str, tuple[str, ...]]] = {
    Service.SEPARATION: ("load", "separate"),
    Service.SPEAKER_EXTRACTION: ("load", "listen", "cluster", "tracks"),
    Service.SPEAKER_DIARIZATION: ("load", "listen", "cluster"),
    Service.ENHANCEMENT: ("enhance",),
    Service.ANALYSIS: ("load", "analyse"),
    Service.TRANSCRIPTION: ("load", "transcribe"),
    Service.CONVERSION: ("convert",),
}
# Shown as the stage before, whose end they are.
_PART_OF: Final = {"probe": "load", "part": "separate", "join": "separate", "denoise": "tracks"}
_PROGRESS_KNOWN_FROM = 0.005


def stages_of(service: str, *, is_prepared: bool) -> tuple[str, ...]:
    """The steps of such a job that people see, in order."""
    stages = _STAGES.get(service, ())
    return ("prepare", *stages) if is_prepared and service != Service.ENHANCEMENT else stages


def stage_of(step: str) -> str:
    return _PART_OF.get(step, step)


def percent_of(progress: float) -> int | None:
    """None: so little that nobody knows."""
    return None if progress < _PROGRESS_KNOWN_FROM else min(99, int(100 * progress))


def time_left(eta_s: int) -> str:
    """About how long; empty where nobody knows."""
    if eta_s == UNKNOWN:
        return ""
    if eta_s < 60:
        # In steps that do not jump about with every look.
        seconds = max(5, -(-eta_s // 5) * 5)
        return _("about %(n)s s left") % {"n": seconds}
    minutes = -(-eta_s // 60)
    if minutes < 60:
        return ngettext("about %(n)s minute left", "about %(n)s minutes left", minutes) % {
            "n": minutes
        }
    hours, minutes = divmod(minutes, 60)
    return _("about %(hours)s h %(minutes)s min left") % {"hours": hours, "minutes": minutes}


def place_text(place: int | None) -> str:
    if place is None:
        return ""
    return _("next in the queue") if place == 1 else _("place %(n)s in the queue") % {"n": place}
