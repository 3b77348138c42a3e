"""The native API's one envelope: {"error": {code, message, fields, data, request_id}}."""

from typing import Any

from django.http import HttpRequest, JsonResponse
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.views import set_rollback

from api.errors import app_error, request_id
from config import errors


class ErrorSerializer(serializers.Serializer[Any]):
    """For the schema."""

    class BodySerializer(serializers.Serializer[Any]):
        code = serializers.CharField(help_text="Stable; made for programs.")
        message = serializers.CharField(help_text="One sentence, made for people.")
        fields = serializers.DictField(  # type: ignore[assignment]
            child=serializers.ListField(child=serializers.CharField()),
            help_text="What is wrong with which field of the request.",
        )
        data = serializers.DictField(  # type: ignore[assignment]
            help_text="Numbers that belong to the error, such as `required_mcr`."
        )
        request_id = serializers.CharField()

    error = BodySerializer()


def exception_handler(exception: Exception, context: dict[str, Any]) -> Response:
    set_rollback()
    error = app_error(exception)
    headers = error.headers
    if error.status == 401:
        headers = {"WWW-Authenticate": "Bearer", **headers}
    return Response(error_body(error), status=error.status, headers=headers)


def error_body(error: errors.AppError) -> dict[str, Any]:
    return {
        "error": {
            "code": error.code,
            "message": error.text,
            "fields": error.fields,
            "data": error.data,
            "request_id": request_id(),
        }
    }


def bad_request(request: HttpRequest, exception: Exception) -> JsonResponse:
    return _json(errors.ValidationFailed())


def not_found(request: HttpRequest, exception: Exception) -> JsonResponse:
    return _json(errors.NotFound("There is no such address."))


def server_error(request: HttpRequest) -> JsonResponse:
    return _json(errors.AppError())


def _json(error: errors.AppError) -> JsonResponse:
    headers = {"X-Request-ID": request_id()}
    return JsonResponse(error_body(error), status=error.status, headers=headers)
