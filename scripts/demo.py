"""Separate one recording through the public API, from an empty workspace to its ledger.

`make demo` calls it after the set-up. It starts the service, is a customer of it, and stops it.
The last line is `DEMO {json}`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tqdm
from _customer import ApiError, Customer
from _service import ROOT, Service, ServiceError

CLIP = ROOT / "demo" / "clip.flac"
TRUE_STEMS = ROOT / "demo" / "stems"
CLIP_STEMS = "vocals,drums,bass,other"
RESULTS = ROOT / "var" / "demo"
# Enough for the clip, and for the longest recording that the service takes.
CREDITS_FOR_CLIP, CREDITS_FOR_ANY = 1000, 30_000
# 80 calls a minute: a key may ask an endpoint 100 times.
POLL_S = 0.75
STALLED_AFTER_S = 900


class DemoError(Exception):
    """The message is the one sentence that the user reads."""


def main() -> int:
    started = time.monotonic()
    report: dict[str, Any] = {}
    status = 1
    # `make` and service managers end with SIGTERM; what we started must end with us.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        audio, stems = _order()
        _demonstrate(audio, stems, report)
        status = 0
    except (DemoError, ServiceError, ApiError) as error:
        print(error, file=sys.stderr)
    except OSError as error:
        print(f"{error.strerror}: {error.filename}.", file=sys.stderr)
    except KeyboardInterrupt:
        print("The demo was interrupted.", file=sys.stderr)
        status = 130
    finally:
        if report:  # There is a job.
            report["seconds"] = round(time.monotonic() - started, 1)
            report["status"] = "failed" if status else report["status"]
            print(f"DEMO {json.dumps(report)}", flush=True)
    return status


def _order() -> tuple[Path, list[str]]:
    """Read what is to be separated from the arguments, or from what `make` passes on."""
    parser = argparse.ArgumentParser(description="Separate one recording through the public API.")
    parser.add_argument("--audio", default=os.environ.get("AUDIO"), help="default: the own clip")
    parser.add_argument("--stems", default=os.environ.get("STEMS"), help="names with commas")
    arguments = parser.parse_args()
    audio = Path(arguments.audio).expanduser().resolve() if arguments.audio else CLIP
    if not audio.is_file():
        raise DemoError(f"There is no file {audio}: name a recording with `make demo AUDIO=file`.")
    if audio.is_relative_to(RESULTS):
        raise DemoError(f"Each demo empties {RESULTS}: move {audio.name} out of it first.")
    stems = [stem.strip() for stem in (arguments.stems or CLIP_STEMS).split(",") if stem.strip()]
    if not stems:
        raise DemoError("Name at least one stem: `make demo STEMS=vocals,drums`.")
    return audio, stems


def _demonstrate(audio: Path, stems: list[str], report: dict[str, Any]) -> None:
    shutil.rmtree(RESULTS, ignore_errors=True)
    RESULTS.mkdir(parents=True)
    with Service() as service:
        key = service.workspace_create(
            name="Demo", credits=CREDITS_FOR_CLIP if audio == CLIP else CREDITS_FOR_ANY
        )
        say("service", f"{service.url}, log {service.log.relative_to(ROOT)}")
        with Customer(service.url, key) as customer:
            _separate(customer, audio, stems, report, check_service=service.check)


def _separate(
    customer: Customer,
    audio: Path,
    stems: list[str],
    report: dict[str, Any],
    *,
    check_service: Callable[[], None],
) -> None:
    asset = customer.upload(audio)
    say(
        "recording",
        f"{audio.name}: {asset['duration_s']:.2f} s, {asset['sample_rate']} Hz, "
        f"{asset['channels']} channel(s)",
    )
    order = {"asset": asset["id"], "service": "separation", "stems": stems, "format": "wav"}
    quote = customer.post("/v1/jobs/estimate", order)
    say("estimate", f"{quote['credits']} credits, model {quote['model']}")
    say("licence", _licence(customer, quote["model"]))
    job = customer.post("/v1/jobs", order)
    report |= {"status": job["status"], "job": job["id"], "stems": {}, "credits_charged": 0}
    try:
        job = _wait(customer, job, check_service)
    except BaseException:
        # Else the worker of the next start would take it up again.
        customer.cancel_quietly(job["id"])
        raise
    report |= {"status": job["status"], "credits_charged": _credits(job["charged_mcr"])}
    if job["status"] != "succeeded":
        error = job.get("error") or {}
        raise DemoError(f"The job {job['status']}: {error.get('message', 'no reason was given')}")
    for output in job["outputs"]:
        path = RESULTS / f"{output['stem']}.wav"
        customer.download(output, path)
        report["stems"][output["stem"]] = str(path)
        say("stem", str(path.relative_to(ROOT)))
    missing = set(stems) - set(report["stems"])
    if missing:
        raise DemoError(f"The job made no {', '.join(sorted(missing))}.")
    _check_charge(customer, asset, quote, job)
    if audio == CLIP:
        report["sdr_db"] = _measure(report["stems"])


def _wait(
    customer: Customer, job: dict[str, Any], check_service: Callable[[], None]
) -> dict[str, Any]:
    """Follow the job to its end, with a bar on a terminal and plain lines elsewhere."""
    shown, moved_at = -1, time.monotonic()
    is_terminal = sys.stderr.isatty()
    with tqdm.tqdm(
        total=100, unit="%", disable=not is_terminal, leave=False, bar_format="{l_bar}{bar}"
    ) as bar:
        while job["status"] not in ("succeeded", "failed", "cancelled"):
            time.sleep(POLL_S)
            check_service()
            job = customer.get(f"/v1/jobs/{job['id']}")
            percent = int(100 * job["progress"])
            if percent == shown:
                if time.monotonic() - moved_at > STALLED_AFTER_S:
                    raise DemoError(f"The job has not moved for {STALLED_AFTER_S} s.")
                continue
            if not is_terminal and percent // 10 != shown // 10:
                say("progress", f"{job['status']}, {percent} %")
            shown, moved_at = percent, time.monotonic()
            bar.set_description(job["status"], refresh=False)
            bar.n = percent
            bar.refresh()
    return job


def _licence(customer: Customer, model: str) -> str:
    entry = next(m for m in customer.get("/v1/catalog")["models"] if m["name"] == model)
    return f"{model}: {entry['licence_summary']} ({entry['licence']})"


def _check_charge(
    customer: Customer, asset: dict[str, Any], quote: dict[str, Any], job: dict[str, Any]
) -> None:
    """The charge must be the estimate, the price of the duration, and what the ledger says."""
    prices = customer.get("/v1/catalog")["prices"]
    rate_mcr = next(
        price["amount_mcr"]
        for price in prices
        if (price["service"], price["unit"]) == ("separation", "per_second")
    )
    # Rounded up to a whole milli-credit.
    expected_mcr = -(-rate_mcr * asset["n_samples"] // asset["sample_rate"])
    entries = customer.ledger()
    print(f"{'time':<20}{'kind':<10}{'credits':>12}{'balance':>12}  job")
    for entry in entries:
        print(
            f"{entry['created_at'][:19]:<20}{entry['kind']:<10}{entry['amount_mcr'] / 1000:>12.3f}"
            f"{entry['balance_mcr'] / 1000:>12.3f}  {entry['job'] or '-'}"
        )
    of_job_mcr = -sum(entry["amount_mcr"] for entry in entries if entry["job"] == job["id"])
    charges = {
        "the price of the duration": expected_mcr,
        "the estimate": quote["credits_mcr"],
        "the job's charge": job["charged_mcr"],
        "the ledger": of_job_mcr,
    }
    if len(set(charges.values())) != 1:
        differing = ", ".join(f"{what} {mcr} mcr" for what, mcr in charges.items())
        raise DemoError(f"The charge is wrong: {differing}.")
    say("charged", f"{_credits(expected_mcr)} credits, the price of the duration")


def _measure(stems: dict[str, str]) -> dict[str, float]:
    """Compare the stems of the own clip with the true ones."""
    import soundfile

    sys.path.insert(0, str(ROOT))
    from separation.quality import sdr_db

    measured = {}
    for name, path in stems.items():
        truth = TRUE_STEMS / f"{name}.flac"
        if truth.is_file():
            reference, _ = soundfile.read(truth, dtype="float32", always_2d=True)
            estimate, _ = soundfile.read(path, dtype="float32", always_2d=True)
            measured[name] = round(float(sdr_db(reference.T, estimate.T)), 2)
            say("quality", f"{name}: {measured[name]:.2f} dB SDR")
    return measured


def _credits(amount_mcr: int) -> float:
    return amount_mcr / 1000


def say(what: str, text: str) -> None:
    print(f"{what:<11}{text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
