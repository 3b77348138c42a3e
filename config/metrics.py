"""Metrics for Prometheus: of this machine's web processes, and what all machines share."""

import os
import time
from collections.abc import Callable

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.crypto import constant_time_compare
from django.views.decorators.http import require_safe
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from jobs.metrics import SharedCollector

disable_created_metrics()  # type: ignore[no-untyped-call]
_this_process = CollectorRegistry()
_requests = Counter(
    "stemwright_http_requests",
    "Requests answered.",
    ["method", "route", "status"],
    registry=_this_process,
)
_seconds = Histogram(
    "stemwright_http_request_seconds",
    "Until the answer begins; a stream may go on.",
    ["method", "route"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    registry=_this_process,
)
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


class MetricsMiddleware:
    """Counts answers by route, not by path: paths hold ids, and there is no end of them."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        started = time.perf_counter()
        response = self._get_response(request)
        method = request.method if request.method in _METHODS else "other"
        match = request.resolver_match
        route = match.route if match else "none"
        _seconds.labels(method, route).observe(time.perf_counter() - started)
        _requests.labels(method, route, response.status_code).inc()
        return response


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    token = settings.METRICS_TOKEN
    if not token and settings.PRODUCTION:
        raise Http404
    sent = request.headers.get("Authorization", "")
    if token and not constant_time_compare(sent, f"Bearer {token}"):
        return HttpResponse(status=401, headers={"WWW-Authenticate": "Bearer"})
    web = _this_process
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        # The counts of all processes of this machine, which each keeps in a file (gunicorn.py).
        web = CollectorRegistry()
        MultiProcessCollector(web)  # type: ignore[no-untyped-call]
    shared = CollectorRegistry()
    shared.register(SharedCollector())
    return HttpResponse(
        generate_latest(web) + generate_latest(shared), content_type=CONTENT_TYPE_LATEST
    )
