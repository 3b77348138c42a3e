from django.urls import include, path

from config import health

# /api/ belongs to the outside APIs.
urlpatterns = [
    path("livez", health.live, name="livez"),
    path("readyz", health.ready, name="readyz"),
    path("v1/", include("api.native.urls")),
    path("", include("web.urls")),
]
handler400 = "api.native.errors.bad_request"
handler404 = "api.native.errors.not_found"
handler500 = "api.native.errors.server_error"
