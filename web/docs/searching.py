"""Searching the documentation: few pages, so every passage is looked at."""

from collections.abc import Sequence
from dataclasses import dataclass

from web.docs.pages import Page, pages_list
from web.docs.rendering import Passage

RESULTS = 20
_QUERY_CHARS = 100
_EXCERPT_CHARS = 160


@dataclass(frozen=True)
class Found:
    page: Page
    passage: Passage
    excerpt: str

    @property
    def anchor(self) -> str:
        return self.passage.heading.anchor if self.passage.heading.level > 1 else ""


def search(query: str) -> list[Found]:
    """Passages that have every word of the query, best first."""
    words = query[:_QUERY_CHARS].lower().split()
    if not words:
        return []
    found: list[tuple[int, int, Found]] = []
    for place, (page, passage) in enumerate(_passages()):
        score = _score(page, passage, words)
        if score:
            found.append((-score, place, Found(page, passage, _excerpt(passage.text, words))))
    return [one for *_, one in sorted(found, key=lambda one: one[:2])[:RESULTS]]


def _passages() -> list[tuple[Page, Passage]]:
    return [
        (page, passage)
        for _, pages in pages_list()
        for page in pages
        for passage in page.rendered.passages
    ]


def _score(page: Page, passage: Passage, words: Sequence[str]) -> int:
    title, heading = page.title.lower(), passage.heading.text.lower()
    text = passage.text.lower()
    total = 0
    for word in words:
        score = 10 * (word in heading) + 4 * (word in title) + min(3, text.count(word))
        if not score:
            return 0
        total += score
    # Decisions are for those who look for reasons.
    return total if not page.slug.startswith("adr/") else max(1, total // 4)


def _excerpt(text: str, words: Sequence[str]) -> str:
    at = min((text.lower().find(word) for word in words if word in text.lower()), default=0)
    start = max(0, at - _EXCERPT_CHARS // 3)
    if start:
        start = text.find(" ", start) + 1
    part = text[start : start + _EXCERPT_CHARS]
    return f"{'… ' if start else ''}{part}{' …' if start + _EXCERPT_CHARS < len(text) else ''}"
