"""The wallet: credits as cents (money.py), prices, and topping up.

Credits are bought in packs here, each at its own price; an amount that no pack costs is refused
rather than turned into a bargain.
"""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import Workspace
from accounts.principal import Principal
from accounts.scopes import BILLING_WRITE, CREDITS_READ
from api.audiopod.base import (
    AudiopodApi,
    NumberedPageSerializer,
    body_of,
    parameter_error,
    query_of,
)
from api.audiopod.errors import InsufficientBalance
from api.audiopod.money import cents_text, cost_cents, rate_text, worth_cents
from api.audiopod.pricing import (
    SERVICE_TYPES,
    credits_per_minute,
    per_minute,
    price_of,
    rate_of,
    rates,
)
from api.audiopod.rendering import time_text
from api.audiopod.usage import charges_list, grants_list, sums, uses_of
from api.authentication import workspace_of
from api.views import OPEN
from billing.checkout import Checkout, checkout_pack
from billing.selectors import wallet_get
from billing.shop import packs_list
from config.errors import ValidationFailed

_TOPUP_MIN, _TOPUP_MAX = 100, 1_000_000
_LOW_CENTS = 100
_DAYS_MAX_S = 30 * 24 * 3600


class AudiopodUseSerializer(serializers.Serializer[Any]):
    service_type = serializers.CharField(max_length=64)
    duration_seconds = serializers.FloatField(min_value=0, max_value=_DAYS_MAX_S)


class AudiopodTopupSerializer(serializers.Serializer[Any]):
    amount_cents = serializers.IntegerField(
        min_value=_TOPUP_MIN, max_value=_TOPUP_MAX, help_text="What a pack of credits costs."
    )


class AudiopodBalanceSerializer(serializers.Serializer[Any]):
    balance_cents = serializers.IntegerField()
    balance_usd = serializers.CharField()
    total_topup_cents = serializers.IntegerField()
    total_spent_cents = serializers.IntegerField()
    total_spent_usd = serializers.CharField()
    low_balance_warning = serializers.BooleanField()


class AudiopodServicePriceSerializer(serializers.Serializer[Any]):
    rate_per_minute = serializers.CharField()
    credits_per_minute = serializers.FloatField()


class AudiopodWalletTermsSerializer(serializers.Serializer[Any]):
    currency = serializers.CharField()
    min_topup_cents = serializers.IntegerField()
    max_topup_cents = serializers.IntegerField()
    topup_amounts_cents = serializers.ListField(child=serializers.IntegerField())


class AudiopodPricingSerializer(serializers.Serializer[Any]):
    services = serializers.DictField(child=AudiopodServicePriceSerializer())
    wallet = AudiopodWalletTermsSerializer()


class AudiopodEstimateSerializer(serializers.Serializer[Any]):
    service_type = serializers.CharField()
    duration_minutes = serializers.FloatField()
    rate_per_minute = serializers.CharField()
    cost_cents = serializers.IntegerField()
    cost_usd = serializers.CharField()


class AudiopodCheckSerializer(serializers.Serializer[Any]):
    can_proceed = serializers.BooleanField()
    cost_cents = serializers.IntegerField()
    current_balance_cents = serializers.IntegerField()


class AudiopodCheckoutSerializer(serializers.Serializer[Any]):
    session_id = serializers.CharField(allow_null=True)
    url = serializers.CharField()
    amount_cents = serializers.IntegerField()
    amount_usd = serializers.CharField()
    credits_to_receive = serializers.IntegerField()


class AudiopodUsageLogSerializer(serializers.Serializer[Any]):
    service_type = serializers.CharField()
    duration_minutes = serializers.FloatField()
    amount_cents = serializers.IntegerField()
    amount_usd = serializers.CharField()
    created_at = serializers.DateTimeField()


class AudiopodUsageSerializer(serializers.Serializer[Any]):
    page = serializers.IntegerField()
    limit = serializers.IntegerField()
    logs = AudiopodUsageLogSerializer(many=True)


class AudiopodTopupLogSerializer(serializers.Serializer[Any]):
    amount_cents = serializers.IntegerField()
    amount_usd = serializers.CharField()
    status = serializers.CharField()
    created_at = serializers.DateTimeField()


class AudiopodTopupsSerializer(serializers.Serializer[Any]):
    page = serializers.IntegerField()
    limit = serializers.IntegerField()
    topups = AudiopodTopupLogSerializer(many=True)


class BalanceApi(AudiopodApi):
    scopes = {"GET": CREDITS_READ}

    @extend_schema(operation_id="audiopod_wallet_balance", responses=AudiopodBalanceSerializer)
    def get(self, request: Request) -> Response:
        """What can be spent now."""
        workspace = workspace_of(request)
        total = sums(workspace=workspace)
        balance, spent = _balance_cents(workspace), cost_cents(total.spent_mcr)
        body = {
            "balance_cents": balance,
            "balance_usd": cents_text(balance),
            "total_topup_cents": worth_cents(total.granted_mcr),
            "total_spent_cents": spent,
            "total_spent_usd": cents_text(spent),
            "low_balance_warning": balance < _LOW_CENTS,
        }
        return Response(body)


class PricingApi(AudiopodApi):
    scopes = {"GET": OPEN}

    @extend_schema(operation_id="audiopod_wallet_pricing", responses=AudiopodPricingSerializer)
    def get(self, request: Request) -> Response:
        """What each service costs; with a key, for its workspace."""
        services = {
            name: {
                "rate_per_minute": rate_text(per_minute(rate)),
                "credits_per_minute": credits_per_minute(rate),
            }
            for name, rate in rates(_workspace_or_none(request)).items()
        }
        terms = {
            "currency": "usd",
            "min_topup_cents": _TOPUP_MIN,
            "max_topup_cents": _TOPUP_MAX,
            "topup_amounts_cents": [pack.price_cents for pack in packs_list()],
        }
        return Response({"services": services, "wallet": terms})


class EstimateApi(AudiopodApi):
    scopes = {"POST": OPEN}

    @extend_schema(
        operation_id="audiopod_wallet_estimate",
        request=AudiopodUseSerializer,
        responses=AudiopodEstimateSerializer,
    )
    def post(self, request: Request) -> Response:
        """What a service would cost for so many seconds."""
        values = body_of(AudiopodUseSerializer, request)
        rate = rate_of(_workspace_or_none(request), values["service_type"])
        milliseconds = _milliseconds(values)
        cost = cost_cents(price_of(rate, milliseconds=milliseconds))
        body = {
            "service_type": values["service_type"],
            "duration_minutes": round(milliseconds / 60_000, 4),
            "rate_per_minute": rate_text(per_minute(rate)),
            "cost_cents": cost,
            "cost_usd": cents_text(cost),
        }
        return Response(body)


class CheckBalanceApi(AudiopodApi):
    scopes = {"POST": CREDITS_READ}

    @extend_schema(
        operation_id="audiopod_wallet_check",
        request=AudiopodUseSerializer,
        responses=AudiopodCheckSerializer,
    )
    def post(self, request: Request) -> Response:
        """Whether there is enough for it; 402 if not."""
        values = body_of(AudiopodUseSerializer, request)
        workspace = workspace_of(request)
        rate = rate_of(workspace, values["service_type"])
        price_mcr = price_of(rate, milliseconds=_milliseconds(values))
        cost, balance = cost_cents(price_mcr), _balance_cents(workspace)
        if price_mcr > wallet_get(workspace=workspace).available_mcr:
            data = {"required_cents": cost, "available_cents": balance}
            raise InsufficientBalance(data=data)
        return Response({"can_proceed": True, "cost_cents": cost, "current_balance_cents": balance})


class TopupCheckoutApi(AudiopodApi):
    scopes = {"POST": BILLING_WRITE}

    @extend_schema(
        operation_id="audiopod_wallet_checkout",
        request=AudiopodTopupSerializer,
        responses=AudiopodCheckoutSerializer,
    )
    def post(self, request: Request) -> Response:
        """Where to pay for the pack of credits that costs so much."""
        values = body_of(AudiopodTopupSerializer, request)
        cents = values["amount_cents"]
        checkout = pack_checkout(workspace_of(request), cents, field="amount_cents")
        return Response(checkout_body(checkout))


class PaymentIntentApi(AudiopodApi):
    scopes = {"POST": BILLING_WRITE}

    @extend_schema(
        operation_id="audiopod_wallet_payment_intent",
        request=AudiopodTopupSerializer,
        responses=AudiopodCheckoutSerializer,
    )
    def post(self, request: Request) -> Response:
        """Not offered: cards are entered on Stripe's page only."""
        body_of(AudiopodTopupSerializer, request)
        raise ValidationFailed("Payment intents are not offered here; use /topup/checkout.")


class UsageApi(AudiopodApi):
    scopes = {"GET": CREDITS_READ}

    @extend_schema(
        operation_id="audiopod_wallet_usage",
        parameters=[NumberedPageSerializer],
        responses=AudiopodUsageSerializer,
    )
    def get(self, request: Request) -> Response:
        """What was charged, newest first."""
        workspace = workspace_of(request)
        values = query_of(NumberedPageSerializer, request)
        entries = charges_list(workspace=workspace)[_span(values)]
        logs = [
            {
                "service_type": use.service_type,
                "duration_minutes": round(use.duration_s / 60, 4),
                "amount_cents": cost_cents(use.charged_mcr),
                "amount_usd": cents_text(cost_cents(use.charged_mcr)),
                "created_at": time_text(use.at),
            }
            for use in uses_of(list(entries), workspace=workspace)
        ]
        return Response({**values, "logs": logs})


class TopupsApi(AudiopodApi):
    scopes = {"GET": CREDITS_READ}

    @extend_schema(
        operation_id="audiopod_wallet_topups",
        parameters=[NumberedPageSerializer],
        responses=AudiopodTopupsSerializer,
    )
    def get(self, request: Request) -> Response:
        """Credits that came in, as what they are worth here; newest first."""
        values = query_of(NumberedPageSerializer, request)
        entries = grants_list(workspace=workspace_of(request))[_span(values)]
        topups = [
            {
                "amount_cents": worth_cents(entry.amount_mcr),
                "amount_usd": cents_text(worth_cents(entry.amount_mcr)),
                "status": "completed",
                "created_at": time_text(entry.transaction.created_at),
            }
            for entry in entries
        ]
        return Response({**values, "topups": topups})


class ServiceTypesApi(AudiopodApi):
    scopes = {"GET": OPEN}

    @extend_schema(
        operation_id="audiopod_wallet_service_types",
        responses=serializers.ListSerializer(child=serializers.CharField()),
    )
    def get(self, request: Request) -> Response:
        """What can be estimated."""
        return Response(list(SERVICE_TYPES))


def pack_checkout(workspace: Workspace, amount_cents: int, *, field: str) -> Checkout:
    packs = {pack.price_cents: pack for pack in packs_list()}
    if amount_cents not in packs:
        offered = ", ".join(cents_text(cents) for cents in sorted(packs))
        raise parameter_error(field, f"Credits are sold in packs here, for {offered}.")
    return checkout_pack(workspace=workspace, code=packs[amount_cents].code)


def checkout_body(checkout: Checkout) -> dict[str, Any]:
    payment = checkout.payment
    payment.refresh_from_db(fields=["checkout_session_id"])
    return {
        "session_id": payment.checkout_session_id,
        "url": checkout.url,
        "amount_cents": payment.amount_cents,
        "amount_usd": cents_text(payment.amount_cents),
        "credits_to_receive": payment.credits_mcr // 1000,
    }


def _workspace_or_none(request: Request) -> Workspace | None:
    return request.auth.workspace if isinstance(request.auth, Principal) else None


def _balance_cents(workspace: Workspace) -> int:
    return worth_cents(wallet_get(workspace=workspace).available_mcr)


def _milliseconds(values: dict[str, Any]) -> int:
    return int(round(values["duration_seconds"] * 1000))


def _span(values: dict[str, Any]) -> slice:
    start = (values["page"] - 1) * values["limit"]
    return slice(start, start + values["limit"])
