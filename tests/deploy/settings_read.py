"""The environment variables that the service reads, found in its own source."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
# Outside of the settings: read by the library, the set-up, gunicorn and Prometheus' client.
ELSEWHERE = {
    "STEMWRIGHT_CACHE_DIR",
    "STEMWRIGHT_WEIGHTS_DIR",
    "STEMWRIGHT_WEIGHTS_POLICY",
    "STEMWRIGHT_PREFERRED_MODELS",
    "STEMWRIGHT_TORCH_SPEC",
    "STEMWRIGHT_INSTANCE_DIR",
    "WEB_CONCURRENCY",
}


def settings_variables() -> set[str]:
    found = set()
    for path in (ROOT / "config").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            reader = ast.unparse(node.func)
            if not reader.startswith("env.") and reader != "os.environ.get":
                continue
            match node.args:
                case [ast.Constant(value=str(name)), *_] if re.fullmatch("[A-Z0-9_]+", name):
                    found.add(name)
    # Set by config/gunicorn.py for its own processes.
    return found - {"PROMETHEUS_MULTIPROC_DIR"}


def known_variables() -> set[str]:
    return settings_variables() | ELSEWHERE
