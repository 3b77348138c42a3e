"""Pages for everybody."""

from django.urls import include, path
from django.views.generic import TemplateView

from web import calculator
from web.public import docs, preferences

urlpatterns = [
    path("", TemplateView.as_view(template_name="home.html"), name="home"),
    path("", include("web.public.share_urls")),
    path("docs/", docs.index, name="docs"),
    path("docs/search", docs.find, name="docs-search"),
    path("docs/<path:slug>.md", docs.source, name="docs-source"),
    path("docs/<path:slug>", docs.page, name="docs-page"),
    path("llms.txt", docs.llms, name="llms"),
    path("docs/", docs.index, name="docs"),
    path("docs/search", docs.find, name="docs-search"),
    path("docs/<path:slug>.md", docs.source, name="docs-source"),
    path("docs/<path:slug>", docs.page, name="docs-page"),
    path("llms.txt", docs.llms, name="llms"),
    path("pricing/calculator", calculator.calculator, name="calculator"),
    path("preferences", preferences.preferences, name="preferences"),
]
