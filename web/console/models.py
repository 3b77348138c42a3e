"""The catalogue of models, as this machine has it."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from jobs.installed import packages_installed
from web.console.gate import Operator, console_page


@console_page()
def models(request: HttpRequest, operator: Operator) -> HttpResponse:
    return render(request, "console/models.html", {"packages": packages_installed()})
