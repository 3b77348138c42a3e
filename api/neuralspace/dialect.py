"""How this API speaks: {"success", "message", "data"}, also where something went wrong."""

from typing import Any

from rest_framework import serializers

from api.dialects import Dialect, DialectApi, Rendered
from api.error_texts import error_sentence
from api.schemas import ApiSchema
from config.errors import AppError


def render(error: AppError) -> Rendered:
    # Which of the ways a token can be wrong is not told.
    message = "Unauthorized" if error.status == 401 else error_sentence(error)
    # There is no 422 in the contract: whatever is wrong with a request is 400.
    status = 400 if error.status == 422 else error.status
    return Rendered(status, {"success": False, "message": message, "data": None})


DIALECT = Dialect(
    name="neuralspace",
    title="NeuralSpace",
    paths=(
        "/api/file",
        "/api/file/",
        "/api/voice-extractor",
    ),
    render=render,
)


class RefusalSerializer(serializers.Serializer[Any]):
    """For the schema."""

    success = serializers.BooleanField(help_text="Always false.")
    message = serializers.CharField(help_text="`Unauthorized` of a missing or wrong token.")
    data = serializers.JSONField(allow_null=True, help_text="Always null.")  # type: ignore[assignment]


class NeuralSpaceSchema(ApiSchema):
    api = DIALECT.name
    error = RefusalSerializer


class NeuralSpaceApi(DialectApi):
    dialect = DIALECT
    schema = NeuralSpaceSchema()


def done(message: str, data: dict[str, Any]) -> dict[str, Any]:
    """The body of whatever went well."""
    return {"success": True, "message": message, "data": data}


def refusals(*statuses: int) -> dict[int, type[RefusalSerializer]]:
    """For the schema: what any call may be answered with, and these."""
    return dict.fromkeys((400, 401, 403, 429, 500, 503, *statuses), RefusalSerializer)
