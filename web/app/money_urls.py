"""Usage, credits and invoices."""

from django.urls import path

from web.app import usage

urlpatterns = [
    path("usage", usage.usage, name="usage"),
    path("usage.csv", usage.usage_csv, name="usage-csv"),
]
