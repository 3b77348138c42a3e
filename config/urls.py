from django.urls import include, path

from api.stripe_webhook import stripe_webhook
from config import health, metrics

urlpatterns = [
    path("livez", health.live, name="livez"),
    path("readyz", health.ready, name="readyz"),
    path("metrics", metrics.metrics, name="metrics"),
    path("", include("api.urls")),
    path("stripe/webhook", stripe_webhook, name="stripe-webhook"),
    path("", include("web.urls")),
]
handler400 = "config.handlers.bad_request"
handler404 = "config.handlers.not_found"
handler500 = "config.handlers.server_error"
