"""The pages of members. Each module has the pages of one thing."""

from django.urls import include, path

from web.app import home

urlpatterns = [
    path("", include("web.app.money_urls")),
    path("", include("web.app.developer_urls")),
    path("", include("web.app.player_urls")),
    path("", include("web.app.jobs_urls")),
    path("", home.home, name="app-home"),
    path("workspace", home.workspace_enter, name="workspace-enter"),
]
