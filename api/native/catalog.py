from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from api.authentication import workspace_of
from api.native.base import OPEN, NativeApi
from billing.models import Price
from billing.selectors import prices_list
from jobs.catalog import (
    ModelOffer,
    QualityOffer,
    Recovered,
    ServiceOffer,
    StemOffer,
    StepOffer,
    ToolOffer,
    model_offers,
    service_offers,
    stem_offers,
    step_offers,
    tool_offers,
)


class QualitySerializer(serializers.Serializer[QualityOffer]):
    """What was measured of one stem of one model; each figure is the mean of one ratio a song."""

    stem = serializers.CharField()
    model = serializers.CharField()
    measured_on = serializers.CharField(help_text="Name of the songs.")
    about = serializers.CharField(help_text="What they are.")
    kind = serializers.CharField(help_text="`real` recordings, or `synthetic` ones.")
    start = serializers.CharField(
        help_text="What was given: the `recording`, or the true `parent` of the stem."
    )
    songs = serializers.IntegerField(help_text="How many of them hold the stem.")
    sdr_db = serializers.FloatField(help_text="Signal-to-distortion ratio; higher is better.")
    si_sdr_db = serializers.FloatField(help_text="The same, whatever the level of the stem.")
    wrong_share = serializers.FloatField(
        help_text="Share of the stem's energy that belongs to others, 0 to 1."
    )
    parent_db = serializers.FloatField(help_text="SDR of the parent at its best level.")
    static_eq_db = serializers.FloatField(
        help_text="SDR of the parent through its best constant equalizer."
    )
    oracle_mask_db = serializers.FloatField(
        help_text="SDR of the best mask, which knows the result."
    )
    peer = serializers.CharField(allow_null=True, help_text="The best other way in the same run.")
    peer_db = serializers.FloatField(allow_null=True, help_text="Its SDR.")
    seconds = serializers.FloatField(help_text="Of work for each second of audio.")
    date = serializers.CharField()
    commit = serializers.CharField(help_text="The version of this software.")


class RecoveredSerializer(serializers.Serializer[Recovered]):
    """How good a stem of one model is."""

    stem = serializers.CharField()
    sdr_db = serializers.FloatField(help_text="Mean over the songs that decide.")
    margin_db = serializers.FloatField(
        help_text="By how much that is more than of its parent at the best level."
    )
    experimental = serializers.BooleanField(help_text="Whether that is less than 2 dB.")


class StemSerializer(serializers.Serializer[StemOffer]):
    name = serializers.CharField()
    title = serializers.CharField()
    description = serializers.CharField()
    group = serializers.CharField()
    parent = serializers.CharField(  # type: ignore[assignment]
        allow_blank=True, help_text="The stem that it is a part of; empty for the recording."
    )
    models = serializers.ListField(child=serializers.CharField())
    available = serializers.BooleanField()
    experimental = serializers.BooleanField(
        help_text="Whether it was not shown to be better than its parent at the best level by 2 dB."
    )
    sdr_db = serializers.FloatField(
        allow_null=True, help_text="Mean over the songs that decide; real ones where there are any."
    )
    margin_db = serializers.FloatField(
        allow_null=True, help_text="By how much that is more than of its parent at the best level."
    )
    quality = QualitySerializer(many=True)


class ModelSerializer(serializers.Serializer[ModelOffer]):
    name = serializers.CharField()
    title = serializers.CharField()
    input = serializers.CharField(
        allow_blank=True, help_text="The stem that it takes apart; empty for the recording."
    )
    stems = serializers.ListField(child=serializers.CharField())
    method = serializers.CharField(help_text="`network`, or `signal processing`.")
    available = serializers.BooleanField()
    availability = serializers.CharField(help_text="Why it is available, or why not.")
    licence = serializers.CharField(help_text="Of the weights.")
    licence_summary = serializers.CharField()
    commercial_use = serializers.BooleanField()
    source = serializers.CharField()  # type: ignore[assignment]
    seconds = serializers.FloatField(
        allow_null=True, help_text="Of work for each second of audio, as measured once."
    )
    quality = RecoveredSerializer(many=True)


class ToolSerializer(serializers.Serializer[ToolOffer]):
    """A model that makes no stems."""

    name = serializers.CharField()
    title = serializers.CharField()
    task = serializers.CharField(help_text="What it does, such as `diarization`.")
    available = serializers.BooleanField()
    availability = serializers.CharField(help_text="Why it is available, or why not.")
    licence = serializers.CharField(help_text="Of the weights.")
    licence_summary = serializers.CharField()
    commercial_use = serializers.BooleanField()
    source = serializers.CharField()  # type: ignore[assignment]


class PriceSerializer(serializers.Serializer[Price]):
    service = serializers.CharField()
    unit = serializers.CharField(help_text="`per_second`, `per_second_and_stem` or `per_call`.")
    amount_mcr = serializers.IntegerField()
    quantity = serializers.IntegerField(help_text="How many units `amount_mcr` buys.")


class StepSerializer(serializers.Serializer[StepOffer]):
    """What can be done to a recording before, or by the service `enhancement`."""

    name = serializers.CharField(help_text="One of the `steps` of an order.")
    title = serializers.CharField()
    description = serializers.CharField()
    tools = serializers.ListField(child=serializers.CharField())
    available = serializers.BooleanField()


class ServiceSerializer(serializers.Serializer[ServiceOffer]):
    name = serializers.CharField(help_text="The `service` of an order, and of a price.")
    title = serializers.CharField()
    description = serializers.CharField()
    models = serializers.ListField(
        child=serializers.CharField(), help_text="Names of `models` or `tools`."
    )
    available = serializers.BooleanField()
    price = serializers.SerializerMethodField()

    @extend_schema_field(PriceSerializer(allow_null=True))
    def get_price(self, offer: ServiceOffer) -> dict[str, Any] | None:
        prices: list[Price] = self.context["prices"]
        price = next((price for price in prices if price.service == offer.name), None)
        return dict(PriceSerializer(price).data) if price else None


class CatalogSerializer(serializers.Serializer[Any]):
    services = ServiceSerializer(many=True)
    steps = StepSerializer(many=True)
    stems = StemSerializer(many=True)
    models = ModelSerializer(many=True)
    tools = ToolSerializer(many=True)
    prices = PriceSerializer(many=True, help_text="Also of what other APIs sell here.")
    max_upload_bytes = serializers.IntegerField()
    max_duration_s = serializers.IntegerField()


class CatalogApi(NativeApi):
    """Open to everybody; with a key, the prices are those of its workspace."""

    scopes = {"GET": OPEN}

    @extend_schema(operation_id="catalog_read", responses=CatalogSerializer)
    def get(self, request: Request) -> Response:
        """Services, steps, stems, models with licences and measured quality, prices, limits."""
        workspace = workspace_of(request) if request.auth else None
        prices = prices_list(workspace=workspace)
        body = {
            "services": service_offers(workspace=workspace),
            "steps": step_offers(),
            "stems": stem_offers(),
            "models": model_offers(),
            "tools": tool_offers(),
            "prices": prices,
            "max_upload_bytes": settings.UPLOAD_MAX_BYTES,
            "max_duration_s": settings.RECORDING_MAX_SECONDS,
        }
        return Response(CatalogSerializer(body, context={"prices": prices}).data)
