"""What every page must be."""

from html.parser import HTMLParser
from typing import Any

# Scripts of these types are data; browsers do not run them.
DATA_TYPES = {"application/json"}
UNLABELLED_TYPES = {"hidden", "submit", "button"}


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, Any]]] = []
        self.title = ""
        self._in_title = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._in_title = tag == "title"

    def handle_endtag(self, tag: str) -> None:
        self._in_title = False

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title += data

    def all(self, *names: str) -> list[dict[str, Any]]:
        return [attrs for tag, attrs in self.tags if tag in names]

    def problems(self) -> list[str]:
        found = []
        if not self.title.split("·")[0].strip() or "Stemwright" not in self.title:
            found.append(f"title: {self.title!r}")
        if len(self.all("h1")) != 1:
            found.append(f"{len(self.all('h1'))} h1")
        if self.all("html")[0].get("lang") != "en" or len(self.all("main")) != 1:
            found.append("lang or main")
        found += [f"inline style: {tag}" for tag, attrs in self.tags if "style" in attrs]
        found += ["style element" for _ in self.all("style")]
        found += [
            f"inline handler: {tag} {name}"
            for tag, attrs in self.tags
            for name in attrs
            if name.startswith("on")
        ]
        found += [
            "inline script"
            for attrs in self.all("script")
            if "src" not in attrs and attrs.get("type") not in DATA_TYPES
        ]
        found += [
            f"from elsewhere: {tag} {value}"
            for tag, attrs in self.tags
            for name, value in attrs.items()
            if tag in {"script", "link", "img", "form", "iframe"}
            and name in {"src", "href", "action"}
            and value
            and not value.startswith(("/", "data:image/svg+xml"))
            and attrs.get("rel") != "canonical"
        ]
        ids = [attrs["id"] for _, attrs in self.tags if "id" in attrs]
        found += [f"id twice: {name}" for name in set(ids) if ids.count(name) > 1]
        labelled = {attrs.get("for") for attrs in self.all("label")}
        found += [
            f"no label: {attrs.get('name')}"
            for attrs in self.all("input", "select", "textarea")
            if attrs.get("type") not in UNLABELLED_TYPES and attrs.get("id") not in labelled
        ]
        # Empty: what is decoration.
        found += ["img without alt" for attrs in self.all("img") if "alt" not in attrs]
        return found
