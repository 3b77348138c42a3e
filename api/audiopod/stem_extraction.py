"""The stem extraction family: by mode, as it was before modes, and in detail."""

from collections.abc import Callable, Sequence
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.scopes import JOBS_READ, JOBS_WRITE
from api.audiopod.answers import AudiopodJobsSerializer, AudiopodStemJobSerializer
from api.audiopod.base import LIST_PARAMETERS, AudiopodApi, parameter_error
from api.audiopod.chains import chain_delete, chains_list, job_get
from api.audiopod.examples import STEMS
from api.audiopod.ordering import RecordingSerializer, Values, job_order
from api.audiopod.rendering import job_body, jobs_page, user_id
from api.audiopod.stems import (
    LEGACY_MODELS,
    MODES,
    mode_stems,
    names_parse,
    ours_of,
    package_stems,
    stems_of_count,
    two_stems,
)
from api.authentication import workspace_of
from api.idempotency import IDEMPOTENCY_KEY
from jobs.models import Service
from jobs.services import Order

SERVICES = (Service.SEPARATION,)
_TARIFF = "separation_by_mode"
_LISTED = "A JSON array of names."


class AudiopodModeOrderSerializer(RecordingSerializer):
    mode = serializers.ChoiceField(choices=list(MODES), default="four")
    stem = serializers.CharField(required=False, max_length=64, help_text="Of mode `single`.")


class AudiopodLegacyOrderSerializer(RecordingSerializer):
    stem_types = serializers.CharField(
        required=False, max_length=2000, help_text="A list of names, as JSON or with commas."
    )
    model_name = serializers.ChoiceField(
        choices=LEGACY_MODELS,
        default="htdemucs",
        help_text="The stems decide which model of this installation does it.",
    )
    two_stems_mode = serializers.CharField(required=False, max_length=64)


class AudiopodAdvancedOrderSerializer(RecordingSerializer):
    """One of `package`, `single_stem`, `multi_stem_count`, `custom_stems` or `two_stems_mode`;
    without any, `target_stems`. `exclude_stems` are taken out of what that comes to."""

    method = serializers.ChoiceField(choices=["hierarchical"], default="hierarchical")
    package = serializers.CharField(required=False, max_length=64)
    target_stems = serializers.CharField(required=False, max_length=2000, help_text=_LISTED)
    exclude_stems = serializers.CharField(required=False, max_length=2000, help_text=_LISTED)
    two_stems_mode = serializers.CharField(required=False, max_length=64)
    target_instrument = serializers.CharField(required=False, max_length=64)
    single_stem = serializers.CharField(required=False, max_length=64)
    multi_stem_count = serializers.IntegerField(required=False, min_value=1, max_value=64)
    custom_stems = serializers.CharField(required=False, max_length=2000, help_text=_LISTED)


def _order(names: Sequence[str], *, mode: str, field: str) -> Order:
    pairs = ours_of(names, field=field)
    return Order(
        stems=[ours for _, ours in pairs],
        tariff=_TARIFF,
        dialect_data={"mode": mode, "stems": [list(pair) for pair in pairs]},
    )


def _by_mode(values: Values) -> Order:
    mode, stem = values["mode"], values.get("stem")
    names = [name.lower() for name in mode_stems(mode, stem)]
    return _order(names, mode=mode, field="stem" if mode == "single" else "mode")


def _legacy(values: Values) -> Order:
    if split := values.get("two_stems_mode"):
        return _order(two_stems(split), mode="two", field="two_stems_mode")
    names = names_parse(values["stem_types"]) if "stem_types" in values else MODES["four"].stems
    return _order(names, mode="legacy", field="stem_types")


def _advanced(values: Values) -> Order:
    field, names = _chosen(values)
    left_out = names_parse(values.get("exclude_stems", ""))
    if left_out:
        ours_of(left_out, field="exclude_stems")
    return _order([name for name in names if name not in left_out], mode="advanced", field=field)


def _chosen(values: Values) -> tuple[str, Sequence[str]]:
    """The one choice of stems that was made, and its field."""
    made: dict[str, Callable[[], Sequence[str]]] = {
        "package": lambda: package_stems(values["package"], values.get("target_instrument")),
        "single_stem": lambda: (values["single_stem"].lower(),),
        "multi_stem_count": lambda: stems_of_count(values["multi_stem_count"]),
        "custom_stems": lambda: names_parse(values["custom_stems"]),
        "two_stems_mode": lambda: two_stems(values["two_stems_mode"]),
    }
    given = [name for name in made if name in values]
    if len(given) > 1:
        raise parameter_error(given[1], f"Choose by this or by {given[0]}, not both.")
    if given:
        return given[0], made[given[0]]()
    if "target_stems" in values:
        return "target_stems", names_parse(values["target_stems"])
    if "target_instrument" in values:
        return "target_instrument", package_stems("isolation", values["target_instrument"])
    return "package", MODES["four"].stems


class StemOrderApi(AudiopodApi):
    scopes = {"POST": JOBS_WRITE}

    def _ordered(self, request: Request, serializer: Any, order: Any) -> Response:
        job = job_order(
            request, serializer=serializer, order=order, failed="Failed to extract stems from audio"
        )
        return Response(job_body(job, request, owner=user_id(job.workspace)))


def _forms(serializer: type[RecordingSerializer]) -> dict[str, type[RecordingSerializer]]:
    return dict.fromkeys(("multipart/form-data", "application/x-www-form-urlencoded"), serializer)


class StemExtractApi(StemOrderApi):
    @extend_schema(
        operation_id="audiopod_stem_extract",
        parameters=[IDEMPOTENCY_KEY],
        request=_forms(AudiopodModeOrderSerializer),
        responses=AudiopodStemJobSerializer,
    )
    def post(self, request: Request) -> Response:
        """Order the stems of a mode, of a file or of an address."""
        return self._ordered(request, AudiopodModeOrderSerializer, _by_mode)


class StemLegacyApi(StemOrderApi):
    @extend_schema(
        operation_id="audiopod_stem_extract_legacy",
        parameters=[IDEMPOTENCY_KEY],
        request=_forms(AudiopodLegacyOrderSerializer),
        responses=AudiopodStemJobSerializer,
    )
    def post(self, request: Request) -> Response:
        """Order stems by their names."""
        return self._ordered(request, AudiopodLegacyOrderSerializer, _legacy)


class StemAdvancedApi(StemOrderApi):
    @extend_schema(
        operation_id="audiopod_stem_extract_advanced",
        parameters=[IDEMPOTENCY_KEY],
        request=_forms(AudiopodAdvancedOrderSerializer),
        responses=AudiopodStemJobSerializer,
    )
    def post(self, request: Request) -> Response:
        """Order stems of the whole catalogue, chosen in one of several ways."""
        return self._ordered(request, AudiopodAdvancedOrderSerializer, _advanced)


class StemJobsApi(AudiopodApi):
    scopes = {"GET": JOBS_READ}

    @extend_schema(
        operation_id="audiopod_stem_jobs",
        parameters=LIST_PARAMETERS,
        responses=AudiopodJobsSerializer,
    )
    def get(self, request: Request) -> Response:
        """Stem jobs, newest first."""
        jobs = chains_list(workspace=workspace_of(request), services=SERVICES)
        return Response(jobs_page(jobs, request))


class StemStatusApi(AudiopodApi):
    scopes = {"GET": JOBS_READ}

    @extend_schema(
        operation_id="audiopod_stem_status",
        responses=AudiopodStemJobSerializer,
        examples=[STEMS],
    )
    def get(self, request: Request, job_id: int) -> Response:
        """A job and, once it is completed, links to its stems."""
        workspace = workspace_of(request)
        job = job_get(workspace=workspace, number=job_id, services=SERVICES)
        return Response(job_body(job, request, owner=user_id(workspace)))


class StemJobApi(AudiopodApi):
    scopes = {"GET": JOBS_READ, "DELETE": JOBS_WRITE}

    @extend_schema(operation_id="audiopod_stem_job_read", responses=AudiopodStemJobSerializer)
    def get(self, request: Request, job_id: int) -> Response:
        """As its status."""
        workspace = workspace_of(request)
        job = job_get(workspace=workspace, number=job_id, services=SERVICES)
        return Response(job_body(job, request, owner=user_id(workspace)))

    @extend_schema(operation_id="audiopod_stem_job_delete", responses={204: None})
    def delete(self, request: Request, job_id: int) -> Response:
        """Delete a job and its stems for good."""
        chain_delete(workspace=workspace_of(request), number=job_id, services=SERVICES)
        return Response(status=204)
