"""The outside APIs. All of them answer from the root of one origin, since no two paths meet."""

from django.urls import include, path

from api.outside import OUTSIDE

urlpatterns = [path("", include(f"api.{name}.urls")) for name in OUTSIDE]
