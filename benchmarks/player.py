"""What the player needs in a real Chromium: `python -m benchmarks.player`.

An hour of four stems is opened, played and jumped about in, from a server in this process. Told are
the time until it can be played (beside a page with nothing in it), from a click to the sound, one
drawing of everything, the segments decoded at a time, and the memory of the page's processes: as it
is before anything is played, while it plays on, and after jumps.
"""

import json
import os
import shutil
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ.setdefault("STEMWRIGHT_LOG_LEVEL", "ERROR")
django.setup()

import psutil  # noqa: E402
from django.conf import settings  # noqa: E402
from django.contrib.staticfiles.handlers import StaticFilesHandler  # noqa: E402
from django.core.handlers.wsgi import WSGIHandler  # noqa: E402
from playwright.sync_api import Page, sync_playwright  # noqa: E402

_CHROMIUM = os.environ.get("STEMWRIGHT_CHROMIUM") or shutil.which("chromium")
_ROUNDS = 5
_PLAYED_S = 48
_JUMPS_S = (2710, 300, 3590, 1800, 900, 2400)
_READY = "() => document.querySelector('.sp-wave canvas')?.width > 300"
_HEARD = """(from) => {
  const { engine } = document.querySelector("stem-player");
  return engine.playing && !engine.waiting && engine.position / 44100 > from;
}"""
_DRAW = """() => {
  const { timeline } = document.querySelector("stem-player");
  const began = performance.now();
  for (let n = 0; n < 100; n++) timeline.drawNow();
  return (performance.now() - began) / 100;
}"""


def main() -> None:
    settings.ROOT_URLCONF = "tests.fakes.player_urls"
    plain = "django.contrib.staticfiles.storage.StaticFilesStorage"
    settings.STORAGES = {**settings.STORAGES, "staticfiles": {"BACKEND": plain}}
    with _served() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(base_url=url)
        # The sound is made when it is asked for first.
        page.goto("/player/hour")
        page.wait_for_function(_READY, timeout=120_000)
        result: dict[str, Any] = {
            "empty_page_s": _opened_s(page, "/player/empty", "() => true"),
            "hour_ready_s": _opened_s(page, "/player/hour", _READY),
            "draw_ms": round(page.evaluate(_DRAW), 2),
        }
        page.close()
        # With nothing left over from what was opened before.
        page = browser.new_context(base_url=url).new_page()
        page.goto("/player/hour")
        page.wait_for_function(_READY)
        result |= _played(page)
        browser.close()
    sys.stdout.write(json.dumps(result) + "\n")


def _opened_s(page: Page, path: str, is_ready: str) -> float:
    times = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        page.goto(path)
        page.wait_for_function(is_ready)
        times.append(time.perf_counter() - began)
    return round(statistics.median(times), 3)


def _played(page: Page) -> dict[str, Any]:
    result: dict[str, Any] = {"memory_before_mb": _memory_mb()}
    began = time.perf_counter()
    page.get_by_role("button", name="Play").click()
    page.wait_for_function(_HEARD, arg=0, polling=10)
    result["click_to_sound_s"] = round(time.perf_counter() - began, 3)
    playing = []
    for _ in range(_PLAYED_S // 4):
        page.wait_for_timeout(4000)
        playing.append(_memory_mb())
    jumps, segments, memory = [], [], []
    for second in _JUMPS_S:
        began = time.perf_counter()
        page.evaluate(f"document.querySelector('stem-player').seek({second})")
        page.wait_for_function(_HEARD, arg=second, polling=10)
        jumps.append(time.perf_counter() - began)
        page.wait_for_timeout(4000)
        segments.append(
            page.evaluate("document.querySelector('stem-player').engine.segments.count")
        )
        memory.append(_memory_mb())
    result["jump_s"] = round(statistics.median(jumps), 3)
    result["most_segments"] = max(segments)
    result["memory_playing_mb"] = max(playing)
    result["memory_jumping_mb"] = max(memory)
    result["underruns"] = page.evaluate("document.querySelector('stem-player').engine.underruns")
    return result


def _memory_mb() -> int:
    """What the process of the page and the one that plays hold for themselves."""
    page, sound = 0, 0
    for process in psutil.Process().children(recursive=True):
        parts = process.cmdline()
        if "--type=renderer" in parts:
            # Another one is kept ready for the next page.
            page = max(page, process.memory_full_info().uss)
        elif any("audio.mojom" in part for part in parts):
            sound += process.memory_full_info().uss
    return round((page + sound) / 1e6)


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def _served() -> Iterator[str]:
    application = StaticFilesHandler(WSGIHandler())
    with make_server(
        "127.0.0.1", 0, application, server_class=WSGIServer, handler_class=_Quiet
    ) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


if __name__ == "__main__":
    main()
