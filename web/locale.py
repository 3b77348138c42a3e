"""Pages speak the language of their reader; programs are always answered in English."""

from typing import Final

from django.http import HttpRequest, HttpResponseBase
from django.middleware.locale import LocaleMiddleware

# The same addresses as in config/handlers.py, which decides whether an error is a page.
FOR_PROGRAMS: Final = ("/v1/", "/api/", "/stripe/", "/livez", "/readyz", "/metrics", "/static/")


class PageLocaleMiddleware(LocaleMiddleware):
    def process_request(self, request: HttpRequest) -> None:
        if not request.path.startswith(FOR_PROGRAMS):
            super().process_request(request)

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        if request.path.startswith(FOR_PROGRAMS):
            return response
        return super().process_response(request, response)
