"""The player, the mix as it is set in it, and links to it."""

from django.urls import path

from web.app import player, shares

urlpatterns = [
    path("jobs/<uuid:job_uuid>/player", player.manifest, name="job-player"),
    path(
        "jobs/<uuid:job_uuid>/player/<uuid:listening_uuid>/<slug:part>",
        player.file,
        name="job-player-file",
    ),
    path("jobs/<uuid:job_uuid>/shares", shares.shares, name="job-shares"),
]
