"""Conversions, each ordered at an address of its own."""

from typing import Any, ClassVar, Final

from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.scopes import JOBS_WRITE
from api.authentication import principal_of
from api.idempotency import IDEMPOTENCY_KEY, idempotency_key
from api.musicgpt import bodies, names
from api.musicgpt.base import MusicGptApi
from api.musicgpt.forms import (
    AudioCutterForm,
    ConversionForm,
    ExtractionForm,
    FileConvertForm,
    MidiForm,
    form_read,
)
from api.musicgpt.messages import STYLE
from api.musicgpt.names import Kind
from api.musicgpt.ordering import conversion_create
from api.musicgpt.schema import REPLY_EXAMPLE, ReplySerializer
from api.raw_bodies import body_source
from api.views import OPEN
from config.errors import NotFound
from jobs.services import Order

_OFFERED: Final = (
    "Extraction, denoise, deecho, dereverb, extract_key_bpm, audio_to_midi, file_convert, "
    "audio_cutter, byId and byUser"
)
# Each file as WAV, and as MP3 wherever that can hold the recording.
_BOTH: Final = {"output_format": "wav16", "formats_if_possible": ("mp3",)}


def _described(
    operation_id: str, description: str, form: type[ConversionForm] = ConversionForm
) -> Any:
    return extend_schema_view(
        post=extend_schema(
            operation_id=operation_id,
            description=description,
            parameters=[IDEMPOTENCY_KEY],
            request=form,
            responses={200: ReplySerializer},
            examples=[REPLY_EXAMPLE],
        )
    )


class ConversionApi(MusicGptApi):
    """What they have in common; each says what of its form makes the order."""

    scopes = {"POST": JOBS_WRITE}
    rate_limit = 60
    kind: ClassVar[Kind]
    form: ClassVar[type[ConversionForm]] = ConversionForm

    def post(self, request: Request) -> Response:
        principal = principal_of(request)
        # Decoding the recording takes the thread as well.
        with body_source(request, owner=principal.workspace.pk):
            values = form_read(self.form, request)
            job = conversion_create(
                principal=principal,
                order=self._order(values),
                upload=values.get("audio_file"),
                sample_rate=values.get("target_sr"),
                idempotency_key=idempotency_key(request),
            )
        return Response(bodies.reply(job))

    def particulars(self, values: dict[str, Any]) -> dict[str, Any]:
        """What of the order depends on the kind of conversion."""
        return {}

    def _order(self, values: dict[str, Any]) -> Order:
        return Order(
            url=values.get("audio_url", ""),
            service=self.kind.service,
            tariff=self.kind.tariff,
            dialect=self.dialect.name,
            dialect_data={"conversion_type": self.kind.type},
            callback_url=values.get("webhook_url", ""),
            callback_style=STYLE.name,
            **self.particulars(values),
        )


@_described("extraction", "Take stems out of a recording.", ExtractionForm)
class ExtractionApi(ConversionApi):
    kind = names.EXTRACTION
    form = ExtractionForm

    def particulars(self, values: dict[str, Any]) -> dict[str, Any]:
        return {
            "stems": tuple(values.get("stems") or names.FULL_BAND),
            "steps": tuple(values.get("preprocessing_options", ())),
            **_BOTH,
        }


class EnhancementApi(ConversionApi):
    step: ClassVar[str]

    def particulars(self, values: dict[str, Any]) -> dict[str, Any]:
        return {"steps": (self.step,), **_BOTH}


@_described("denoise", "Take the noise out of a recording.")
class DenoiseApi(EnhancementApi):
    kind, step = names.DENOISING, "denoise"


@_described("deecho", "Take the echo out of a recording.")
class DeechoApi(EnhancementApi):
    kind, step = names.DEECHO, "deecho"


@_described("dereverb", "Take the reverberation out of a recording.")
class DereverbApi(EnhancementApi):
    kind, step = names.DEREVERB, "dereverb"


@_described("extract_key_bpm", "Find the key and the tempo of a recording.")
class KeyBpmApi(ConversionApi):
    kind = names.KEY_BPM


@_described("audio_to_midi", "Write down the notes of a recording, as MIDI.", MidiForm)
class AudioToMidiApi(ConversionApi):
    kind, form = names.AUDIO_TO_MIDI, MidiForm


@_described("file_convert", "Write a recording in another format.", FileConvertForm)
class FileConvertApi(ConversionApi):
    kind, form = names.FILE_CONVERT, FileConvertForm

    def particulars(self, values: dict[str, Any]) -> dict[str, Any]:
        return {"output_format": values["form"]}


@_described("audio_cutter", "Keep a part of a recording.", AudioCutterForm)
class AudioCutterApi(ConversionApi):
    kind, form = names.AUDIO_CUTTER, AudioCutterForm

    def particulars(self, values: dict[str, Any]) -> dict[str, Any]:
        range_s = (values["start_time"], values["end_time"])
        return {"output_format": values["form"], "range_s": range_s}


@extend_schema(exclude=True)
class NotOfferedApi(MusicGptApi):
    """Whatever else there is over there."""

    authentication_classes = []
    scopes = {"GET": OPEN, "POST": OPEN}

    def get(self, request: Request, conversion: str) -> Response:
        raise NotFound(f"{conversion[:100]} is not offered here; {_OFFERED} are.")

    def post(self, request: Request, conversion: str) -> Response:
        return self.get(request, conversion)
