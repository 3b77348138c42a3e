"""What crawlers and browsers ask for by themselves."""

from typing import Final

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.templatetags.static import static
from django.urls import reverse
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from accounts.mail import site_url
from web.docs.pages import pages_list

# The pages that search engines are asked to list; those of the documentation one by one.
INDEXED: Final = ("home", "pricing", "stems", "docs", "references", "docs-page")


@require_safe
def robots(request: HttpRequest) -> HttpResponse:
    lines = [
        "User-agent: *",
        # Before what it is a part of: some crawlers take the first line that fits.
        f"Allow: {reverse('references')}",
        "Disallow: /app/",
        "Disallow: /account/",
        "Disallow: /console/",
        "Disallow: /invitations/",
        "Disallow: /v1/",
        "Disallow: /api/",
        "Allow: /",
        f"Sitemap: {site_url(reverse('sitemap'))}",
        "",
    ]
    return HttpResponse("\n".join(lines), content_type="text/plain; charset=utf-8")


@require_safe
def sitemap(request: HttpRequest) -> HttpResponse:
    urls = [site_url(reverse(name)) for name in INDEXED if name != "docs-page"]
    urls += [
        site_url(reverse("docs-page", args=[page.slug]))
        for _section, pages in pages_list()
        for page in pages
    ]
    return render(request, "public/sitemap.xml", {"urls": urls}, content_type="application/xml")


@require_safe
def favicon(request: HttpRequest) -> HttpResponse:
    """Where browsers look that were told of no icon."""
    return redirect(static("icon.svg"))


@require_safe
def manifest(request: HttpRequest) -> JsonResponse:
    """How a home screen shows the app, for those who put it there."""
    icons = [
        {"src": static("icon.svg"), "sizes": "any", "type": "image/svg+xml"},
        *(
            {
                "src": static(f"icon-{size}.png"),
                "sizes": f"{size}x{size}",
                "type": "image/png",
                "purpose": "any maskable",
            }
            for size in (192, 512)
        ),
    ]
    body = {
        "name": "Stemwright",
        "description": _("Takes recordings apart: songs into stems, conversations into speakers."),
        "lang": get_language(),
        "start_url": reverse("app-home"),
        "scope": "/",
        # With a way back: there is one for each page.
        "display": "minimal-ui",
        "background_color": "#F6F5F2",
        "theme_color": "#0F6B72",
        "icons": icons,
    }
    return JsonResponse(body, content_type="application/manifest+json")
