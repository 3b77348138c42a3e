"""What orders and jobs look like in the native API."""

import json
import threading
from collections.abc import Mapping
from typing import Any, Final

from django.conf import settings
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request

from api.links import archive_url, asset_url
from api.native.base import StrictSerializer
from billing.pricing import credits_text
from jobs.eta import UNKNOWN, job_eta_s, order_eta_s
from jobs.models import Asset, Job, JobState, OutputKind, Service
from jobs.naming import NAME_CHARS_MAX, job_name
from jobs.separating import format_name
from jobs.services import Order, Quote
from jobs.speaker_options import (
    MAX_LUFS,
    MAX_SPEAKERS,
    MIN_LUFS,
    OVERLAPS,
    PAUSES,
    SpeakerOptions,
)
from jobs.webhook_events import job_range

METADATA_BYTES_MAX: Final = 4096
METADATA_DEPTH_MAX: Final = 32
# Longer than any recording.
_SECONDS_MAX: Final = 1e9
_ETA_HELP = (
    "About how many seconds until it ends, from how long such jobs took here; null: nobody knows."
)


class SpeakerOptionsSerializer(StrictSerializer):
    """How a conversation is taken apart. Leave the counts out unless you know them."""

    num_speakers = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=MAX_SPEAKERS
    )
    min_speakers = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=MAX_SPEAKERS
    )
    max_speakers = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=MAX_SPEAKERS
    )
    pauses = serializers.ChoiceField(
        required=False,
        choices=PAUSES,
        help_text="`keep`: each track is as long as the recording; `close`: only what is said.",
    )
    loudness = serializers.FloatField(
        required=False,
        allow_null=True,
        min_value=MIN_LUFS,
        max_value=MAX_LUFS,
        help_text="LUFS that each track is brought to; left as it is without.",
    )
    denoise = serializers.BooleanField(required=False)
    overlap = serializers.ChoiceField(
        required=False,
        choices=OVERLAPS,
        help_text="Where several speak at once.",
    )
    clips = serializers.BooleanField(
        required=False, help_text="Whether a sample of each speaker is made."
    )


class SecondsField(serializers.FloatField):
    """A place in a recording."""

    def __init__(self, **options: Any) -> None:
        super().__init__(min_value=0, max_value=_SECONDS_MAX, **options)

    def to_internal_value(self, data: Any) -> float:
        # Texts such as "nan" are numbers to Python.
        if isinstance(data, bool) or not isinstance(data, int | float):
            self.fail("invalid")
        return super().to_internal_value(data)


def _is_within(depth: int, value: Any) -> bool:
    """Whether objects and lists are in each other no deeper than this."""
    if not isinstance(value, dict | list):
        return True
    inner = value.values() if isinstance(value, dict) else value
    return depth > 0 and all(_is_within(depth - 1, one) for one in inner)


class MetadataField(serializers.DictField):
    """Any object of the caller's that can be stored and given back."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        values = super().to_internal_value(data)
        # What is deeper breaks where it is copied and written.
        if not _is_within(METADATA_DEPTH_MAX, values):
            problem = f"At most {METADATA_DEPTH_MAX} levels of objects and lists."
            raise serializers.ValidationError(problem)
        try:
            text = json.dumps(values, ensure_ascii=False, allow_nan=False)
        except ValueError:
            raise serializers.ValidationError("A number is too large.") from None
        if "\\u0000" in text:
            raise serializers.ValidationError("Null characters are not allowed.")
        if len(text.encode()) > METADATA_BYTES_MAX:
            raise serializers.ValidationError(f"At most {METADATA_BYTES_MAX} bytes of JSON.")
        return values


class OrderSerializer(StrictSerializer):
    """What is to be made of which recording: of `asset`, `url` and `import`, name one."""

    asset = serializers.UUIDField(
        required=False, help_text="The id that the upload returned, or of what a job made."
    )
    url = serializers.CharField(
        required=False,
        max_length=2000,
        help_text="Where the recording is fetched from. The job is `waiting` until it has come, "
        "and is priced then.",
    )
    service = serializers.ChoiceField(choices=Service.choices, default=Service.SEPARATION)
    stems = serializers.ListField(
        child=serializers.CharField(max_length=64),
        required=False,
        allow_empty=False,
        max_length=32,
        help_text="Names from the catalogue; without them, all stems of the model. Of "
        "`separation` only.",
    )
    model = serializers.CharField(
        required=False, max_length=64, help_text="A model of the catalogue; chosen if left out."
    )
    format = serializers.CharField(
        required=False,
        max_length=16,
        help_text="`wav` (in the recording's own depth; this if left out), `wav16`, `wav24`, "
        "`wav32f`, `flac`, `flac16`, `flac24` or `mp3`.",
    )
    formats = serializers.ListField(
        child=serializers.CharField(max_length=16),
        required=False,
        allow_empty=False,
        max_length=8,
        help_text="Instead of `format`: everything is made in each of these.",
    )
    start_s = SecondsField(
        required=False, help_text="Only from here on. Of the recording, in seconds."
    )
    end_s = SecondsField(
        required=False, help_text="Only up to here; it may lie beyond the recording's end."
    )
    preview = serializers.BooleanField(
        required=False,
        help_text=f"Only {settings.PREVIEW_MAX_SECONDS} seconds, from `start_s`. Previews are paid "
        "by their length and go first.",
    )
    steps = serializers.ListField(
        child=serializers.CharField(max_length=64),
        required=False,
        max_length=8,
        help_text="What is done to the recording before, in this order (`steps` of the "
        "catalogue); of `enhancement`, what is done to it at all.",
    )
    options = SpeakerOptionsSerializer(
        required=False, help_text="Of the services of speakers only; they have no `stems`."
    )
    callback_url = serializers.CharField(
        required=False,
        max_length=2000,
        help_text="Told when the job ends, besides the webhooks of the workspace.",
    )
    metadata = MetadataField(
        required=False,
        help_text=f"An object of yours, at most {METADATA_BYTES_MAX} bytes as JSON. It is given "
        "back with the job and in its messages.",
    )

    def get_fields(self) -> dict[str, Any]:
        # A word of Python's.
        imported = serializers.UUIDField(
            required=False, help_text="The id of an import that has not ended, as with `url`."
        )
        return {**super().get_fields(), "import": imported}

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        problems = {}
        if sum(name in values for name in ("asset", "url", "import")) != 1:
            problems["asset"] = "Name the recording by one of: asset, url, import."
        if "format" in values and "formats" in values:
            problems["formats"] = "Send either format or formats."
        if values.get("preview") and "end_s" in values:
            problems["end_s"] = "A preview has a length of its own."
        elif values.get("end_s", _SECONDS_MAX) <= values.get("start_s", 0):
            problems["end_s"] = "This must be after start_s."
        if problems:
            raise serializers.ValidationError(problems)
        return values

    def order(self) -> Order:
        return order_of_body(self.validated_data)


def order_of_body(values: Mapping[str, Any]) -> Order:
    """The order that a valid body is."""
    options = values.get("options")
    first, *more = values.get("formats") or [values.get("format", "wav")]
    return Order(
        asset_uuid=values.get("asset"),
        url=values.get("url", ""),
        import_uuid=values.get("import"),
        service=values["service"],
        stems=values.get("stems"),
        model=values.get("model"),
        output_format=first,
        more_formats=tuple(more),
        range_s=_range_s(values),
        steps=tuple(values.get("steps", ())),
        callback_url=values.get("callback_url", ""),
        speakers=None if options is None else SpeakerOptions(**options),
        metadata=values.get("metadata", {}),
    )


def _range_s(values: Mapping[str, Any]) -> tuple[float, float] | None:
    start_s = values.get("start_s", 0.0)
    if values.get("preview"):
        return start_s, start_s + settings.PREVIEW_MAX_SECONDS
    if "start_s" in values or "end_s" in values:
        return start_s, values.get("end_s", _SECONDS_MAX)
    return None


class QuoteSerializer(serializers.Serializer[Quote]):
    """What an order would cost and make."""

    asset = serializers.UUIDField(source="asset.uuid")
    stems = serializers.ListField(child=serializers.CharField())
    model = serializers.CharField()
    duration_s = serializers.FloatField(help_text="Of what is worked on.")
    credits = serializers.SerializerMethodField()
    credits_mcr = serializers.IntegerField(source="price_mcr")

    eta_s = serializers.SerializerMethodField(help_text=_ETA_HELP)

    def get_credits(self, quote: Quote) -> str:
        return credits_text(quote.price_mcr)

    @extend_schema_field(serializers.IntegerField(allow_null=True))
    def get_eta_s(self, quote: Quote) -> int | None:
        service = self.context["service"]
        eta_s = order_eta_s(service=service, duration_s=quote.duration_s, n_stems=len(quote.stems))
        return None if eta_s == UNKNOWN else eta_s


class OutputSerializer(serializers.Serializer[Asset]):
    """A file that was made. The link works without a key until it expires."""

    id = serializers.UUIDField(
        source="uuid", help_text="Also the `asset` of a further job, to take the file apart."
    )
    kind = serializers.ChoiceField(
        choices=OutputKind.choices,
        help_text="`track`: all that one speaker says; `clip`: a few seconds of it.",
    )
    stem = serializers.CharField(help_text="Or the label of a speaker.")
    filename = serializers.CharField()
    size_bytes = serializers.IntegerField()
    sha256 = serializers.CharField()
    format = serializers.SerializerMethodField(help_text="As it is ordered: `wav16`, `mp3`, …")
    sample_rate = serializers.IntegerField()
    channels = serializers.IntegerField()
    n_samples = serializers.IntegerField()
    expires_at = serializers.DateTimeField(
        allow_null=True, help_text="When it is deleted by itself, unless a job works on it."
    )
    download_url = serializers.SerializerMethodField()

    def get_format(self, asset: Asset) -> str:
        return format_name(asset)

    def get_download_url(self, asset: Asset) -> str:
        return asset_url(asset, request=self.context["request"])


class JobErrorSerializer(serializers.Serializer[Job]):
    code = serializers.CharField(source="error_code")
    message = serializers.CharField(source="error_message")


class RangeSerializer(serializers.Serializer[Any]):
    start_s = serializers.FloatField()
    end_s = serializers.FloatField()


class JobSerializer(serializers.Serializer[Job]):
    id = serializers.UUIDField(source="uuid")
    name = serializers.SerializerMethodField(
        help_text="What it was called by `PATCH`; else the file name of its recording, which is "
        "empty once the recording is deleted."
    )
    created_by = serializers.UUIDField(
        source="ordered_by.uuid",
        default=None,
        allow_null=True,
        help_text="The member who ordered it; null where a key did, and of older jobs.",
    )
    key = serializers.UUIDField(
        source="api_key.uuid",
        default=None,
        allow_null=True,
        help_text="The key that it was ordered with.",
    )
    status = serializers.ChoiceField(
        source="state",
        choices=JobState.values,
        help_text="`waiting`: for its recording, which is being fetched; it has no price yet.",
    )
    service = serializers.CharField()
    asset = serializers.UUIDField(source="asset.uuid", default=None, allow_null=True)
    stems = serializers.ListField(child=serializers.CharField())
    model = serializers.CharField()
    format = serializers.CharField(source="output_format")
    formats = serializers.SerializerMethodField(help_text="All of them, `format` first.")
    range = serializers.SerializerMethodField(
        help_text="What of the recording is worked on; null: all of it."
    )
    steps = serializers.ListField(
        child=serializers.CharField(), help_text="What is done to the recording, in this order."
    )
    options = serializers.DictField(help_text="As ordered; empty without speakers.")
    metadata = serializers.DictField(help_text="Yours, as it came.")
    retry_of = serializers.UUIDField(
        source="retry_of.uuid",
        default=None,
        allow_null=True,
        help_text="The first of the jobs that this one does anew.",
    )
    source_job = serializers.UUIDField(
        source="source_job.uuid",
        default=None,
        allow_null=True,
        help_text="Of a job that merged speakers: the one that was paid.",
    )
    progress = serializers.FloatField(help_text="0 to 1")
    step = serializers.CharField(
        help_text="What is being done while it runs: `load`, `separate`; of a "
        "`speaker_extraction`: `load`, `listen`, `cluster`, `denoise`, `tracks`."
    )
    eta_s = serializers.SerializerMethodField(help_text=_ETA_HELP)
    attempt = serializers.IntegerField()
    price_mcr = serializers.IntegerField(help_text="Held while the job runs.")
    charged_mcr = serializers.IntegerField(help_text="0 unless the job succeeded.")
    credits_charged = serializers.SerializerMethodField()
    error = serializers.SerializerMethodField()
    result = serializers.DictField(
        help_text="What was found that is no file: of `analysis`, `tempo` and `key`; of "
        "`transcription`, the notes."
    )
    outputs = OutputSerializer(
        many=True,
        help_text="What is still kept: files that expired or were deleted are not listed "
        "(`/v1/deletions` lists them).",
    )
    archive_url = serializers.SerializerMethodField(
        help_text="All outputs as one zip, without a key until the link expires; null: no files."
    )
    cancel_requested_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)

    def get_name(self, job: Job) -> str:
        return job_name(job)

    def get_credits_charged(self, job: Job) -> str:
        return credits_text(job.charged_mcr)

    @extend_schema_field(serializers.ListField(child=serializers.CharField()))
    def get_formats(self, job: Job) -> list[str]:
        return [job.output_format, *job.more_formats]

    @extend_schema_field(RangeSerializer(allow_null=True))
    def get_range(self, job: Job) -> dict[str, float] | None:
        return job_range(job)

    @extend_schema_field(serializers.IntegerField(allow_null=True))
    def get_eta_s(self, job: Job) -> int | None:
        eta_s = job_eta_s(job)
        return None if eta_s == UNKNOWN else eta_s

    @extend_schema_field(serializers.URLField(allow_null=True))
    def get_archive_url(self, job: Job) -> str | None:
        if job.state != JobState.SUCCEEDED or not job.outputs:  # type: ignore[attr-defined]
            return None
        return archive_url(job, request=self.context["request"])

    @extend_schema_field(JobErrorSerializer(allow_null=True))
    def get_error(self, job: Job) -> dict[str, Any] | None:
        return dict(JobErrorSerializer(job).data) if job.error_code else None


# One for each thread: to make a serializer, DRF copies all of its fields.
_of_thread = threading.local()


def job_body(job: Job, request: Request) -> dict[str, Any]:
    serializer: JobSerializer | None = getattr(_of_thread, "serializer", None)
    if serializer is None:
        serializer = _of_thread.serializer = JobSerializer()
    serializer._context = {"request": request}
    return dict(serializer.to_representation(job))


class JobChangesSerializer(StrictSerializer):
    """What is left out stays as it is."""

    name = serializers.CharField(
        required=False,
        max_length=NAME_CHARS_MAX,
        allow_blank=True,
        help_text="What it is called from now on, and the files that it made; empty: as its "
        "recording again.",
    )


class JobFilterSerializer(StrictSerializer):
    status = serializers.ChoiceField(required=False, choices=JobState.values)
    service = serializers.ChoiceField(required=False, choices=Service.values)
    created_by = serializers.UUIDField(required=False, help_text="The id of a member.")
    key = serializers.UUIDField(required=False, help_text="The id of a key.")
    since = serializers.DateTimeField(required=False, help_text="Made at this moment or later.")
    until = serializers.DateTimeField(required=False, help_text="Made before this moment.")
