"""What the service tells, as plain values; `more` has what this version does not know yet.

Money is in milli-credits (`…_mcr`), lengths in seconds (`…_s`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, TypedDict

ENDED = frozenset({"succeeded", "failed", "cancelled"})


@dataclass(frozen=True, kw_only=True)
class Told:
    """Something that the service told."""

    more: dict[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, kw_only=True)
class Failure(Told):
    """Why something failed: `code` is made for programs, `message` for people."""

    code: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Asset(Told):
    """A recording that was brought in."""

    id: str
    filename: str
    size_bytes: int
    sha256: str
    codec: str
    container: str
    sample_rate: int
    channels: int
    n_samples: int
    duration_s: float
    created_at: datetime
    expires_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Upload(Told):
    """A file that comes in parts.

    `state` is one of receiving, waiting, running, ready, failed, cancelled.
    """

    id: str
    kind: str
    state: str
    filename: str
    size_bytes: int
    received_bytes: int
    created_at: datetime
    expires_at: datetime
    asset: Asset | None = None
    error: Failure | None = None


@dataclass(frozen=True, kw_only=True)
class Import(Told):
    """A recording that is fetched.

    `state` is one of waiting, running, ready, failed, cancelled.
    """

    id: str
    state: str
    url: str
    filename: str
    received_bytes: int
    created_at: datetime
    finished_at: datetime | None = None
    asset: Asset | None = None
    error: Failure | None = None


@dataclass(frozen=True, kw_only=True)
class Output(Told):
    """A file that a job made. The link works without a key until it expires."""

    id: str
    kind: str
    # Or the label of a speaker.
    stem: str
    filename: str
    size_bytes: int
    sha256: str
    format: str
    sample_rate: int
    channels: int
    n_samples: int
    download_url: str
    expires_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Range(Told):
    """A part of a recording."""

    start_s: float
    end_s: float


@dataclass(frozen=True, kw_only=True)
class Job(Told):
    id: str
    # waiting (for its recording, which is fetched), queued, running; succeeded, failed, cancelled
    status: str
    service: str
    model: str
    format: str
    progress: float
    step: str
    attempt: int
    price_mcr: int
    charged_mcr: int
    credits_charged: str
    created_at: datetime
    # What it was called by `rename`; else the file name of its recording.
    name: str = ""
    # The ids of the member or of the key that ordered it.
    created_by: str | None = None
    key: str | None = None
    asset: str | None = None
    stems: list[str] = field(default_factory=list)
    formats: list[str] = field(default_factory=list)
    # None: all of the recording.
    range: Range | None = None
    steps: list[str] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)
    # Yours, as it was ordered.
    metadata: dict[str, Any] = field(default_factory=dict)
    # The first of the jobs that this one does anew.
    retry_of: str | None = None
    # Of a job that merged speakers: the one that was paid.
    source_job: str | None = None
    # About how long it still takes; None: nobody knows.
    eta_s: int | None = None
    # What was found that is no file, such as tempo and key.
    result: dict[str, Any] = field(default_factory=dict)
    outputs: list[Output] = field(default_factory=list)
    # All outputs as one zip, without a key until the link expires.
    archive_url: str | None = None
    error: Failure | None = None
    cancel_requested_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED


class SpeakerOptions(TypedDict, total=False):
    """How a conversation is taken apart; all may be left out."""

    num_speakers: int | None
    min_speakers: int | None
    max_speakers: int | None
    pauses: str
    loudness: float | None
    denoise: bool
    overlap: str
    clips: bool


class Order(TypedDict, total=False):
    """What is to be made of which recording: of `asset`, `url` and `import_id`, one is needed."""

    asset: str
    url: str
    import_id: str
    service: str
    stems: list[str]
    model: str
    format: str
    formats: list[str]
    start_s: float
    end_s: float
    preview: bool
    steps: list[str]
    options: SpeakerOptions
    callback_url: str
    metadata: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Quote(Told):
    """What an order would cost and make."""

    asset: str
    stems: list[str]
    model: str
    duration_s: float
    credits: str
    credits_mcr: int
    eta_s: int | None = None


@dataclass(frozen=True, kw_only=True)
class Speaker(Told):
    speaker: str
    turns: int
    talk_s: float
    share: float
    longest_turn_s: float
    overlap_s: float
    mean_confidence: float
    peak: float
    gain_db: float
    name: str | None = None
    rms_db: float | None = None
    lufs: float | None = None
    track: Output | None = None
    clip: Output | None = None


@dataclass(frozen=True, kw_only=True)
class Overlap(Told):
    start_s: float
    end_s: float
    speakers: list[str]


@dataclass(frozen=True, kw_only=True)
class Speakers(Told):
    """Who speaks in a recording; `timelines` are links to who speaks when."""

    job: str
    duration_s: float
    speakers: list[Speaker]
    overlaps: list[Overlap]
    timelines: dict[str, str]
    merges_left: int


@dataclass(frozen=True, kw_only=True)
class Credits(Told):
    credits: str
    available_mcr: int
    held_mcr: int
    balance_mcr: int
    debt_mcr: int


@dataclass(frozen=True, kw_only=True)
class LedgerEntry(Told):
    id: str
    kind: str
    amount_mcr: int
    credits: str
    balance_mcr: int
    reason: str
    created_at: datetime
    job: str | None = None


@dataclass(frozen=True, kw_only=True)
class Usage(Told):
    jobs: int
    charged_mcr: int
    credits_charged: str
    audio_s: float


@dataclass(frozen=True, kw_only=True)
class UsageGroup(Usage):
    """Of one day, service or key, whichever was asked for."""

    day: date | None = None
    service: str | None = None
    key: str | None = None
    key_name: str | None = None


@dataclass(frozen=True, kw_only=True)
class UsageReport(Told):
    """What was worked and paid for from the first day to the last, both included."""

    first: date = field(metadata={"name": "from"})
    last: date = field(metadata={"name": "to"})
    total: Usage
    groups: list[UsageGroup]


@dataclass(frozen=True, kw_only=True)
class Quality(Told):
    """What was measured of one stem of one model on some songs; ratios in dB."""

    stem: str
    model: str
    measured_on: str
    about: str
    kind: str
    start: str
    songs: int
    sdr_db: float
    si_sdr_db: float
    wrong_share: float
    parent_db: float
    static_eq_db: float
    oracle_mask_db: float
    peer: str | None
    peer_db: float | None
    seconds: float
    date: str
    commit: str


@dataclass(frozen=True, kw_only=True)
class Recovered(Told):
    """How good a stem of one model is; `margin_db` is against its parent at the best level."""

    stem: str
    sdr_db: float
    margin_db: float
    experimental: bool


@dataclass(frozen=True, kw_only=True)
class StemOffer(Told):
    """`experimental` is what was not shown to be better than its parent at the best level."""

    name: str
    title: str
    description: str
    group: str
    parent: str
    models: list[str]
    available: bool
    experimental: bool
    sdr_db: float | None
    margin_db: float | None
    quality: list[Quality]


@dataclass(frozen=True, kw_only=True)
class ToolOffer(Told):
    """A model that makes no stems."""

    name: str
    title: str
    task: str
    available: bool
    availability: str
    licence: str
    licence_summary: str
    commercial_use: bool
    source: str


@dataclass(frozen=True, kw_only=True)
class ModelOffer(Told):
    name: str
    title: str
    input: str
    stems: list[str]
    method: str
    available: bool
    availability: str
    licence: str
    licence_summary: str
    commercial_use: bool
    source: str
    seconds: float | None
    quality: list[Recovered]


@dataclass(frozen=True, kw_only=True)
class Price(Told):
    """`amount_mcr` buys `quantity` units."""

    service: str
    unit: str
    amount_mcr: int
    quantity: int


@dataclass(frozen=True, kw_only=True)
class ServiceOffer(Told):
    name: str
    title: str
    description: str
    models: list[str]
    available: bool
    price: Price | None = None


@dataclass(frozen=True, kw_only=True)
class StepOffer(Told):
    """What can be done to a recording before, or by the service `enhancement`."""

    name: str
    title: str
    description: str
    tools: list[str]
    available: bool


@dataclass(frozen=True, kw_only=True)
class Catalog(Told):
    services: list[ServiceOffer]
    steps: list[StepOffer] = field(default_factory=list)
    stems: list[StemOffer]
    models: list[ModelOffer]
    tools: list[ToolOffer]
    prices: list[Price]
    max_upload_bytes: int
    max_duration_s: int


@dataclass(frozen=True, kw_only=True)
class Webhook(Told):
    id: str
    url: str
    description: str
    # None: all.
    events: list[str]
    is_enabled: bool
    disabled_reason: str
    created_at: datetime
    disabled_at: datetime | None = None
    failing_since: datetime | None = None
    old_secret_until: datetime | None = None
    # Only of one that was just made, or whose secret was replaced.
    secret: str | None = None


@dataclass(frozen=True, kw_only=True)
class Attempt(Told):
    """A try to deliver a message; `error_code` is empty if it arrived."""

    number: int
    started_at: datetime
    duration_ms: int
    error_code: str
    response: str
    status_code: int | None = None


@dataclass(frozen=True, kw_only=True)
class Delivery(Told):
    """A message and what became of it; `body` and `log` where a single one is read."""

    id: str
    url: str
    event: str
    state: str
    attempts: int
    created_at: datetime
    webhook: str | None = None
    job: str | None = None
    next_attempt_at: datetime | None = None
    finished_at: datetime | None = None
    body: dict[str, Any] | None = None
    log: list[Attempt] | None = None
