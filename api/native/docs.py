"""The description of the API, for programs and for people."""

from collections.abc import Callable
from typing import Any

from django.http import HttpResponseBase
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerSplitView
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request

from api.native.errors import exception_handler
from api.views import RateLimited


class _NativeErrors(RateLimited):
    """Errors in the envelope: these views render HTML, which has none for an error."""

    metadata_class = None

    def get_exception_handler(self) -> Callable[..., Any]:
        return exception_handler

    def finalize_response(  # type: ignore[override]
        self, request: Request, response: Any, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        if getattr(response, "exception", False):
            request.accepted_renderer = JSONRenderer()
            request.accepted_media_type = JSONRenderer.media_type
        return super().finalize_response(request, response, *args, **kwargs)


class OpenApi(_NativeErrors, SpectacularJSONAPIView):
    pass


class DocsApi(_NativeErrors, SpectacularSwaggerSplitView):
    url_name = "native-openapi"
