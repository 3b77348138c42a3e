"""The reference of each API, for programs and for people: all of it is served from here."""

from collections.abc import Callable
from typing import Any, ClassVar

from django.http import HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from rest_framework.request import Request

from api.descriptions import DESCRIBED, description
from api.native.errors import exception_handler
from api.views import OPEN, ApiView
from config.errors import NotFound


class _Reference(ApiView):
    scopes = {"GET": OPEN}
    authentication_classes = []
    schema = None  # type: ignore[assignment]
    # Of the native API, whose reference has an address of its own.
    of: ClassVar[str | None] = None

    def get_exception_handler(self) -> Callable[..., Any]:
        return exception_handler


class OpenApi(_Reference):
    def get(self, request: Request, name: str = "") -> HttpResponse:
        return JsonResponse(description(self.of or name))


class ReferencePage(_Reference):
    def get(self, request: Request, name: str = "") -> HttpResponse:
        name = self.of or name
        if name not in DESCRIBED:
            raise NotFound("There is no such API.")
        openapi = reverse("native-openapi") if self.of else reverse("outside-openapi", args=[name])
        context = {"described": DESCRIBED[name], "openapi": openapi}
        return render(request._request, "api/reference.html", context)


class ReferencesPage(_Reference):
    """Which APIs there are."""

    def get(self, request: Request) -> HttpResponse:
        return render(request._request, "api/references.html", {"described": DESCRIBED})
