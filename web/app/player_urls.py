"""The player, the mix as it is set in it, and links to it."""

from django.urls import path

from web.app import mixes, player, shares, stem_file

urlpatterns = [
    path("jobs/<uuid:job_uuid>/player", player.manifest, name="job-player"),
    path(
        "jobs/<uuid:job_uuid>/player/<uuid:listening_uuid>/<slug:part>",
        player.file,
        name="job-player-file",
    ),
    path("jobs/<uuid:job_uuid>/shares", shares.shares, name="job-shares"),
    path("jobs/<uuid:job_uuid>/mix", mixes.mix, name="job-mix"),
    path("jobs/<uuid:job_uuid>/mix/<uuid:mix_uuid>", mixes.status, name="job-mix-status"),
    path("jobs/<uuid:job_uuid>/mix/<uuid:mix_uuid>/file", mixes.file, name="job-mix-file"),
    path("jobs/<uuid:job_uuid>/stem-file", stem_file.stem_file, name="job-stem-file"),
]
