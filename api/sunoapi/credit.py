from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.scopes import CREDITS_READ
from api.authentication import workspace_of
from api.sunoapi.base import SunoApi, answer
from api.sunoapi.schema import CREDIT_ANSWERS
from billing.pricing import MCR_PER_CREDIT
from billing.selectors import wallet_get


class CreditApi(SunoApi):
    scopes = {"GET": CREDITS_READ}

    @extend_schema(
        summary="Remaining credits",
        responses=CREDIT_ANSWERS,
    )
    def get(self, request: Request) -> Response:
        """Whole credits that can be spent now; prices here are whole ones too."""
        wallet = wallet_get(workspace=workspace_of(request))
        return answer(wallet.available_mcr // MCR_PER_CREDIT)
