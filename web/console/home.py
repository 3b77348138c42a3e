"""The console's first page: a search for anything, and how the service is."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from web.console.gate import Operator, console_page
from web.console.health import alerts, health
from web.console.search import search


@console_page()
def home(request: HttpRequest, operator: Operator) -> HttpResponse:
    text = request.GET.get("q", "").strip()
    if text:
        return render(request, "console/search.html", {"q": text, "found": search(text)})
    return render(request, "console/home.html", {"health": health(), "alerts": alerts()})
