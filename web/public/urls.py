"""Pages for everybody."""

from django.urls import path
from django.views.generic import TemplateView

from web.public import preferences

urlpatterns = [
    path("", TemplateView.as_view(template_name="home.html"), name="home"),
    path("preferences", preferences.preferences, name="preferences"),
]
