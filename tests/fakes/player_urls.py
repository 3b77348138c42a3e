"""`settings.ROOT_URLCONF` for tests of the player: its page and its sound beside the rest."""

from django.urls import include, path

from tests.fakes import player

urlpatterns = [
    path("player/empty", player.empty),
    path("player/recorder.js", player.recorder),
    path("player/<slug:name>", player.page),
    path("player/<slug:name>.json", player.manifest),
    path("player/<slug:name>/mix", player.mix),
    path("player/<slug:name>/<slug:lane>.flac", player.audio),
    path("player/<slug:name>/<slug:lane>.peaks", player.peaks),
    path("", include("config.urls")),
]
