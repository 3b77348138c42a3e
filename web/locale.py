"""Pages speak the language of their reader; programs are always answered in English."""

import re
from typing import Final

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.middleware.locale import LocaleMiddleware
from django.utils import translation

# What is no page: also its errors are not (config/handlers.py).
FOR_PROGRAMS: Final = ("/v1/", "/api/", "/stripe/", "/livez", "/readyz", "/metrics", "/static/")
# Beside them, to be read: the references of the APIs.
_REFERENCES: Final = re.compile(r"/v1/docs|/api/docs(/[\w-]+)?")


class PageLocaleMiddleware(LocaleMiddleware):
    def process_request(self, request: HttpRequest) -> None:
        if _is_for_reader(request):
            super().process_request(request)
        else:
            # The thread still has the language of the page that it made last.
            translation.activate(settings.LANGUAGE_CODE)

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        if _is_for_reader(request):
            return super().process_response(request, response)
        return response


def _is_for_reader(request: HttpRequest) -> bool:
    """Pages, and what their scripts ask of the native API (api/native/sessions.py) and show."""
    if not request.path.startswith(FOR_PROGRAMS) or _REFERENCES.fullmatch(request.path):
        return True
    return request.path.startswith("/v1/") and "X-CSRFToken" in request.headers
