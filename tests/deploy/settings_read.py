"""The environment variables that the service reads, found in its own source."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
# Outside of the settings: read by the library, the set-up, gunicorn and Prometheus' client.
ELSEWHERE = {
    "STEMWRIGHT_CACHE_DIR",
    "STEMWRIGHT_WEIGHTS_DIR",
    "STEMWRIGHT_WEIGHTS_POLICY",
    "STEMWRIGHT_TORCH_SPEC",
    "STEMWRIGHT_INSTANCE_DIR",
    "WEB_CONCURRENCY",
}
READERS = {"text", "boolean", "integer", "words", "networks", "get"}


def settings_variables() -> set[str]:
    found = set()
    for path in (ROOT / "config").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            reader = ast.unparse(node.func)
            if reader in {f"env.{name}" for name in READERS} | {"os.environ.get"}:
                match node.args[0]:
                    case ast.Constant(value=str(name)):
                        found.add(name)
    # Set by config/gunicorn.py for its own processes.
    return found - {"PROMETHEUS_MULTIPROC_DIR"}


def known_variables() -> set[str]:
    return settings_variables() | ELSEWHERE
