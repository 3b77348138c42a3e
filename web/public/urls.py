"""Pages for everybody."""

from django.urls import path
from django.views.generic import TemplateView

from web import calculator
from web.public import preferences

urlpatterns = [
    path("", TemplateView.as_view(template_name="home.html"), name="home"),
    path("pricing/calculator", calculator.calculator, name="calculator"),
    path("preferences", preferences.preferences, name="preferences"),
]
