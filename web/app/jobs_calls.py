"""The call of the API that orders the same as a job, in several languages."""

import json
import shlex
from dataclasses import dataclass
from pprint import pformat
from typing import Any

from jobs.models import OF_SPEAKERS, Job


@dataclass(frozen=True)
class Call:
    name: str
    title: str
    code: str


def calls_of(job: Job, *, site: str) -> list[Call]:
    """Empty for a merge of speakers, which is ordered otherwise."""
    if job.source_job_id is not None:
        return []
    body = _body(job)
    return [
        Call("curl", "curl", _curl(site, body)),
        Call("python", "Python", _python(site, body)),
        Call("javascript", "JavaScript", _javascript(site, body)),
    ]


def _body(job: Job) -> dict[str, Any]:
    """Only what is not as it would be anyway."""
    body: dict[str, Any] = {"service": job.service}
    if job.asset is not None:
        body = {"asset": str(job.asset.uuid), **body}
    elif job.ingest is not None:
        body = {"url": job.ingest.url, **body}
    if job.stems:
        body |= {"stems": job.stems, "model": job.model}
    if job.steps:
        body["steps"] = job.steps
    if job.more_formats:
        body["formats"] = [job.output_format, *job.more_formats]
    else:
        body["format"] = job.output_format
    if job.range_start is not None and job.range_end is not None:
        rate = job.recording.sample_rate
        body |= {"start_s": job.range_start / rate, "end_s": job.range_end / rate}
    if job.service in OF_SPEAKERS:
        body["options"] = {name: one for name, one in job.options.items() if one is not None}
    return body


def _curl(site: str, body: dict[str, Any]) -> str:
    return (
        f"curl {site}/v1/jobs \\\n"
        '  -H "X-API-Key: $STEMWRIGHT_KEY" \\\n'
        '  -H "Content-Type: application/json" \\\n'
        f"  -d {shlex.quote(json.dumps(body, ensure_ascii=False, indent=2))}"
    )


def _python(site: str, body: dict[str, Any]) -> str:
    values = "".join(f"        {name}={pformat(one)},\n" for name, one in body.items())
    return (
        "import os\n"
        "\n"
        "from stemwright import Client\n"
        "\n"
        f'with Client(os.environ["STEMWRIGHT_KEY"], "{site}") as client:\n'
        f"    job = client.jobs.create(\n{values}    )\n"
        "    job = client.jobs.wait(job.id)\n"
        '    client.jobs.download(job, "out")'
    )


def _javascript(site: str, body: dict[str, Any]) -> str:
    text = json.dumps(body, ensure_ascii=False, indent=2).replace("\n", "\n  ")
    return (
        f'const answer = await fetch("{site}/v1/jobs", {{\n'
        '  method: "POST",\n'
        "  headers: {\n"
        '    "X-API-Key": process.env.STEMWRIGHT_KEY,\n'
        '    "Content-Type": "application/json",\n'
        "  },\n"
        f"  body: JSON.stringify({text}),\n"
        "});\n"
        "const job = await answer.json();"
    )
