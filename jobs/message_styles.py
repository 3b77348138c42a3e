"""In which words, signed how and how often a receiver is told: one style for each API.

An API that tells of jobs in its own way registers a style when Django starts. A message knows its
style by name; what it says is put together at its first try, from the job as it is by then.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol
from uuid import UUID

from jobs.models import Job

NATIVE = "native"
# Well below the lease of a message (jobs/delivering.py).
TRY_SECONDS_MAX: Final = 30.0


@dataclass(frozen=True)
class Schedule:
    """How long a try may take, and the pauses between tries."""

    total_s: float
    pauses_s: Sequence[int]

    @property
    def tries(self) -> int:
        return len(self.pauses_s) + 1


class MessageStyle(Protocol):
    """What an API decides about the messages to its receivers."""

    @property
    def name(self) -> str:
        """As in the rows of jobs, endpoints and messages; at most 16 characters."""

    @property
    def schedule(self) -> Schedule: ...

    @property
    def events(self) -> Mapping[str, str]:
        """The types of events that an endpoint can ask for, with a sentence on each."""

    def event(self, job: Job) -> str | None:
        """What the end of this job is called; None where nothing is told of it."""

    def body(self, job: Job, *, event: str, message_uuid: UUID) -> Mapping[str, Any]:
        """What is sent as JSON. `job.outputs` holds what it made."""

    def test_body(self, *, message_uuid: UUID) -> Mapping[str, Any]:
        """What an endpoint is sent on request."""

    def headers(
        self,
        *,
        message_uuid: UUID,
        event: str,
        at: datetime,
        content: bytes,
        secrets: Sequence[str],
    ) -> Mapping[str, str]:
        """What proves where it comes from, by the receiver's secrets (newest first; maybe none)."""


_STYLES: dict[str, MessageStyle] = {}


def style_register(style: MessageStyle) -> None:
    if not 0 < style.schedule.total_s <= TRY_SECONDS_MAX:
        # Else a message would be sent again while it is being sent.
        raise ValueError(f"a try of {style.name} may take {TRY_SECONDS_MAX} seconds at most")
    _STYLES[style.name] = style


def style_get(name: str) -> MessageStyle:
    return _STYLES[name]


def style_find(name: str) -> MessageStyle | None:
    """As rows name it, which may be older than the APIs that there are."""
    return _STYLES.get(name)
