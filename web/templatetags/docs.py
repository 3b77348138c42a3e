"""The documentation's pages, for templates of whoever shows them: `{% load docs %}`."""

from django import template

from web.docs.pages import Page, Section, pages_list

register = template.Library()


@register.simple_tag
def docs_sections() -> list[tuple[Section, list[Page]]]:
    return list(pages_list())
