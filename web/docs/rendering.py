"""Markdown to HTML: headings to link to, links between pages, coloured code with its languages."""

import posixpath
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urldefrag, urlsplit

from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.token import Token
from pygments import highlight  # type: ignore[import-untyped]
from pygments.formatters.html import HtmlFormatter  # type: ignore[import-untyped]
from pygments.lexers import get_lexer_by_name  # type: ignore[import-untyped]
from pygments.util import ClassNotFound  # type: ignore[import-untyped]

# Languages of which one is chosen, for all code: blocks of several in a row become tabs.
LANGUAGES = {"bash": "curl", "python": "Python", "javascript": "JavaScript"}
_TABLE = {"table_open": ('<div class="scroll" tabindex="0">', ""), "table_close": ("", "</div>")}
_TO_THE_RIGHT = ("text-align:right", "text-align: right")


@dataclass(frozen=True)
class Heading:
    level: int
    anchor: str
    text: str


@dataclass(frozen=True)
class Passage:
    """What is below a heading, as plain text: what searches look at."""

    heading: Heading
    text: str


@dataclass(frozen=True)
class Rendered:
    title: str
    summary: str
    html: SafeString
    headings: tuple[Heading, ...]
    passages: tuple[Passage, ...]


def render(source: str, *, slug: str, title_of: Callable[[str], str]) -> Rendered:
    """A page; `title_of` knows the titles of others, which links say instead of files' names."""
    tokens = _parser().parse(source)
    headings = _anchors_set(tokens)
    for token in tokens:
        if token.children:
            token.children = _links_resolved(token.children, slug=slug, title_of=title_of)
        # The policy lets no style through.
        if token.type in ("th_open", "td_open") and token.attrs.pop("style", "") in _TO_THE_RIGHT:
            token.attrSet("class", "number")
    passages = _passages(tokens, headings)
    title = headings[0].text if headings else slug
    # The title is shown by the page.
    body = tokens[3:] if headings and headings[0].level == 1 else tokens
    return Rendered(
        title=title,
        summary=_first_paragraph(tokens),
        html=mark_safe(_html(body)),  # noqa: S308 - markdown-it escapes; HTML in it is off
        headings=tuple(one for one in headings if one.level in (2, 3)),
        passages=passages,
    )


def anchor_of(text: str) -> str:
    """As GitHub makes them, so that links work in both places."""
    return re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")


@cache
def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False}).enable("table")


def _anchors_set(tokens: Sequence[Token]) -> list[Heading]:
    headings: list[Heading] = []
    seen: dict[str, int] = {}
    for opening, inline in zip(tokens, tokens[1:], strict=False):
        if opening.type != "heading_open":
            continue
        text = _plain(inline)
        anchor = anchor_of(text)
        count = seen[anchor] = seen.get(anchor, -1) + 1
        heading = Heading(int(opening.tag[1]), f"{anchor}-{count}" if count else anchor, text)
        opening.attrSet("id", heading.anchor)
        headings.append(heading)
    return headings


def _plain(token: Token) -> str:
    parts = (" " if child.type == "softbreak" else child.content for child in token.children or ())
    return "".join(parts)


def _links_resolved(
    tokens: Sequence[Token], *, slug: str, title_of: Callable[[str], str]
) -> list[Token]:
    """With links between pages as they are here, and without those to files that are not served."""
    kept: list[Token] = []
    target: str | None = None
    is_dropped = False
    for token in tokens:
        if token.type == "link_open":
            target = _page_named(str(token.attrGet("href") or ""), slug=slug)
            is_dropped = target == ""
            if target:
                _, fragment = urldefrag(str(token.attrGet("href")))
                page = reverse("docs-page", args=[target])
                token.attrSet("href", f"{page}#{fragment}" if fragment else page)
        elif token.type == "text" and target and token.content.endswith(".md"):
            token.content = title_of(target)
        if not (is_dropped and token.type in ("link_open", "link_close")):
            kept.append(token)
        if token.type == "link_close":
            target, is_dropped = None, False
    return kept


def _page_named(address: str, *, slug: str) -> str | None:
    """The page that a link leads to; "" for a file of the repository, None for all else."""
    if urlsplit(address).scheme or address.startswith(("#", "/")):
        return None
    path = urldefrag(address)[0]
    target = posixpath.normpath(posixpath.join(posixpath.dirname(f"docs/{slug}"), path))
    if target.startswith("docs/") and target.endswith(".md"):
        return target.removeprefix("docs/").removesuffix(".md")
    return ""


def _passages(tokens: Sequence[Token], headings: Sequence[Heading]) -> tuple[Passage, ...]:
    texts: list[list[str]] = []
    is_heading = False
    for token in tokens:
        if token.type == "heading_open":
            is_heading = True
            texts.append([])
        elif token.type == "heading_close":
            is_heading = False
        elif texts and not is_heading and token.type == "inline":
            texts[-1].append(_plain(token))
        elif texts and token.type == "fence":
            texts[-1].append(token.content)
    return tuple(
        Passage(heading, " ".join(" ".join(text).split()))
        for heading, text in zip(headings, texts, strict=True)
    )


def _first_paragraph(tokens: Sequence[Token]) -> str:
    for opening, inline in zip(tokens, tokens[1:], strict=False):
        if opening.type == "paragraph_open" and opening.level == 0:
            return _plain(inline)
    return ""


def _html(tokens: Sequence[Token]) -> str:
    parts: list[str] = []
    plain: list[Token] = []

    def flush() -> None:
        # Together: how a token is written depends on those around it.
        parts.append(_parser().renderer.render(plain, _parser().options, {}))
        plain.clear()

    at = 0
    while at < len(tokens):
        token = tokens[at]
        if token.type == "fence":
            blocks = _same_in_languages(tokens, at)
            flush()
            parts.append(_code(blocks))
            at += len(blocks)
        elif token.type == "heading_open":
            flush()
            parts.append(_heading(token, tokens[at + 1]))
            at += 3
        elif token.type in _TABLE:
            # Tables may be wider than a phone.
            before, after = _TABLE[token.type]
            flush()
            parts.append(before)
            plain.append(token)
            if after:
                flush()
                parts.append(after)
            at += 1
        else:
            plain.append(token)
            at += 1
    flush()
    return "".join(parts)


def _heading(token: Token, inline: Token) -> str:
    anchor = token.attrGet("id")
    text = _parser().renderer.render([inline], _parser().options, {})
    return (
        f'<{token.tag} id="{anchor}">{text} '
        f'<a class="anchor" href="#{anchor}" aria-label="{escape(_plain(inline))}">#</a>'
        f"</{token.tag}>"
    )


def _same_in_languages(tokens: Sequence[Token], at: int) -> list[Token]:
    """The block, and those right after it that say the same in another language."""
    blocks = [tokens[at]]
    seen = {tokens[at].info}
    while blocks[0].info in LANGUAGES and at + len(blocks) < len(tokens):
        following = tokens[at + len(blocks)]
        if following.type != "fence" or following.info not in LANGUAGES or following.info in seen:
            break
        seen.add(following.info)
        blocks.append(following)
    return blocks


def _code(blocks: Sequence[Token]) -> str:
    context = {
        "blocks": [
            # The line of the page makes an id that is nobody else's.
            code_block(block.content, block.info, name=f"code-{(block.map or [0])[0]}")
            for block in blocks
        ]
    }
    return render_to_string("public/_code.html", context)


def code_block(text: str, language: str, *, name: str) -> dict[str, Any]:
    """A block as the template wants it; `name` is its id on the page."""
    try:
        lexer = get_lexer_by_name(language or "text", stripnl=False)
    except ClassNotFound:
        lexer = get_lexer_by_name("text")
    coloured = highlight(text, lexer, HtmlFormatter(nowrap=True))
    return {
        "language": language,
        "label": LANGUAGES.get(language, language),
        "name": name,
        "html": mark_safe(coloured),  # noqa: S308 - Pygments escapes what it colours
    }


def code_sets(source: str) -> list[SafeString]:
    """The blocks of a page that come in several languages, without what is around them."""
    tokens = _parser().parse(source)
    found = [
        _same_in_languages(tokens, at)
        for at, token in enumerate(tokens)
        if token.type == "fence" and not (at and tokens[at - 1].type == "fence")
    ]
    return [mark_safe(_code(blocks)) for blocks in found if len(blocks) > 1]  # noqa: S308
