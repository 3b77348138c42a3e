"""Whatever deploy/ and the operator's guide name exists in the service, and the other way round."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.test import Client

from tests.deploy.settings_read import ELSEWHERE, ROOT, known_variables, settings_variables

DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "kubernetes"
ALERTS = DEPLOY / "prometheus" / "alerts.yaml"
GUIDE = ROOT / "docs" / "operating.md"
# Read by the containers that are not ours, or by compose.yaml itself.
COMPOSE_ONLY = {"STEMWRIGHT_DOMAIN", "STEMWRIGHT_PORT", "STEMWRIGHT_VERSION", "STEMWRIGHT_MODELS"}


def alert_names() -> set[str]:
    (group,) = yaml.safe_load(ALERTS.read_text())["groups"]
    return {rule["alert"] for rule in group["rules"]}


def texts() -> Iterator[tuple[Path, str]]:
    for path in DEPLOY.rglob("*"):
        if path.is_file() and "secrets" not in path.parts:
            yield path, path.read_text()
    yield GUIDE, GUIDE.read_text()


@pytest.mark.django_db
def test_every_metric_that_is_asked_for_is_told(client: Client):
    client.get("/livez")
    told = set(re.findall(r"^# TYPE (\w+) \w+", client.get("/metrics").text, re.MULTILINE))
    told |= {f"{name}_{suffix}" for name in told for suffix in ("bucket", "sum", "count")}
    # Told once the books have been checked.
    told |= {"stemwright_ledger_discrepancies", "stemwright_ledger_checked_timestamp_seconds"}
    asked = {
        name: str(path.relative_to(ROOT))
        for path, text in texts()
        for name in re.findall(r"\bstemwright_[a-z_]*[a-z]\b(?!\.)", text)
    }
    assert len(asked) > 25
    assert {name: path for name, path in asked.items() if name not in told} == {}


def test_every_setting_that_is_named_exists():
    known = known_variables()
    known |= {f"{name}_FILE" for name in known} | COMPOSE_ONLY
    unknown = {
        (str(path.relative_to(ROOT)), name)
        for path, text in texts()
        for name in re.findall(r"\bSTEMWRIGHT_[A-Z0-9_]*[A-Z0-9]\b(?!_)", text)
        if name not in known
    }
    assert unknown == set()


def test_containers_get_settings_that_exist():
    known = known_variables()
    known |= {f"{name}_FILE" for name in known}
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    ours = [
        service
        for service in compose["services"].values()
        if service["image"].startswith("stemwright:")
    ]
    assert len(ours) == 6
    for service in ours:
        assert set(service["environment"]) - known == set()
    helpers = (CHART / "templates" / "_helpers.tpl").read_text()
    names = set(re.findall(r"- name: ([A-Z][A-Z0-9_]+)", helpers)) - {"POD_IP"}
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert (names | set(values["environment"])) - known == set()


def test_the_guide_lists_every_setting_and_every_alert():
    guide = GUIDE.read_text()
    table = set(re.findall(r"^\| `([A-Z][A-Z0-9_]+)`", guide, re.MULTILINE))
    assert table == settings_variables() | ELSEWHERE
    headings = set(re.findall(r"^\| \*\*(Stemwright\w+)\*\*", guide, re.MULTILINE))
    assert headings == alert_names()


def test_containers_are_given_time_to_stop(settings: Any):
    # Of the supervisor: what it adds to the grace of jobs before it kills, and while it does.
    margin_s = 15 + 10
    needed_s = settings.JOB_STOP_GRACE_SECONDS + margin_s
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    for name in ("separation", "imports", "default"):
        assert int(compose["services"][name]["stop_grace_period"].rstrip("s")) > needed_s
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert set(values["clusters"]) == {"separation", "imports", "default"}
    for cluster in values["clusters"].values():
        assert cluster["terminationGracePeriodSeconds"] > needed_s


def test_the_dashboard_is_whole():
    dashboard = json.loads((DEPLOY / "grafana" / "stemwright.json").read_text())
    panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    assert all(panel["targets"] for panel in panels)
