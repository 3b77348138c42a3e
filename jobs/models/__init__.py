from jobs.models.assets import Asset, AssetState, Deletion, DeletionReason, OutputKind
from jobs.models.derived import Derived, DerivedState
from jobs.models.ingests import INGEST_ENDED, Ingest, IngestKind, IngestPart, IngestState
from jobs.models.job import ENDED, OF_SPEAKERS, Job, JobEvent, JobPart, JobState, Service
from jobs.models.listening import Listening
from jobs.models.mixes import Mix
from jobs.models.shares import Share
from jobs.models.tallies import Tally, TallyMark
from jobs.models.timelines import JobTimeline
from jobs.models.webhooks import (
    CallbackSecret,
    MessageState,
    WebhookAttempt,
    WebhookEndpoint,
    WebhookMessage,
)
from jobs.models.workers import Worker

__all__ = [
    "ENDED",
    "INGEST_ENDED",
    "OF_SPEAKERS",
    "Asset",
    "AssetState",
    "CallbackSecret",
    "Deletion",
    "DeletionReason",
    "Derived",
    "DerivedState",
    "Ingest",
    "IngestKind",
    "IngestPart",
    "IngestState",
    "Job",
    "JobEvent",
    "JobPart",
    "JobState",
    "JobTimeline",
    "Listening",
    "MessageState",
    "Mix",
    "OutputKind",
    "Service",
    "Share",
    "Tally",
    "TallyMark",
    "WebhookAttempt",
    "WebhookEndpoint",
    "WebhookMessage",
    "Worker",
]
