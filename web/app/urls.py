"""The pages of members. Each module has the pages of one thing."""

from django.urls import path

from web.app import home

urlpatterns = [
    path("", home.home, name="app-home"),
    path("workspace", home.workspace_enter, name="workspace-enter"),
]
