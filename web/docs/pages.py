"""Which pages there are, in the order in which they are shown."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from django.conf import settings
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from config.errors import NotFound
from web.docs.generated import filled_in
from web.docs.rendering import Rendered, render

ROOT = Path(settings.BASE_DIR) / "docs"
# What the texts call this service; pages say its own address.
_PLACEHOLDER = "https://stemwright.example"


@dataclass(frozen=True)
class Section:
    """Pages under one heading. `rest` is a folder whose other pages follow."""

    title: str | Promise
    slugs: tuple[str, ...]
    rest: str | None = None

    def all_slugs(self) -> tuple[str, ...]:
        if self.rest is None:
            return self.slugs
        listed = {slug for section in SECTIONS for slug in section.slugs}
        found = sorted(
            path.relative_to(ROOT).with_suffix("").as_posix()
            for path in (ROOT / self.rest).glob("*.md")
        )
        return self.slugs + tuple(slug for slug in found if slug not in listed)


SECTIONS = (
    Section(_("Start here"), ("quickstart", "clients", "access", "errors", "limits", "pricing")),
    Section(
        _("Guides"),
        ("uploads", "imports", "jobs", "speakers", "music", "enhancement", "webhooks", "billing")
        + ("exactness",),
    ),
    Section(
        _("Moving here"),
        (
            "migrating/audiopod",
            "migrating/musicapi",
            "migrating/musicgpt",
            "migrating/neuralspace",
            "migrating/sunoapi",
        ),
    ),
    Section(_("Measured"), ("quality", "speaker-quality", "performance")),
    Section(_("Running it yourself"), ("operating", "storage"), rest="."),
    Section(_("Design decisions"), (), rest="adr"),
)


@dataclass(frozen=True)
class Page:
    slug: str
    # Markdown, with what is generated and this service's address in it.
    source: str
    rendered: Rendered

    @property
    def title(self) -> str:
        return self.rendered.title

    @property
    def short_title(self) -> str:
        """For where there is little room: what is before a colon."""
        return self.title.partition(":")[0]

    @property
    def summary(self) -> str:
        return self.rendered.summary


def page_get(slug: str) -> Page:
    if not any(slug in section.all_slugs() for section in SECTIONS):
        raise NotFound(_("There is no such page."))
    return _page(slug, (ROOT / f"{slug}.md").stat().st_mtime_ns, settings.SITE_URL)


def pages_list() -> Iterator[tuple[Section, list[Page]]]:
    for section in SECTIONS:
        yield section, [page_get(slug) for slug in section.all_slugs()]


@lru_cache(maxsize=256)
def _page(slug: str, changed_at: int, site_url: str) -> Page:
    """Rendered once, until the file changes."""
    text = (ROOT / f"{slug}.md").read_text(encoding="utf-8")
    source = filled_in(text).replace(_PLACEHOLDER, site_url.rstrip("/"))
    return Page(slug, source, render(source, slug=slug, title_of=_title_of))


def _title_of(slug: str) -> str:
    """Of the first line alone: pages name each other."""
    with (ROOT / f"{slug}.md").open(encoding="utf-8") as file:
        return file.readline().removeprefix("# ").strip()
