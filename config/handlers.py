"""Errors outside of any view: JSON for programs, a page for people."""

from django.http import HttpRequest, HttpResponse
from django.views import defaults

from api.dialects import error_response
from api.native import errors
from config.errors import AppError, NotFound, ValidationFailed

_FOR_PROGRAMS = ("/v1/", "/api/", "/stripe/", "/livez", "/readyz", "/metrics")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return error_response(request, ValidationFailed()) or errors.bad_request(request, exception)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if not request.path.startswith(_FOR_PROGRAMS):
        return defaults.page_not_found(request, exception)
    error = NotFound("There is no such address.")
    return error_response(request, error) or errors.not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    if not request.path.startswith(_FOR_PROGRAMS):
        return defaults.server_error(request)
    return error_response(request, AppError()) or errors.server_error(request)
