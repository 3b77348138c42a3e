"""Usage, credits and invoices."""

from django.urls import path

from web.app import credits, invoices, usage

urlpatterns = [
    path("usage", usage.usage, name="usage"),
    path("usage.csv", usage.usage_csv, name="usage-csv"),
    path("credits", credits.credits, name="credits"),
    path("credits/buy", credits.credits_buy, name="credits-buy"),
    path("credits/portal", credits.credits_portal, name="credits-portal"),
    path("credits/top-up", credits.credits_top_up, name="credits-top-up"),
    path("credits/alert", credits.credits_alert, name="credits-alert"),
    path("credits/card", credits.credits_card, name="credits-card"),
    path("credits/arrival", credits.credits_arrival, name="credits-arrival"),
    path("invoices", invoices.invoices, name="invoices"),
    path("invoices/stripe", invoices.invoices_stripe, name="invoices-stripe"),
]
