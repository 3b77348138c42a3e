"""Pages for everybody."""

from django.urls import include, path

from web import calculator
from web.public import docs, landing, preferences, pricing, robots, status, stems

urlpatterns = [
    path("", landing.home, name="home"),
    path("demo/player.json", landing.demo_player, name="demo-player"),
    path("pricing", pricing.pricing, name="pricing"),
    path("stems", stems.stems, name="stems"),
    path("status", status.status, name="status"),
    path("robots.txt", robots.robots, name="robots"),
    path("sitemap.xml", robots.sitemap, name="sitemap"),
    path("site.webmanifest", robots.manifest, name="manifest"),
    path("favicon.ico", robots.favicon, name="favicon"),
    path("", include("web.public.share_urls")),
    path("docs/", docs.index, name="docs"),
    path("docs/search", docs.find, name="docs-search"),
    path("docs/<path:slug>.md", docs.source, name="docs-source"),
    path("docs/<path:slug>", docs.page, name="docs-page"),
    path("llms.txt", docs.llms, name="llms"),
    path("pricing/calculator", calculator.calculator, name="calculator"),
    path("preferences", preferences.preferences, name="preferences"),
]
