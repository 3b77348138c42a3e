"""Fetch the libraries that pages use into static/vendor: `python scripts/vendor.py [NAME …]`.

They are served by the application itself, so they are committed; this is how they came here, and
how a newer one comes. `static/vendor/vendored.toml` names the packages, their versions and files.
Needs npm, by whose registry each archive is checked.
"""

import hashlib
import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "static" / "vendor"


def main() -> None:
    packages = tomllib.loads((FOLDER / "vendored.toml").read_text())
    for name in sys.argv[1:] or packages:
        icons = packages[name].get("icons", [])
        files = packages[name].get("files", {f"icons/{icon}.svg": f"{icon}.svg" for icon in icons})
        _fetch(name, packages[name], files)
        if icons:
            _sprite(icons)


def _fetch(name: str, package: dict[str, str], files: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        spec = f"{package['package']}@{package['version']}"
        command = ["npm", "pack", "--silent", spec]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
        (archive,) = Path(folder).glob("*.tgz")
        with tarfile.open(archive) as content:
            for source, target in {**files, "LICENSE": "LICENSE"}.items():
                member = content.extractfile(f"package/{source}")
                if member is None:
                    raise SystemExit(f"{spec} has no {source}")
                data = _without_map(member.read())
                path = FOLDER / name / target
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
                digest = hashlib.sha256(data).hexdigest()
                sys.stdout.write(f"{spec} {target} {len(data)} {digest[:12]}\n")


def _without_map(data: bytes) -> bytes:
    """Maps are not served: a script that names one would make collectstatic fail."""
    return re.sub(rb"\n//# sourceMappingURL=\S+\s*$", b"\n", data)


def _sprite(icons: list[str]) -> None:
    """One file of all icons, for `<use href="icons.svg#name">`."""
    symbols = []
    for icon in icons:
        text = (FOLDER / "lucide" / f"{icon}.svg").read_text()
        shapes = " ".join(
            re.findall(r"<(?:path|circle|rect|line|polyline|polygon|ellipse)[^>]*/>", text)
        )
        symbols.append(f'<symbol id="{icon}" viewBox="0 0 24 24">{shapes}</symbol>')
    (FOLDER / "lucide" / "icons.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg">\n' + "\n".join(symbols) + "\n</svg>\n"
    )
    for icon in icons:
        (FOLDER / "lucide" / f"{icon}.svg").unlink()


if __name__ == "__main__":
    main()
