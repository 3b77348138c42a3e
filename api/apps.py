from typing import Any

import structlog
from django.apps import AppConfig
from django.core.exceptions import PermissionDenied
from django_structlog.signals import bind_extra_request_metadata


class ApiConfig(AppConfig):
    name = "api"

    def ready(self) -> None:
        from api.outside import outside_register

        bind_extra_request_metadata.connect(_bind_address)
        outside_register()


def _bind_address(*, request: Any, **_: Any) -> None:
    from accounts.callers import ip_address

    try:
        structlog.contextvars.bind_contextvars(ip=ip_address(request))
    except PermissionDenied:
        # A Unix socket without a proxy that names the caller.
        structlog.contextvars.bind_contextvars(ip=None)
