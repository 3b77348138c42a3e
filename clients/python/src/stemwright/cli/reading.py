"""Commands about what is there: jobs, credits, the catalogue."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

from stemwright._reading import to_json
from stemwright.cli.orders import add_timeout, fetched, waited
from stemwright.cli.screen import Screen, plain
from stemwright.client import Client
from stemwright.models import Job, Usage


def add_commands(commands: Any, common: argparse.ArgumentParser) -> None:
    jobs = commands.add_parser("jobs", parents=[common], help="list jobs, newest first")
    jobs.add_argument("--limit", type=_count, default=20, metavar="N", help="at most (20)")
    jobs.add_argument("--status", help="only queued, running, succeeded, failed, cancelled, …")
    jobs.add_argument("--service", help="only of a service of the catalogue")
    jobs.set_defaults(run=_jobs)

    job = commands.add_parser("job", help="show a job, wait for it, fetch its files, end it")
    actions = job.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, run, text in (
        ("show", _show, "what has become of it"),
        ("wait", _wait, "until it has ended, and fetch its files"),
        ("download", _download, "fetch its files, or the rest of them"),
        ("cancel", _cancel, "stop it; nothing is charged"),
        ("retry", _retry, "order one that failed or was cancelled anew"),
        ("delete", _delete, "delete it and all that it made"),
    ):
        action = actions.add_parser(name, parents=[common], help=text)
        action.add_argument("job", metavar="ID")
        action.set_defaults(run=run)
        if name in ("wait", "download"):
            action.add_argument("-o", "--output", metavar="DIR", default=".", help="(here)")
        if name == "wait":
            add_timeout(action)
        if name == "download":
            action.add_argument("--zip", action="store_true", help="all of them as one zip")

    credits = commands.add_parser("credits", parents=[common], help="the balance")
    credits.add_argument(
        "--ledger", type=_count, metavar="N", help="also the latest N changes of it"
    )
    credits.set_defaults(run=_credits)

    usage = commands.add_parser("usage", parents=[common], help="what was worked and paid for")
    usage.add_argument("--by", choices=["day", "service", "key"], default="day", help="(day)")
    usage.add_argument("--from", dest="first", type=date.fromisoformat, metavar="YYYY-MM-DD")
    usage.add_argument("--to", dest="last", type=date.fromisoformat, metavar="YYYY-MM-DD")
    usage.set_defaults(run=_usage)

    catalog = commands.add_parser("catalog", parents=[common], help="services, stems, models")
    catalog.set_defaults(run=_catalog)


def _jobs(client: Client, options: argparse.Namespace, screen: Screen) -> Any:
    wanted = {"status": options.status, "service": options.service}
    jobs = list(client.jobs.list(limit=options.limit, **wanted))
    if not options.json:
        rows = [_row(job) for job in jobs]
        _table(["job", "created", "status", "service", "what", "credits"], rows)
    return {"jobs": to_json(jobs)}


def _row(job: Job) -> list[str]:
    what = ",".join(job.stems) or job.model
    status = job.status if job.has_ended else f"{job.status} {job.progress:.0%}"
    created = f"{job.created_at:%Y-%m-%d %H:%M}"
    return [job.id, created, status, job.service, what, job.credits_charged]


def _show(client: Client, options: argparse.Namespace, screen: Screen) -> Any:
    job = client.jobs.get(options.job)
    if not options.json:
        _table(["job", "created", "status", "service", "what", "credits"], [_row(job)])
        if job.error:
            print(plain(f"{job.error.message} ({job.error.code})"))
        if job.outputs:
            print()
            files = [[one.kind, one.stem, one.filename, str(one.size_bytes)] for one in job.outputs]
            _table(["kind", "stem", "file", "bytes"], files)
    return {"job": to_json(job)}


def _wait(client: Client, options: argparse.Namespace, screen: Screen) -> Any:
    return waited(client, options.job, options, screen)


def _download(client: Client, options: argparse.Namespace, screen: Screen) -> Any:
    if not options.zip:
        return fetched(client, client.jobs.get(options.job), options, screen)

    def report(done: int, total: int) -> None:
        screen.progress("download", done, total, is_bytes=True)

    path = client.jobs.download_archive(options.job, options.output, on_progress=report)
    if not options.json:
        print(plain(str(path)))
    return {"job": options.job, "path": str(path)}


def _cancel(client: Client, options: argparse.Namespace, screen: Screen) -> Any:
    job = client.jobs.cancel(options.job)
    if not options.json:
        print(job.status if job.has_ended else "ends after the segment at hand")
    return {"job": to_json(job)}


def _retry(client: Client, options: argparse.Namespace, screen: Screen) -> Any:
    job = client.jobs.retry(options.job)
    if not options.json:
        print(job.id)
    return {"job": to_json(job)}


def _delete(client: Client, options: argparse.Namespace, screen: Screen) -> Any:
    client.jobs.delete(options.job)
    return {"deleted": options.job}


def _credits(client: Client, options: argparse.Namespace, screen: Screen) -> Any:
    credits = client.credits()
    entries = list(client.ledger(limit=options.ledger)) if options.ledger else []
    if not options.json:
        held = f" ({credits.held_mcr / 1000:g} held)" if credits.held_mcr else ""
        print(f"{credits.credits} credits{held}")
        if entries:
            rows = [
                [f"{one.created_at:%Y-%m-%d %H:%M}", one.kind, one.credits, one.job or one.reason]
                for one in entries
            ]
            _table(["when", "kind", "credits", "of"], rows)
    ledger = {"ledger": to_json(entries)} if options.ledger else {}
    return {**to_json(credits), **ledger}


def _usage(client: Client, options: argparse.Namespace, screen: Screen) -> Any:
    report = client.usage(group_by=options.by, first=options.first, last=options.last)
    if not options.json:
        rows = [
            [str(one.day or one.service or one.key_name or one.key or "no key"), *_sums(one)]
            for one in report.groups
        ]
        _table([options.by, "jobs", "minutes", "credits"], [*rows, ["total", *_sums(report.total)]])
    return to_json(report)


def _sums(usage: Usage) -> list[str]:
    return [str(usage.jobs), f"{usage.audio_s / 60:.1f}", usage.credits_charged]


def _catalog(client: Client, options: argparse.Namespace, screen: Screen) -> Any:
    catalog = client.catalog()
    if not options.json:
        for title, offers in (
            ("service", catalog.services),
            ("step", catalog.steps),
            ("stem", catalog.stems),
            ("model", catalog.models),
            ("tool", catalog.tools),
        ):
            rows = [[one.name, "yes" if one.available else "no", one.title] for one in offers]
            _table([title, "available", ""], rows)
            print()
        prices = [
            [one.service, f"{one.amount_mcr / 1000 / one.quantity:g}", one.unit]
            for one in catalog.prices
        ]
        _table(["price of", "credits", "unit"], prices)
    return to_json(catalog)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    table = [list(heads), *([plain(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(heads))]
    for row in table:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        print("  ".join(cells).rstrip())


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number
