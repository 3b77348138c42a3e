"""How this API speaks: {"code", "message", …}, also where something went wrong."""

from typing import Any

from rest_framework import serializers
from rest_framework.parsers import FormParser

from api.dialects import Dialect, DialectApi, Rendered
from api.error_texts import error_sentence
from api.schemas import ApiSchema
from api.views import JsonParser
from config.errors import AppError, InvalidAuthorization

_NO_CREDITS = (
    "The remaining credits are not enough. You can buy more one-time credit packs or subscribe."
)
# By the codes of our errors: where this API has another status, or words that its clients know.
_STATUSES = {
    # There is no 402 in the contract.
    "insufficient_credits": 403,
    "key_cap_reached": 403,
    # What is not offered here is a wrong parameter.
    "model_unavailable": 400,
}
_TEXTS = {
    "insufficient_credits": _NO_CREDITS,
    "internal": "Internal Server Error.",
    "not_authenticated": "Authorization header is missing.",
}


def render(error: AppError) -> Rendered:
    status = _STATUSES.get(error.code, error.status)
    if status == 422:
        # Not in the contract either: whatever is wrong with a request is 400.
        status = 400
    message = _TEXTS.get(error.code) or error_sentence(error)
    if isinstance(error, InvalidAuthorization):
        message = "Invalid authorization format."
    return Rendered(status, {"code": status, "message": message})


DIALECT = Dialect(
    name="musicapi",
    title="MusicAPI",
    paths=(
        "/api/v1/sonic",
        "/api/v1/get-credits",
    ),
    render=render,
)


class ErrorSerializer(serializers.Serializer[Any]):
    """For the schema."""

    code = serializers.IntegerField(help_text="The status of the answer.")
    message = serializers.CharField()


class MusicApiSchema(ApiSchema):
    api = DIALECT.name
    error = ErrorSerializer


class MusicApi(DialectApi):
    dialect = DIALECT
    schema = MusicApiSchema()
    parser_classes = [JsonParser, FormParser]


def success(**values: Any) -> dict[str, Any]:
    """The body of whatever went well."""
    return {"code": 200, **values, "message": "success"}


def errors(*statuses: int) -> dict[int, type[ErrorSerializer]]:
    """For the schema: what any call may be answered with, and these."""
    return dict.fromkeys((400, 401, 403, 429, 500, 503, *statuses), ErrorSerializer)
