from django.urls import include, path
from django.views.generic import TemplateView

from web import pages

urlpatterns = [
    path("", TemplateView.as_view(template_name="home.html"), name="home"),
    path("account/", pages.account_home, name="account-home"),
    # Stripe sends people back to it.
    path("account/billing", pages.account_billing, name="account-billing"),
    # First: some of allauth's, in transactions.
    path("account/", include("accounts.urls")),
    path("account/", include("allauth.urls")),
    path(
        "account/invitations/<uuid:invitation_uuid>/join",
        pages.invitation_join,
        name="invitation-join",
    ),
    path("invitations/<str:token>/", pages.invitation_accept, name="invitation-accept"),
]
