"""What services say to people is marked for translation where they say it."""

import ast
import gc
import re
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.utils.functional import Promise

from config import errors

ROOT = Path(settings.BASE_DIR)
SERVICES = ("accounts", "billing", "config/errors.py", "jobs", "web")
# What their texts describe is the API, metrics, or a bucket to who set it up: all in English.
IN_ENGLISH = {
    "catalog.py",
    "webhook_events.py",
    "metrics.py",
    "care.py",
    "migrations",
    "management",
}
SENTENCE = re.compile(r"[A-Z%].* .*[.!?]", re.DOTALL)
MARKS = {"_", "gettext", "gettext_lazy", "gettext_noop", "ngettext", "ngettext_lazy", "pgettext"}
# What they say is read by programmers and operators, in logs.
FOR_LOGS = {
    *("AssertionError", "CommandError", "ImproperlyConfigured", "RuntimeError", "TypeError"),
    *("ValueError", "ForeignObject", "refusal", "_end"),
}
# Stored, and shown as what its code says in general (`stored_text`).
WITH_VALUES = {
    "f'The server of this address answered {error.status_code} instead of a file.'",
    "f'Nothing could be delivered for {days} days.'",
}


def _files() -> Iterator[Path]:
    for name in SERVICES:
        path = ROOT / name
        found = [path] if path.is_file() else sorted(path.rglob("*.py"))
        yield from (one for one in found if not IN_ENGLISH & set(one.parts))


def _called(node: ast.Call) -> str:
    """The name of what is called; of errors of the engine, whose texts are English, its module."""
    match node.func:
        case ast.Attribute(value=ast.Name(id="engine_errors")):
            return "ValueError"
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
        case _:
            return ""


def _unmarked(node: ast.AST) -> Iterator[str]:
    """Whatever looks like a sentence, but where it is marked or nobody reads it on a page."""
    match node:
        case ast.Call() if _called(node) in MARKS | FOR_LOGS:
            return
        case ast.Expr(value=ast.Constant()):
            return
        case ast.JoinedStr(values=parts):
            texts = [str(part.value) if isinstance(part, ast.Constant) else "%" for part in parts]
            if SENTENCE.fullmatch("".join(texts)):
                yield ast.unparse(node)
        case ast.Constant(value=str(text)):
            if SENTENCE.fullmatch(text):
                yield text
        case _:
            for child in ast.iter_child_nodes(node):
                yield from _unmarked(child)


def _marked(node: ast.AST) -> set[str]:
    return {
        text.value
        for call in ast.walk(node)
        if isinstance(call, ast.Call) and _called(call) in MARKS
        for text in call.args
        if isinstance(text, ast.Constant) and isinstance(text.value, str)
    }


def test_what_services_say_is_marked_for_translation():
    # CPython 3.11 refuses a tree while whose making the collector ran something that parses too.
    gc.disable()
    try:
        trees = {path: ast.parse(path.read_text()) for path in _files()}
    finally:
        gc.enable()
    # Some are marked in one place, and written down in English in another (web/stored_texts.py).
    known = WITH_VALUES.union(*(_marked(tree) for tree in trees.values()))
    found = {
        f"{path.relative_to(ROOT)}: {text}"
        for path, tree in trees.items()
        for text in _unmarked(tree)
        if text not in known
    }
    assert found == set()


def _kinds(base: type[errors.AppError] = errors.AppError) -> Iterator[type[errors.AppError]]:
    yield base
    for kind in base.__subclasses__():
        yield from _kinds(kind)


def test_the_words_of_each_error_are_marked():
    ours = [kind for kind in _kinds() if kind.__module__ == errors.__name__]
    assert len(ours) > 50
    assert [kind for kind in ours if not isinstance(kind.message, Promise)] == []
