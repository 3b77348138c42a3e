"""The pages of members. Each module has the pages of one thing."""

from django.urls import include, path

from web.app import home, new_job

urlpatterns = [
    path("", include("web.app.money_urls")),
    path("", include("web.app.developer_urls")),
    path("", include("web.app.player_urls")),
    path("", include("web.app.jobs_urls")),
    path("", home.home, name="app-home"),
    path("new", new_job.new_job, name="job-new"),
    path("workspace", home.workspace_enter, name="workspace-enter"),
]
