"""What other sites show of a link to a page: `{% load share %}`."""

from html import unescape

from django import template
from django.http import HttpRequest
from django.template import RequestContext
from django.template.loader_tags import BLOCK_CONTEXT_KEY, BlockContext
from django.templatetags.static import static

from accounts.mail import site_url
from web.public.robots import INDEXED

register = template.Library()


@register.simple_tag(takes_context=True)
def block_text(context: RequestContext, name: str) -> str:
    """The text of a block once more, such as of the title; a template may name each once only."""
    blocks: BlockContext = context.render_context[BLOCK_CONTEXT_KEY]
    return unescape(blocks.get_block(name).render(context)).strip()


@register.simple_tag(takes_context=True)
def indexed_url(context: RequestContext) -> str:
    """The one address of a page that search engines may list; empty for all others."""
    request: HttpRequest | None = context.get("request")
    if request is None or request.resolver_match is None:
        return ""
    return site_url(request.path) if request.resolver_match.view_name in INDEXED else ""


@register.simple_tag
def static_url(path: str) -> str:
    """The whole address of a file, for others to fetch."""
    address = static(path)
    return site_url(address) if address.startswith("/") else address
