"""Credits as the older part of this API shows them: those of a plan, and those that were bought."""

from typing import Any

from django.db.models import QuerySet, Sum
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import Workspace
from accounts.scopes import BILLING_WRITE, CREDITS_READ
from api.audiopod.base import LIST_PARAMETERS, AudiopodApi, PageSerializer, body_of, query_of
from api.audiopod.money import CREDITS_PER_USD
from api.audiopod.pricing import credits_per_minute, rates
from api.audiopod.rendering import time_text
from api.audiopod.usage import charges_list, sums, uses_of
from api.audiopod.wallet import checkout_body, pack_checkout
from api.authentication import workspace_of
from billing.models import Lot, PaymentKind, Subscription
from billing.pricing import MCR_PER_CREDIT
from billing.selectors import available_by_source, wallet_get
from billing.shop import packs_list

_ENDED = ("canceled", "incomplete_expired")


class AudiopodCreditsSerializer(serializers.Serializer[Any]):
    credits_balance = serializers.IntegerField(help_text="Of the plan.")
    payg_balance = serializers.IntegerField()
    total_available_credits = serializers.IntegerField()
    last_reset_at = serializers.DateTimeField(allow_null=True)
    total_credits_used = serializers.IntegerField()
    total_payg_credits_purchased = serializers.IntegerField()
    next_reset_date = serializers.DateTimeField(allow_null=True)
    credits_per_month = serializers.IntegerField()


class AudiopodCreditUseSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    user_credits_id = serializers.IntegerField()
    credits_used = serializers.FloatField()
    service_type = serializers.CharField()
    audio_duration = serializers.FloatField()
    credit_source = serializers.ChoiceField(choices=["subscription", "payg"])
    created_at = serializers.DateTimeField()
    usage_metadata = serializers.DictField()


class AudiopodPaygSerializer(serializers.Serializer[Any]):
    credits_per_usd = serializers.IntegerField(help_text="What prices in dollars are told by.")
    currency = serializers.CharField()
    packs = serializers.ListField(child=serializers.DictField())


class AudiopodPaygOrderSerializer(serializers.Serializer[Any]):
    amount_usd = serializers.DecimalField(max_digits=8, decimal_places=2, min_value=1)


class AudiopodPaygSessionSerializer(serializers.Serializer[Any]):
    session_id = serializers.CharField(allow_null=True)
    url = serializers.CharField()
    credits_to_receive = serializers.IntegerField()
    amount_usd = serializers.FloatField()


class CreditsApi(AudiopodApi):
    scopes = {"GET": CREDITS_READ}

    @extend_schema(operation_id="audiopod_credits", responses=AudiopodCreditsSerializer)
    def get(self, request: Request) -> Response:
        """The balance, in whole credits."""
        workspace = workspace_of(request)
        wallet = wallet_get(workspace=workspace)
        of_plan = available_by_source(workspace=workspace).get(PaymentKind.PLAN, 0)
        lots = Lot.objects.filter(account__workspace=workspace)
        newest = lots.filter(source=PaymentKind.PLAN).order_by("-pk").first()
        subscription = _subscription(workspace)
        body = {
            "credits_balance": of_plan // MCR_PER_CREDIT,
            "payg_balance": (wallet.available_mcr - of_plan) // MCR_PER_CREDIT,
            "total_available_credits": wallet.available_mcr // MCR_PER_CREDIT,
            "last_reset_at": time_text(newest.created_at) if newest else None,
            "total_credits_used": sums(workspace=workspace).spent_mcr // MCR_PER_CREDIT,
            "total_payg_credits_purchased": _bought_mcr(lots) // MCR_PER_CREDIT,
            "next_reset_date": time_text(subscription.current_period_end) if subscription else None,
            "credits_per_month": (
                subscription.plan.monthly_mcr // MCR_PER_CREDIT if subscription else 0
            ),
        }
        return Response(body)


class CreditsUsageApi(AudiopodApi):
    scopes = {"GET": CREDITS_READ}

    @extend_schema(
        operation_id="audiopod_credits_usage",
        parameters=LIST_PARAMETERS,
        responses=AudiopodCreditUseSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        """What was charged, newest first."""
        workspace = workspace_of(request)
        values = query_of(PageSerializer, request)
        span = slice(values["skip"], values["skip"] + values["limit"])
        entries = list(charges_list(workspace=workspace)[span])
        uses = [
            {
                "id": use.number,
                "user_credits_id": entry.account_id,
                "credits_used": use.charged_mcr / MCR_PER_CREDIT,
                "service_type": use.service_type,
                "audio_duration": round(use.duration_s, 3),
                # A charge may draw on both; what was bought is the rule.
                "credit_source": "payg",
                "created_at": time_text(use.at),
                "usage_metadata": {"task_id": str(use.job.uuid)} if use.job else {},
            }
            for entry, use in zip(entries, uses_of(entries, workspace=workspace), strict=True)
        ]
        return Response(uses)


class MultipliersApi(AudiopodApi):
    scopes = {"GET": CREDITS_READ}

    @extend_schema(
        operation_id="audiopod_credits_multipliers",
        responses={200: {"type": "object", "additionalProperties": {"type": "number"}}},
    )
    def get(self, request: Request) -> Response:
        """Credits a minute of each service."""
        found = rates(workspace_of(request))
        return Response({name: credits_per_minute(rate) for name, rate in found.items()})


class PaygInfoApi(AudiopodApi):
    scopes = {"GET": CREDITS_READ}

    @extend_schema(operation_id="audiopod_payg_info", responses=AudiopodPaygSerializer)
    def get(self, request: Request) -> Response:
        """The packs of credits that can be bought."""
        packs = [
            {
                "name": pack.name,
                "amount_usd": pack.price_cents / 100,
                "credits": pack.credits_mcr // MCR_PER_CREDIT,
            }
            for pack in packs_list()
        ]
        body = {"credits_per_usd": CREDITS_PER_USD, "currency": "usd", "packs": packs}
        return Response(body)


class PaygCheckoutApi(AudiopodApi):
    scopes = {"POST": BILLING_WRITE}

    @extend_schema(
        operation_id="audiopod_payg_checkout",
        request=AudiopodPaygOrderSerializer,
        responses=AudiopodPaygSessionSerializer,
    )
    def post(self, request: Request) -> Response:
        """Where to pay for the pack of credits that costs so much."""
        values = body_of(AudiopodPaygOrderSerializer, request)
        cents = int(values["amount_usd"] * 100)
        body = checkout_body(pack_checkout(workspace_of(request), cents, field="amount_usd"))
        amount = body.pop("amount_cents")
        return Response({**body, "amount_usd": amount / 100})


def _bought_mcr(lots: QuerySet[Lot]) -> int:
    bought = lots.filter(source__in=[PaymentKind.PACK, PaymentKind.TOP_UP])
    return int(bought.aggregate(total=Sum("amount_mcr", default=0))["total"])


def _subscription(workspace: Workspace) -> Subscription | None:
    current = Subscription.objects.filter(workspace=workspace).exclude(status__in=_ENDED)
    return current.select_related("plan").order_by("-pk").first()
