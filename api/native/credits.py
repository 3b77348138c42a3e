from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.scopes import CREDITS_READ
from api.authentication import workspace_of
from api.native.base import NativeApi, page_response
from billing.models import Account, Entry
from billing.pricing import credits_text
from billing.selectors import debt_get, ledger_list, wallet_get


class WalletSerializer(serializers.Serializer[Account]):
    credits = serializers.SerializerMethodField(help_text="What can be spent now.")
    available_mcr = serializers.IntegerField()
    held_mcr = serializers.IntegerField(help_text="Set aside for jobs that have not ended.")
    balance_mcr = serializers.IntegerField(source="posted_mcr", help_text="available + held")
    debt_mcr = serializers.SerializerMethodField(
        help_text="Owed for credits that were spent before their payment was taken back. Credits "
        "that come in pay it first."
    )

    def get_credits(self, wallet: Account) -> str:
        return credits_text(wallet.available_mcr)

    def get_debt_mcr(self, wallet: Account) -> int:
        return debt_get(workspace=wallet.workspace)


class LedgerEntrySerializer(serializers.Serializer[Entry]):
    id = serializers.UUIDField(source="transaction.uuid")
    kind = serializers.CharField(source="transaction.kind")
    amount_mcr = serializers.IntegerField()
    credits = serializers.SerializerMethodField()
    balance_mcr = serializers.IntegerField(help_text="After this entry.")
    job = serializers.UUIDField(source="transaction.job_uuid", allow_null=True)
    reason = serializers.CharField(source="transaction.reason")
    created_at = serializers.DateTimeField(source="transaction.created_at")

    def get_credits(self, entry: Entry) -> str:
        return credits_text(entry.amount_mcr)


class CreditsApi(NativeApi):
    scopes = {"GET": CREDITS_READ}

    @extend_schema(operation_id="credits_read", responses=WalletSerializer)
    def get(self, request: Request) -> Response:
        """The balance."""
        wallet = wallet_get(workspace=workspace_of(request))
        return Response(WalletSerializer(wallet).data)


class LedgerApi(NativeApi):
    scopes = {"GET": CREDITS_READ}

    @extend_schema(operation_id="ledger_list", responses=LedgerEntrySerializer(many=True))
    def get(self, request: Request) -> Response:
        """Every change of the balance, newest first."""
        rows = ledger_list(workspace=workspace_of(request))
        return page_response(self, rows, LedgerEntrySerializer)
