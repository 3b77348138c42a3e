import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
TIMEOUT_S = 60


@pytest.fixture
def run_script() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run one of the repository's scripts and wait for its end."""

    def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=os.environ | environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )

    return run


@dataclass
class Checkout:
    """A bare checkout with a lock of one small package, and a registry of its own: a folder."""

    root: Path
    registry: Path
    environ: dict[str, str] = field(default_factory=dict)

    def command(self) -> list[str]:
        return [sys.executable, str(self.root / "scripts" / "bootstrap.py")]

    def bootstrap(self, **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            options.pop("command", self.command()),
            env=self.environ | options.pop("environ", {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
            **options,
        )

    def lock(self, name: str, *, sha256: str) -> None:
        (self.root / "requirements.lock").write_text(
            f"{name}==1.0 \\\n    --hash=sha256:{sha256}\n"
        )

    def publish(self, name: str, *, size_bytes: int = 100) -> str:
        """Put a package into the registry; return its hash."""
        wheel = self.registry / f"{name}-1.0-py3-none-any.whl"
        info = f"{name}-1.0.dist-info"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr(f"{name}.py", "#" * size_bytes)
            archive.writestr(
                f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0"
            )
            archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any")
            archive.writestr(f"{info}/RECORD", "")
        return hashlib.sha256(wheel.read_bytes()).hexdigest()

    def has(self, name: str) -> bool:
        return any((self.root / ".venv").glob(f"lib/*/site-packages/{name}.py"))


@pytest.fixture(scope="session")
def fresh_environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty virtual environment, made once; tests take copies."""
    folder = tmp_path_factory.mktemp("environment") / ".venv"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=TIMEOUT_S)
    return folder


@pytest.fixture
def bare_checkout(tmp_path: Path) -> Checkout:
    root = tmp_path / "a checkout"
    (root / "scripts").mkdir(parents=True)
    shutil.copy(ROOT / "scripts" / "bootstrap.py", root / "scripts")
    shutil.copy(ROOT / "pyproject.toml", root)
    registry = tmp_path / "registry"
    registry.mkdir()
    # Nothing of the user's pip settings, and no address outside this machine.
    environ = {k: v for k, v in os.environ.items() if not k.startswith("PIP_")} | {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(registry),
        "PIP_NO_CACHE_DIR": "1",
        "STEMWRIGHT_TORCH_SPEC": "smalltorch==1.0",
    }
    checkout = Checkout(root, registry, environ)
    checkout.lock("smallpackage", sha256=checkout.publish("smallpackage"))
    checkout.publish("smalltorch")
    return checkout


@pytest.fixture
def checkout(bare_checkout: Checkout, fresh_environment: Path) -> Checkout:
    """The same, with an environment in which nothing is installed yet."""
    shutil.copytree(fresh_environment, bare_checkout.root / ".venv", symlinks=True)
    return bare_checkout
