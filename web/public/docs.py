"""The documentation, which is kept in docs/ beside the code."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from accounts.api_keys import api_key_list, api_key_state
from accounts.mail import site_url
from accounts.scopes import KEYS_READ
from config.errors import NotFound
from web.docs.pages import SECTIONS, Page, page_get, pages_list
from web.docs.searching import search
from web.views import principal_of


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    return render(request, "public/docs_index.html")


@require_safe
def page(request: HttpRequest, slug: str) -> HttpResponse:
    found = _page_or_404(slug)
    context = {"page": found, **_neighbours(found)}
    if slug == "quickstart":
        context |= _key_of_reader(request)
    return render(request, "public/docs_page.html", context)


@require_safe
def source(request: HttpRequest, slug: str) -> HttpResponse:
    """The Markdown, for programs that read."""
    found = _page_or_404(slug)
    return HttpResponse(found.source, content_type="text/markdown; charset=utf-8")


@require_safe
def find(request: HttpRequest) -> HttpResponse:
    """What has these words: a page, or, for the script that asks while one types, a list."""
    query = request.GET.get("q", "").strip()
    context: dict[str, Any] = {"query": query, "results": search(query)}
    if "part" in request.GET:
        return render(request, "public/_docs_results.html", context)
    return render(request, "public/docs_search.html", context)


@require_safe
def llms(request: HttpRequest) -> HttpResponse:
    """What there is to read, as the convention llms.txt wants it."""
    sections = [
        (
            section.title,
            [(one, site_url(reverse("docs-source", args=[one.slug]))) for one in pages],
        )
        for section, pages in pages_list()
        if section.rest != "adr"
    ]
    context = {"sections": sections, "openapi": site_url(reverse("native-openapi"))}
    return render(request, "public/llms.txt", context, content_type="text/plain; charset=utf-8")


def _page_or_404(slug: str) -> Page:
    try:
        return page_get(slug)
    except NotFound:
        raise Http404 from None


def _key_of_reader(request: HttpRequest) -> dict[str, Any]:
    """The key that the reader would use, as far as it may be shown, so that they know which."""
    if not request.user.is_authenticated:
        return {}
    principal = principal_of(request)
    if KEYS_READ not in principal.scopes:
        return {}
    usable = (
        key for key in api_key_list(workspace=principal.workspace) if api_key_state(key) == "active"
    )
    return {"may_see_keys": True, "key": next(usable, None)}


def _neighbours(here: Page) -> dict[str, Page]:
    slugs = [slug for section in SECTIONS for slug in section.all_slugs()]
    at = slugs.index(here.slug)
    found = {}
    if at > 0:
        found["previous"] = page_get(slugs[at - 1])
    if at + 1 < len(slugs):
        found["following"] = page_get(slugs[at + 1])
    return found
