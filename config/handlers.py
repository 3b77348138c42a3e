"""Errors outside of any view: JSON for programs, a page for people."""

from django.http import HttpRequest, HttpResponse
from django.views import defaults

from api.native import errors

_FOR_PROGRAMS = ("/v1/", "/api/", "/stripe/", "/livez", "/readyz", "/metrics")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if request.path.startswith(_FOR_PROGRAMS):
        return errors.not_found(request, exception)
    return defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    if request.path.startswith(_FOR_PROGRAMS):
        return errors.server_error(request)
    return defaults.server_error(request)
