"""What is sent to a browser stays small, comes from here, and says whose it is."""

import gzip
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as configured
from django.core.management import call_command

# The fixtures of this folder empty the cache, which is a table.
pytestmark = pytest.mark.django_db

STATIC = Path(configured.BASE_DIR) / "static"
VENDOR = STATIC / "vendor"
PACKAGES: dict[str, dict[str, Any]] = tomllib.loads((VENDOR / "vendored.toml").read_text())


def _gzipped(paths: list[Path]) -> int:
    assert paths
    return sum(len(gzip.compress(path.read_bytes(), 9)) for path in paths)


def test_the_style_is_small():
    assert _gzipped(sorted(STATIC.glob("css/*.css"))) <= 20_000


def test_what_every_page_loads_is_small():
    shell = [
        "js/shell.js",
        "js/connection.js",
        "js/live.js",
        "js/api.js",
        "vendor/htmx/htmx.min.js",
    ]
    assert _gzipped([STATIC / name for name in shell if (STATIC / name).exists()]) <= 25_000


@pytest.mark.parametrize("name", PACKAGES)
def test_what_is_not_ours_is_named_with_its_licence(name: str):
    package, folder = PACKAGES[name], VENDOR / name
    files = set(package["files"].values()) if "files" in package else {"icons.svg"}
    assert {path.name for path in folder.iterdir()} == files | {"LICENSE"}
    assert package["licence"] in {"0BSD", "ISC", "MIT", "OFL-1.1"}
    assert re.fullmatch(r"\d+\.\d+\.\d+", package["version"])


def test_nothing_else_lies_there():
    assert {path.name for path in VENDOR.iterdir() if path.is_dir()} == set(PACKAGES)


def test_scripts_find_each_other_by_the_names_that_they_are_served_by(
    tmp_path: Path, settings: Any
):
    settings.STATIC_ROOT = str(tmp_path)
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "web.static.PageStaticFilesStorage"},
    }
    call_command("collectstatic", interactive=False, verbosity=0)
    scripts = [
        path for path in tmp_path.glob("js/**/*.js") if re.search(r"\.[0-9a-f]{12}\.", path.name)
    ]
    assert scripts
    for path in scripts:
        text = path.read_text()
        for name in re.findall(r"""(?:from|import)\s*\(?\s*["'](\.{1,2}/[^"']+)["']""", text):
            assert re.search(r"\.[0-9a-f]{12}\.js$", name), f"{path.name} imports {name}"
            assert (path.parent / name).exists()
