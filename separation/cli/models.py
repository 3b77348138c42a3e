"""`catalog` lists stems, steps, models and tools; `models install` fetches weights."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from separation import catalog, weights
from separation.cli.terminal import PREPARE, echo
from separation.engines import backends
from separation.enhance.steps import STEPS
from separation.planning import can_be_made, makers


def add_catalog_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    parser.set_defaults(command=_catalog)


def add_models_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    install = actions.add_parser("install", help="fetch and verify weights")
    install.add_argument(
        "names", nargs="*", metavar="NAME", help="all but optional ones when left out"
    )
    install.set_defaults(command=_install)


def _install(options: argparse.Namespace) -> None:
    chosen = [catalog.package(name) for name in options.names]
    for package in chosen or catalog.packages():
        state = catalog.availability(package)
        is_forbidden = state.status is catalog.AvailabilityStatus.FORBIDDEN
        if state.is_installed:
            echo(f"{package.name}: {state.reason}")
        elif not options.names and (is_forbidden or package.is_gated or package.is_optional):
            echo(f"{package.name}: {state.reason}")
            continue
        else:
            weights.install(package, report=echo)
            echo(f"{package.name}: licence: {package.licence.summary}")
        if isinstance(package, catalog.Model):
            _prepare(package)


def _prepare(model: catalog.Model) -> None:
    """Do now what the first separation would wait for."""
    if not backends.is_prepared(model):
        echo(f"{model.name}: {PREPARE}")
    engine = backends.prepare(model)
    if engine is not None:
        echo(f"{model.name}: runs on this machine with {engine.backend}")
        engine.close()


def _catalog(options: argparse.Namespace) -> None:
    if options.json:
        parts = {
            "stems": _stems_json(),
            "sets": _sets_json(),
            "models": _models_json(),
            "tools": _tools_json(),
            "steps": _steps_json(),
        }
        echo(json.dumps(parts))
        return
    for stem in _stems_json():
        makers = ", ".join(stem["models"]) if stem["is_available"] else "unavailable"
        echo(f"{stem['name']:<16} {stem['description']} [{makers}]")
    echo("")
    for step in _steps_json():
        tools = ", ".join(step["tools"]) if step["is_available"] else "unavailable"
        echo(f"{step['name']:<16} {step['description']} [{tools}]")
    for model in _models_json():
        echo(f"\n{model['name']}: {model['title']} ({model['status']})")
        echo(f"  takes    {model['input'] or 'the recording'}")
        echo(f"  stems    {', '.join(model['stems'])}")
        echo(f"  licence  {model['licence']['id']}: {model['licence']['summary']}")
        echo(f"  source   {'; '.join(model['sources'])}")
        echo(f"  quality  {_quality_line(model['quality'])}")
    for tool in _tools_json():
        echo(f"\n{tool['name']}: {tool['title']} ({tool['status']})")
        echo(f"  task     {tool['task']}")
        echo(f"  licence  {tool['licence']['id']}: {tool['licence']['summary']}")
        echo(f"  source   {'; '.join(tool['sources'])}")


def _quality_line(quality: Sequence[Mapping[str, Any]]) -> str:
    """Return the quality of each stem that was measured, those of this model alone."""
    listed = [
        f"{one['stem']} {one['sdr_db']:.1f} dB" + (" (experimental)" * one["is_experimental"])
        for one in quality
    ]
    return f"SDR {', '.join(listed)}" if listed else "not measured yet"


def _stems_json() -> list[dict[str, Any]]:
    rows = []
    able = can_be_made()
    for stem in catalog.stems():
        rows.append(
            {
                "name": stem.name,
                "title": stem.title,
                "description": stem.description,
                "group": stem.group,
                "parent": stem.parent,
                "plus": list(stem.plus),
                "minus": list(stem.minus),
                "models": list(makers(stem)),
                "is_available": stem.name in able,
            }
        )
    return rows


def _sets_json() -> list[dict[str, Any]]:
    return [{**asdict(one), "stems": list(one.stems)} for one in catalog.sets()]


def _models_json() -> list[dict[str, Any]]:
    return [
        {
            **_package_json(model),
            "input": model.input,
            "stems": list(model.stems),
            "sample_rate": model.sample_rate,
            "segment_s": model.segment_s,
            "min_memory_mb": model.min_memory_mb,
            "quality": _quality_json(model),
        }
        for model in catalog.models()
    ]


def _quality_json(model: catalog.Model) -> list[dict[str, Any]]:
    found = {
        stem.name: catalog.quality_of(stem.name, model.name)
        for stem in catalog.stems()
        if model.makes(stem)
    }
    return [
        {
            "stem": name,
            "sdr_db": quality.sdr_db,
            "margin_db": quality.margin_db,
            "is_experimental": quality.is_experimental,
            "measurements": [asdict(one) for one in quality.measurements],
        }
        for name, quality in found.items()
        if quality.measurements
    ]


def _tools_json() -> list[dict[str, Any]]:
    return [
        {**_package_json(tool), "task": tool.task, "sample_rate": tool.sample_rate}
        for tool in catalog.tools()
    ]


def _steps_json() -> list[dict[str, Any]]:
    return [
        {
            "name": step.name,
            "title": step.title,
            "description": step.description,
            "tools": [tool.name for tool in step.tools],
            "is_available": step.is_available,
        }
        for step in STEPS
    ]


def _package_json(package: catalog.Package) -> dict[str, Any]:
    state = catalog.availability(package)
    return {
        "name": package.name,
        "title": package.title,
        "status": str(state.status),
        "is_optional": package.is_optional,
        "reason": state.reason,
        "licence": {
            "id": package.licence.id,
            "summary": package.licence.summary,
            "commercial_use": package.licence.commercial_use,
            "declared_in": package.licence.declared_in,
        },
        "sources": [source.label for source in package.sources] or [package.source_label],
    }
