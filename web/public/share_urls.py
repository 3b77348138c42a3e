"""What links to jobs open."""

from django.urls import path

from web.public import shares

urlpatterns = [
    path("s/<slug:token>", shares.share, name="share"),
    path("s/<slug:token>/player", shares.manifest, name="share-player"),
    path(
        "s/<slug:token>/player/<uuid:listening_uuid>/<slug:part>",
        shares.file,
        name="share-player-file",
    ),
    path("s/<slug:token>/zip", shares.archive, name="share-archive"),
    path("s/<slug:token>/files/<uuid:asset_uuid>", shares.download, name="share-download"),
]
