"""Errors outside of any view: JSON for programs, a page for people."""

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import get_template
from django.views import defaults

from api.dialects import error_response
from api.errors import request_id
from api.native import errors
from config.errors import AppError, NotFound, ValidationFailed
from web.locale import FOR_PROGRAMS


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if not request.path.startswith(FOR_PROGRAMS):
        status = 413 if isinstance(exception, RequestDataTooBig) else 400
        return render(request, f"{status}.html", status=status)
    return error_response(request, ValidationFailed()) or errors.bad_request(request, exception)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if not request.path.startswith(FOR_PROGRAMS):
        return defaults.page_not_found(request, exception)
    error = NotFound("There is no such address.")
    return error_response(request, error) or errors.not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    if not request.path.startswith(FOR_PROGRAMS):
        # Without what pages know of the request: whatever finds that out may be what broke.
        page = get_template("500.html").render({"request_id": request_id()})
        return HttpResponse(page, status=500)
    return error_response(request, AppError()) or errors.server_error(request)
