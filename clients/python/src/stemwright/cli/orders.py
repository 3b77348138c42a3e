"""Commands that order a job, wait for it and fetch what it made."""

from __future__ import annotations

import argparse
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stemwright.cli.screen import Screen, plain
from stemwright.client import Client
from stemwright.models import Asset, Job, Order, Output, SpeakerOptions

TIMELINES = ("rttm", "json", "csv", "vtt", "labels")
_ID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


def add_commands(commands: Any, common: argparse.ArgumentParser) -> None:
    ordering = argparse.ArgumentParser(add_help=False, parents=[common])
    ordering.add_argument(
        "source",
        metavar="FILE|URL|ID",
        help="a recording; https://… is fetched; the id of what is there, also of an output",
    )
    ordering.add_argument(
        "-o", "--output", metavar="DIR", default=".", help="for what is made (here)"
    )
    ordering.add_argument("--model", help="of `stemwright catalog`; chosen if left out")
    ordering.add_argument(
        "--format", metavar="A,B", help="wav (if left out), flac, mp3, wav24, …; one or several"
    )
    ordering.add_argument("--start", type=float, metavar="SECONDS", help="only from here on")
    ordering.add_argument("--end", type=float, metavar="SECONDS", help="only up to here")
    ordering.add_argument(
        "--preview", action="store_true", help="only some seconds from --start; goes first"
    )
    ordering.add_argument(
        "--estimate", action="store_true", help="upload, say what it would cost, and stop"
    )
    ordering.add_argument(
        "--idempotency-key",
        metavar="KEY",
        help="the same order again under the same key is charged once",
    )
    add_timeout(ordering)

    separate = commands.add_parser(
        "separate", parents=[ordering], help="take music apart into stems"
    )
    separate.add_argument(
        "--stems", metavar="A,B", help="such as vocals,drums; all of the model if left out"
    )
    separate.add_argument(
        "--steps", metavar="A,B", help="what is done to the recording before, such as denoise"
    )
    separate.set_defaults(run=_separate)

    enhance = commands.add_parser("enhance", parents=[ordering], help="clean a recording")
    enhance.add_argument("--steps", metavar="A,B", required=True, help="such as denoise")
    enhance.set_defaults(run=_of_service("enhancement"))
    for name, service, text in (
        ("convert", "conversion", "a recording in other formats"),
        ("analyse", "analysis", "tempo and key"),
        ("transcribe", "transcription", "the notes, as a MIDI file"),
    ):
        command = commands.add_parser(name, parents=[ordering], help=text)
        command.set_defaults(run=_of_service(service))

    speakers = commands.add_parser(
        "speakers", parents=[ordering], help="take a conversation apart into its speakers"
    )
    for name in ("num", "min", "max"):
        speakers.add_argument(f"--{name}-speakers", type=int, metavar="N")
    speakers.add_argument("--pauses", choices=["keep", "close"])
    speakers.add_argument("--loudness", type=float, metavar="LUFS")
    speakers.add_argument("--denoise", action="store_const", const=True)
    speakers.add_argument("--overlap", choices=["both", "separate", "mute"])
    speakers.add_argument("--no-clips", dest="clips", action="store_const", const=False)
    speakers.add_argument(
        "--timeline",
        metavar="A,B",
        type=_timelines,
        default=["rttm"],
        help=f"who speaks when, as {', '.join(TIMELINES)} (rttm)",
    )
    speakers.set_defaults(run=_speakers)

    upload = commands.add_parser("upload", parents=[common], help="bring in a recording")
    upload.add_argument("source", metavar="FILE|URL")
    upload.set_defaults(run=_upload)


def add_timeout(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--timeout", type=float, metavar="SECONDS", help="wait no longer; the job goes on"
    )


def words(text: str | None) -> list[str]:
    return [word.strip() for word in (text or "").split(",") if word.strip()]


def _timelines(text: str) -> list[str]:
    if unknown := set(words(text)) - set(TIMELINES):
        raise argparse.ArgumentTypeError(f"there is no {', '.join(sorted(unknown))}")
    return words(text)


def _separate(client: Client, options: argparse.Namespace, screen: Screen) -> Any:
    order = Order(service="separation")
    if stems := words(options.stems):
        order["stems"] = stems
    return _ordered(client, options, screen, order)


def _of_service(service: str) -> Callable[[Client, argparse.Namespace, Screen], Any]:
    """A command that orders a service with nothing of its own."""

    def run(client: Client, options: argparse.Namespace, screen: Screen) -> Any:
        return _ordered(client, options, screen, Order(service=service))

    return run


def _speakers(client: Client, options: argparse.Namespace, screen: Screen) -> Any:
    names = ["num_speakers", "min_speakers", "max_speakers"]
    names += ["pauses", "loudness", "denoise", "overlap", "clips"]
    given = {name: getattr(options, name) for name in names}
    chosen = SpeakerOptions(**{name: one for name, one in given.items() if one is not None})  # type: ignore[typeddict-item]
    order = Order(service="speaker_extraction", options=chosen)
    result = _ordered(client, options, screen, order)
    if options.estimate:
        return result
    result["timelines"] = {}
    for name in options.timeline:
        path = client.speakers.save_timeline(result["job"], options.output, format=name)
        result["timelines"][name] = str(path)
        if not options.json:
            print(plain(str(path)))
    return result


def _upload(client: Client, options: argparse.Namespace, screen: Screen) -> Any:
    asset = _bring_in(client, options.source, screen)
    if not options.json:
        print(asset.id)
    return {"asset": asset.id, "filename": asset.filename, "duration_s": asset.duration_s}


def _ordered(
    client: Client, options: argparse.Namespace, screen: Screen, order: Order
) -> dict[str, Any]:
    order["asset"] = _asset_id(client, options.source, screen)
    _add_common(order, options)
    if options.estimate:
        return _estimated(client, options, order)
    job = client.jobs.create(idempotency_key=options.idempotency_key, **order)
    screen.say(f"Job {job.id} ({job.price_mcr / 1000:g} credits)")
    return waited(client, job.id, options, screen)


def _add_common(order: Order, options: argparse.Namespace) -> None:
    """What is left out is not sent: an older service knows less."""
    if options.model:
        order["model"] = options.model
    formats = words(options.format)
    if len(formats) == 1:
        order["format"] = formats[0]
    elif formats:
        order["formats"] = formats
    if options.start is not None:
        order["start_s"] = options.start
    if options.end is not None:
        order["end_s"] = options.end
    if options.preview:
        order["preview"] = True
    if steps := words(getattr(options, "steps", None)):
        order["steps"] = steps


def _estimated(client: Client, options: argparse.Namespace, order: Order) -> dict[str, Any]:
    quote = client.jobs.estimate(**order)
    if not options.json:
        print(f"{quote.credits} credits")
    return {"asset": quote.asset, "credits": quote.credits, "credits_mcr": quote.credits_mcr}


def waited(
    client: Client, job_id: str, options: argparse.Namespace, screen: Screen
) -> dict[str, Any]:
    """Wait for a job, and fetch its files."""
    screen.hint = f"The job goes on: stemwright job wait {job_id} -o {options.output}"

    def report(job: Job) -> None:
        screen.progress(f"{job.status}{f', {job.step}' if job.step else ''}", job.progress, 1.0)

    job = client.jobs.wait(job_id, timeout_s=options.timeout, on_progress=report)
    return fetched(client, job, options, screen)


def fetched(
    client: Client, job: Job, options: argparse.Namespace, screen: Screen
) -> dict[str, Any]:
    screen.hint = f"Go on with: stemwright job download {job.id} -o {options.output}"

    def report(output: Output, done: int, total: int) -> None:
        screen.progress(output.filename, done, total, is_bytes=True)

    paths = client.jobs.download(job, options.output, on_progress=report)
    screen.hint = ""
    screen.say(f"Charged {job.credits_charged} credits")
    if not options.json:
        for path in paths.values():
            print(plain(str(path)))
        if job.result:
            print(json.dumps(job.result, ensure_ascii=False))
    files = [
        {"stem": one.stem, "kind": one.kind, "format": one.format, "path": str(paths[one.id])}
        for one in job.outputs
    ]
    return {
        "job": job.id,
        "status": job.status,
        "model": job.model,
        "credits_charged": job.credits_charged,
        "charged_mcr": job.charged_mcr,
        "files": files,
        **({"result": job.result} if job.result else {}),
    }


def _asset_id(client: Client, source: str, screen: Screen) -> str:
    if re.fullmatch(_ID, source) and not os.path.exists(source):
        return source
    return _bring_in(client, source, screen).id


def _bring_in(client: Client, source: str, screen: Screen) -> Asset:
    if source.startswith(("https://", "http://")):
        screen.say("Fetching the recording")
        return client.imports.wait(client.imports.create(source).id)
    screen.hint = "The same command again goes on where the upload stopped."
    name = Path(source).name

    def report(done: int, total: int) -> None:
        screen.progress(f"upload {name}", done, total, is_bytes=True)

    asset = client.assets.upload(source, on_progress=report, resume_dir=resume_dir())
    screen.hint = ""
    return asset


def resume_dir() -> Path:
    """Where uploads that are under way are remembered."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "stemwright-client" / "uploads"
