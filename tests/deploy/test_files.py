"""The files of deploy/ do what they can be seen doing without Docker and without a cluster."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.settings_read import ROOT

DEPLOY = ROOT / "deploy"
TEMPLATES = DEPLOY / "kubernetes" / "templates"
PACKAGE = re.compile(r"^\S+==.*(?:\\\n.*)*", re.MULTILINE)


def run(*command: str, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    return done.stdout


def test_the_image_gets_what_was_tested():
    whole = set(PACKAGE.findall((ROOT / "requirements.lock").read_text()))
    runtime = set(PACKAGE.findall((ROOT / "requirements-runtime.lock").read_text()))
    assert runtime < whole
    names = {package.split("==")[0] for package in runtime}
    assert {"django", "gunicorn", "demucs", "boto3", "redis"} <= names
    assert not {"pytest", "moto", "localstripe", "mypy", "uv"} & names
    # `make lock` writes both; a dependency that is declared is there.
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {re.split(r"[=\[]", line)[0].lower() for line in project["dependencies"]}
    assert declared - {"torch"} <= names


def test_secrets_are_made_once_and_start_the_service(tmp_path: Path):
    shutil.copy(DEPLOY / "make-secrets", tmp_path)
    run(str(tmp_path / "make-secrets"))
    folder = tmp_path / "secrets"
    first = {path.name: path.read_text() for path in folder.iterdir()}
    run(str(tmp_path / "make-secrets"))
    assert {path.name: path.read_text() for path in folder.iterdir()} == first
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    assert set(first) == set(compose["secrets"])
    assert len(set(first.values())) == len(first)
    environ = {
        name: value.replace("/run/secrets", str(folder))
        for name, value in compose["x-environment"].items()
        if name.endswith("_FILE")
    }
    code = (
        "import config.settings as s; print(s.DATABASES['default']['HOST'], len(s.METRICS_TOKEN))"
    )
    environ |= {
        "PATH": os.environ["PATH"],
        "STEMWRIGHT_PRODUCTION": "True",
        "STEMWRIGHT_SITE_URL": "https://x",
    }
    assert run(sys.executable, "-c", code, env=environ).split() == ["postgres", "64"]


@pytest.mark.parametrize(
    ("file", "age_s", "is_alive"),
    [
        ("cluster-separation-x7/sentinel", 0, True),
        ("cluster-separation-x7/sentinel", 240, False),
        ("janitor/pulse", 0, True),
        ("janitor/pulse", 240, False),
        ("other/sentinel", 0, False),
        ("cluster-default-1/stop", 0, False),
    ],
)
def test_the_liveness_probe(tmp_path: Path, file: str, age_s: int, is_alive: bool):
    path = tmp_path / file
    path.parent.mkdir()
    path.touch()
    then = time.time() - age_s
    os.utime(path, (then, then))
    environ = {"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path)}
    probe = subprocess.run([ROOT / "scripts" / "alive"], env=environ, capture_output=True)
    assert (probe.returncode == 0, probe.stderr) == (is_alive, b"")


def test_nothing_there_is_not_alive(tmp_path: Path):
    environ = {"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path / "none")}
    assert subprocess.run([ROOT / "scripts" / "alive"], env=environ).returncode == 1


@pytest.mark.parametrize("path", sorted(DEPLOY.rglob("*.y*ml")), ids=lambda path: path.name)
def test_yaml_can_be_read(path: Path):
    if path.is_relative_to(TEMPLATES):
        # Without what Helm fills in: each action is closed, and what is opened is ended.
        text = path.read_text()
        assert text.count("{{") == text.count("}}")
        opened = re.findall(r"{{-? (if|range|with|define)\b", text)
        assert len(re.findall(r"{{-? end\b", text)) == len(opened)
    else:
        assert yaml.safe_load(path.read_text())


def test_templates_ask_for_values_that_there_are():
    values = yaml.safe_load((DEPLOY / "kubernetes" / "values.yaml").read_text())
    defined, included = set(), set()
    for path in TEMPLATES.iterdir():
        text = path.read_text()
        defined |= set(re.findall(r'define "([\w.]+)"', text))
        included |= set(re.findall(r'include "([\w.]+)"', text))
        for name in re.findall(r"\.Values\.([\w.]+)", text):
            here: Any = values
            for step in name.split("."):
                assert step in here, f"{path.name}: {name}"
                here = here[step]
    assert included <= defined


helm = shutil.which("helm")
promtool = shutil.which("promtool")


@pytest.mark.skipif(helm is None, reason="helm is not installed")
@pytest.mark.parametrize("mode", ["none", "keda", "hpa"])
def test_the_chart_renders(mode: str):
    chart = str(DEPLOY / "kubernetes")
    options = ["--set", f"autoscaling.mode={mode}", "--set", "serviceMonitor.enabled=true"]
    rendered = run(str(helm), "template", "x", chart, "--kube-version", "1.31.0", *options)
    kinds = [item["kind"] for item in yaml.safe_load_all(rendered) if item]
    assert kinds.count("Deployment") == 5
    assert kinds.count("PodDisruptionBudget") == 5
    assert kinds.count("Job") == 1
    assert ("ScaledObject" in kinds, "HorizontalPodAutoscaler" in kinds) == (
        mode == "keda",
        mode == "hpa",
    )


@pytest.mark.skipif(promtool is None, reason="promtool (Debian: prometheus) is not installed")
def test_the_alerts_fire_when_they_should_and_only_then():
    rules = DEPLOY / "prometheus"
    assert "18 rules found" in run(str(promtool), "check", "rules", str(rules / "alerts.yaml"))
    told = run(str(promtool), "test", "rules", str(rules / "alerts.test.yaml"))
    assert "SUCCESS" in told
