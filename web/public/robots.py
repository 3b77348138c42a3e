"""What crawlers and browsers ask for by themselves."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.templatetags.static import static
from django.urls import reverse
from django.views.decorators.http import require_safe

from accounts.mail import site_url
from web.docs.pages import pages_list


@require_safe
def robots(request: HttpRequest) -> HttpResponse:
    lines = [
        "User-agent: *",
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
    names = ("home", "pricing", "docs", "references", "account_signup")
    urls = [site_url(reverse(name)) for name in names]
    urls += [
        site_url(reverse("docs-page", args=[page.slug]))
        for _, pages in pages_list()
        for page in pages
    ]
    return render(request, "public/sitemap.xml", {"urls": urls}, content_type="application/xml")


@require_safe
def favicon(request: HttpRequest) -> HttpResponse:
    """Where browsers look that were told of no icon."""
    return redirect(static("icon.svg"))
