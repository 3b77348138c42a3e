"""All APIs. The outside ones answer from the root of one origin, since no two paths meet."""

from django.urls import include, path

from api.outside import OUTSIDE
from api.reference import OpenApi, ReferencePage, ReferencesPage

urlpatterns = [
    path("v1/openapi.json", OpenApi.as_view(of="native"), name="native-openapi"),
    path("v1/docs", ReferencePage.as_view(of="native"), name="native-docs"),
    path("v1/", include("api.native.urls")),
    path("api/docs", ReferencesPage.as_view(), name="references"),
    path("api/docs/<slug:name>", ReferencePage.as_view(), name="outside-docs"),
    path("api/docs/<slug:name>/openapi.json", OpenApi.as_view(), name="outside-openapi"),
    *(path("", include(f"api.{name}.urls")) for name in OUTSIDE),
]
