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


class StemSerializer(serializers.Serializer[StemOffer]):
    name = serializers.CharField()
    title = serializers.CharField()
    description = serializers.CharField()
    models = serializers.ListField(child=serializers.CharField())
    available = serializers.BooleanField()


class ModelSerializer(serializers.Serializer[ModelOffer]):
    name = serializers.CharField()
    title = serializers.CharField()
    stems = serializers.ListField(child=serializers.CharField())
    available = serializers.BooleanField()
    availability = serializers.CharField(help_text="Why it is available, or why not.")
    licence = serializers.CharField(help_text="Of the weights.")
    licence_summary = serializers.CharField()
    commercial_use = serializers.BooleanField()
    source = serializers.CharField()  # type: ignore[assignment]
    sdr_db = serializers.DictField(child=serializers.FloatField())
    measured_on = serializers.CharField()


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
