from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.scopes import CREDITS_READ
from api.authentication import workspace_of
from api.musicapi.dialect import MusicApi, errors
from billing.models import PaymentKind
from billing.pricing import MCR_PER_CREDIT
from billing.selectors import available_by_source

# What is bought besides a subscription: "one-time credit packs".
_EXTRA = (PaymentKind.PACK, PaymentKind.TOP_UP)


class CreditsApi(MusicApi):
    scopes = {"GET": CREDITS_READ}

    class CreditsSerializer(serializers.Serializer[Any]):
        credits = serializers.IntegerField(help_text="Of a subscription, or granted.")
        extra_credits = serializers.IntegerField(help_text="Of packs that were bought.")

    @extend_schema(operation_id="get_credits", responses={200: CreditsSerializer, **errors()})
    def get(self, request: Request) -> Response:
        """Whole credits that can be spent now."""
        available = available_by_source(workspace=workspace_of(request))
        extra_mcr = sum(available.get(source, 0) for source in _EXTRA)
        other_mcr = sum(available.values()) - extra_mcr
        return Response(
            {"credits": other_mcr // MCR_PER_CREDIT, "extra_credits": extra_mcr // MCR_PER_CREDIT}
        )
