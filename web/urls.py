from django.urls import include, path

from web import pages

urlpatterns = [
    path("", include("web.public.urls")),
    path("app/", include("web.app.urls")),
    path("console/", include("web.console.urls")),
    path("account/", pages.account_home, name="account-home"),
    path("account/time-zone", pages.account_time_zone, name="account-time-zone"),
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
