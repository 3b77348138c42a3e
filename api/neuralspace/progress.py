"""How far a job has come, in the eight words of this API."""

from typing import Final

from jobs.models import Job, JobState

QUEUED: Final = "Queued"
STARTED: Final = "Job Started"
LOADING: Final = "Loading Model"
LOADED: Final = "Model Loading Complete"
SPLITTING: Final = "Splitting Audio"
SPLIT: Final = "Split Complete"
ENDED: Final = "Job Ended"
COMPLETED: Final = "Completed"
FAILED: Final = "Failed"

WORDS: Final = (QUEUED, STARTED, LOADING, LOADED, SPLITTING, SPLIT, ENDED, COMPLETED)
# As the library calls them.
_LOADING_STEP: Final = "load"
_SPLITTING_STEPS: Final = ("separate", "join")


def progress_words(job: Job) -> list[str]:
    """What has happened so far, in order; the last word is the status."""
    if job.state == JobState.SUCCEEDED:
        return list(WORDS)
    if job.state == JobState.RUNNING:
        return _begun(job)
    if job.state in (JobState.FAILED, JobState.CANCELLED):
        begun = [*_begun(job), ENDED] if job.started_at else [QUEUED]
        return [*begun, FAILED]
    # Also one that a worker gave back: it begins anew.
    return [QUEUED]


def _begun(job: Job) -> list[str]:
    if job.progress >= 1:
        return list(WORDS[: WORDS.index(SPLIT) + 1])
    # An ended job has no step any more; that it had come on tells as much.
    if job.progress > 0 or job.step in _SPLITTING_STEPS:
        return list(WORDS[: WORDS.index(SPLITTING) + 1])
    if job.step == _LOADING_STEP:
        return list(WORDS[: WORDS.index(LOADING) + 1])
    return [QUEUED, STARTED]
