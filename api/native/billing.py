from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.scopes import BILLING_READ, BILLING_WRITE
from api.authentication import principal_of, workspace_of
from api.idempotency import IDEMPOTENCY_KEY, idempotency_key
from api.native.base import OPEN, NativeApi, StrictSerializer, page_response, valid_body
from billing import stripe_client
from billing.auto_top_ups import TopUpWish, auto_top_up_get, auto_top_up_put
from billing.checkout import (
    checkout_pack,
    checkout_plan,
    invoices_list,
    payments_list,
    portal_url,
)
from billing.models import AutoTopUp, Pack, Payment, PaymentKind, PaymentState, Plan, Subscription
from billing.pricing import credits_parse, credits_text
from billing.shop import packs_list, plans_list
from billing.stripe_objects import Invoice
from billing.subscriptions import subscription_get


class ForSaleSerializer(serializers.Serializer[Any]):
    code = serializers.CharField()
    name = serializers.CharField()
    credits = serializers.SerializerMethodField()
    price_cents = serializers.IntegerField()
    currency = serializers.CharField()
    is_available = serializers.SerializerMethodField(help_text="Whether it can be bought now.")

    def get_credits(self, row: Pack | Plan) -> str:
        return credits_text(row.credits_mcr if isinstance(row, Pack) else row.monthly_mcr)

    def get_is_available(self, row: Pack | Plan) -> bool:
        return stripe_client.is_configured()


class PackSerializer(ForSaleSerializer):
    credits_mcr = serializers.IntegerField()
    expires_after_days = serializers.IntegerField(allow_null=True)


class PlanSerializer(ForSaleSerializer):
    monthly_mcr = serializers.IntegerField(help_text="They expire with the month.")


class ShopSerializer(serializers.Serializer[Any]):
    packs = PackSerializer(many=True)
    plans = PlanSerializer(many=True)


class PacksApi(NativeApi):
    scopes = {"GET": OPEN}

    @extend_schema(operation_id="billing_packs", responses=ShopSerializer)
    def get(self, request: Request) -> Response:
        """What is sold: packs of credits, and plans with credits for each month."""
        return Response(ShopSerializer({"packs": packs_list(), "plans": plans_list()}).data)


class CheckoutRequestSerializer(StrictSerializer):
    """One of the two."""

    pack = serializers.CharField(required=False, max_length=50)
    plan = serializers.CharField(required=False, max_length=50)

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        if len(values) != 1:
            raise serializers.ValidationError({"pack": ["Send either `pack` or `plan`."]})
        return values


class CheckoutSerializer(serializers.Serializer[Any]):
    url = serializers.CharField(help_text="Where to pay.")
    payment = serializers.UUIDField(source="payment.uuid")


class CheckoutApi(NativeApi):
    scopes = {"POST": BILLING_WRITE}

    @extend_schema(
        operation_id="billing_checkout",
        parameters=[IDEMPOTENCY_KEY],
        request=CheckoutRequestSerializer,
        responses={201: CheckoutSerializer},
    )
    def post(self, request: Request) -> Response:
        """Open a page to pay for a pack or to subscribe to a plan. Credits come once it is paid."""
        wish, workspace = valid_body(CheckoutRequestSerializer, request), workspace_of(request)
        key = idempotency_key(request)
        if "pack" in wish:
            checkout = checkout_pack(workspace=workspace, code=wish["pack"], idempotency_key=key)
        else:
            checkout = checkout_plan(workspace=workspace, code=wish["plan"], idempotency_key=key)
        return Response(CheckoutSerializer(checkout).data, status=201)


class PortalSerializer(serializers.Serializer[Any]):
    url = serializers.CharField()


class PortalApi(NativeApi):
    scopes = {"POST": BILLING_WRITE}

    @extend_schema(operation_id="billing_portal", request=None, responses={200: PortalSerializer})
    def post(self, request: Request) -> Response:
        """Open the page where cards, addresses and the subscription are changed."""
        return Response({"url": portal_url(workspace=workspace_of(request))})


class PaymentSerializer(serializers.Serializer[Payment]):
    id = serializers.UUIDField(source="uuid")
    kind = serializers.ChoiceField(choices=PaymentKind.choices)
    status = serializers.ChoiceField(source="state", choices=PaymentState.choices)
    pack = serializers.CharField(source="pack.code", default=None, allow_null=True)
    plan = serializers.CharField(source="plan.code", default=None, allow_null=True)
    credits = serializers.SerializerMethodField()
    credits_mcr = serializers.IntegerField()
    amount_cents = serializers.IntegerField()
    currency = serializers.CharField()
    returned_cents = serializers.IntegerField(help_text="Refunded, or taken by a dispute.")
    failure = serializers.CharField()
    created_at = serializers.DateTimeField()
    paid_at = serializers.DateTimeField(allow_null=True)

    def get_credits(self, payment: Payment) -> str:
        return credits_text(payment.credits_mcr)


class PaymentsApi(NativeApi):
    scopes = {"GET": BILLING_READ}

    @extend_schema(operation_id="billing_payments", responses=PaymentSerializer(many=True))
    def get(self, request: Request) -> Response:
        """Payments, newest first."""
        rows = payments_list(workspace=workspace_of(request))
        return page_response(self, rows, PaymentSerializer)


class InvoiceSerializer(serializers.Serializer[Invoice]):
    id = serializers.CharField()
    number = serializers.CharField()
    status = serializers.CharField()
    amount_cents = serializers.IntegerField()
    currency = serializers.CharField()
    created_at = serializers.DateTimeField()
    hosted_url = serializers.CharField()
    pdf_url = serializers.CharField()


class InvoicesSerializer(serializers.Serializer[Any]):
    results = InvoiceSerializer(many=True)


class InvoicesApi(NativeApi):
    scopes = {"GET": BILLING_READ}

    @extend_schema(operation_id="billing_invoices", responses=InvoicesSerializer)
    def get(self, request: Request) -> Response:
        """The last 100 invoices, newest first."""
        invoices = invoices_list(workspace=workspace_of(request))
        return Response(InvoicesSerializer({"results": invoices}).data)


class SubscriptionSerializer(serializers.Serializer[Subscription]):
    plan = serializers.CharField(source="plan.code")
    status = serializers.CharField(help_text="As Stripe calls it: `active`, `past_due`, …")
    current_period_end = serializers.DateTimeField(allow_null=True)
    cancel_at_period_end = serializers.BooleanField()


class SubscriptionStateSerializer(serializers.Serializer[Any]):
    subscription = SubscriptionSerializer(allow_null=True)


class SubscriptionApi(NativeApi):
    scopes = {"GET": BILLING_READ}

    @extend_schema(operation_id="billing_subscription", responses=SubscriptionStateSerializer)
    def get(self, request: Request) -> Response:
        """The subscription, if there is or was one."""
        row = subscription_get(workspace=workspace_of(request))
        return Response(SubscriptionStateSerializer({"subscription": row}).data)


class AutoTopUpSerializer(serializers.Serializer[AutoTopUp]):
    is_enabled = serializers.BooleanField()
    threshold_credits = serializers.SerializerMethodField()
    threshold_mcr = serializers.IntegerField()
    pack = serializers.CharField(source="pack.code")
    monthly_ceiling_cents = serializers.IntegerField()
    disabled_reason = serializers.CharField(help_text="Why the service switched it off.")

    def get_threshold_credits(self, row: AutoTopUp) -> str:
        return credits_text(row.threshold_mcr)


class AutoTopUpStateSerializer(serializers.Serializer[Any]):
    auto_top_up = AutoTopUpSerializer(allow_null=True)


class TopUpWishSerializer(StrictSerializer):
    is_enabled = serializers.BooleanField()
    threshold_credits = serializers.RegexField(
        r"^[0-9]{1,10}(\.[0-9]{1,3})?\Z",
        required=False,
        error_messages={"invalid": 'Write credits as a text with at most 3 decimals: "12.5".'},
        help_text="Buy when fewer credits than this are left; or send `threshold_mcr`.",
    )
    threshold_mcr = serializers.IntegerField(required=False)
    pack = serializers.CharField(max_length=50)
    monthly_ceiling_cents = serializers.IntegerField(
        help_text="Never spend more than this in a calendar month (UTC)."
    )

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        if ("threshold_mcr" in values) == ("threshold_credits" in values):
            problem = "Send either `threshold_credits` or `threshold_mcr`."
            raise serializers.ValidationError({"threshold_mcr": [problem]})
        return values

    def wish(self) -> TopUpWish:
        values = self.validated_data
        if "threshold_mcr" in values:
            threshold_mcr = values["threshold_mcr"]
        else:
            threshold_mcr = credits_parse(values["threshold_credits"])
        return TopUpWish(
            is_enabled=values["is_enabled"],
            threshold_mcr=threshold_mcr,
            pack=values["pack"],
            monthly_ceiling_cents=values["monthly_ceiling_cents"],
        )


class AutoTopUpApi(NativeApi):
    scopes = {"GET": BILLING_READ, "PUT": BILLING_WRITE}

    @extend_schema(operation_id="billing_auto_top_up_read", responses=AutoTopUpStateSerializer)
    def get(self, request: Request) -> Response:
        """Whether packs are bought automatically, and when."""
        row = auto_top_up_get(workspace=workspace_of(request))
        return Response(AutoTopUpStateSerializer({"auto_top_up": row}).data)

    @extend_schema(
        operation_id="billing_auto_top_up_write",
        request=TopUpWishSerializer,
        responses={200: AutoTopUpStateSerializer},
    )
    def put(self, request: Request) -> Response:
        """Have a pack bought from the saved card whenever the credits run low."""
        serializer = TopUpWishSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        principal = principal_of(request)
        row = auto_top_up_put(
            workspace=principal.workspace, actor=principal.actor, wish=serializer.wish()
        )
        return Response(AutoTopUpStateSerializer({"auto_top_up": row}).data)
