"""What the player shows, and what hands and keys do with it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as configured
from django.core.files.storage import FileSystemStorage
from playwright.sync_api import Page, expect

from tests.fakes import player
from web.static import PageStaticFilesStorage

pytestmark = pytest.mark.django_db(transaction=True)


def _open(page: Page, name: str, query: str = "") -> None:
    page.goto(f"/player/{name}{query}")
    # The sound of the fake is made when it is asked for first.
    expect(page.locator("stem-player[data-ready]")).to_be_visible(timeout=60_000)


def _wait_at(page: Page, seconds: float) -> None:
    page.wait_for_function(
        "(s) => Math.abs(document.querySelector('stem-player').position - s) < 0.001", arg=seconds
    )


def _ask(page: Page, what: str) -> Any:
    return page.evaluate(f"document.querySelector('stem-player').{what}")


def test_its_code_is_small(page: Page, tmp_path: Path):
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    _open(page, "band")
    page.wait_for_load_state("networkidle")
    names = {url.rpartition("/")[2] for url in asked if "/js/player/" in url}
    sizes = _served_sizes(tmp_path)
    # What makes the sound, and all that is only asked for sometimes, comes later.
    assert names < sizes.keys()
    assert sum(sizes[name] for name in names) <= 15_000
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("() => document.querySelector('stem-player').position > 0.1")


def _served_sizes(folder: Path) -> dict[str, int]:
    """Of each file what goes over the wire: compressed, and with the names that it imports."""
    source = FileSystemStorage(Path(configured.BASE_DIR) / "static")
    storage = PageStaticFilesStorage(location=folder, base_url="/static/")
    names = source.listdir("js/player")[1]
    paths = {f"js/player/{name}": (source, f"js/player/{name}") for name in names}
    for path in paths:
        with source.open(path) as file:
            storage.save(path, file)
    made = storage.post_process(paths)
    served = {old: new for old, new, _ in made if new and not new.endswith(".gz")}
    return {Path(path).name: (folder / f"{served[path]}.gz").stat().st_size for path in paths}


@pytest.mark.parametrize("name", ["band", "talk", "meeting"])
def test_it_is_fit_for_everybody(page: Page, check_page: Callable[[Page], None], name: str):
    _open(page, name)
    page.get_by_role("button", name="Loop", exact=True).click()
    if name == "talk":
        page.get_by_role("button", name="Keys").click()
    check_page(page)


def test_all_of_it_by_keyboard(page: Page):
    _open(page, "band")
    position = page.get_by_role("slider", name="Position")
    expect(position).to_have_attribute("aria-valuetext", "0 s")
    for key, seconds in [("l", 10), ("l", 20), ("j", 10), ("ArrowRight", 15), ("ArrowLeft", 10)]:
        page.keyboard.press(key)
        assert _ask(page, "position") == seconds
    page.keyboard.press("Shift+ArrowRight")
    assert _ask(page, "position") == 11
    page.keyboard.press("End")
    expect(position).to_have_attribute("aria-valuetext", "3 min 34 s")
    page.keyboard.press("Home")
    page.keyboard.press("Space")
    page.wait_for_function("() => document.querySelector('stem-player').position > 0.1")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    page.keyboard.press("k")
    expect(page.get_by_role("button", name="Play")).to_be_visible()

    page.keyboard.press("2")
    expect(page.get_by_role("button", name="Mute Drums")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Shift+Digit1")
    page.keyboard.press("Alt+Shift+Digit3")
    for name, state in [("Vocals", "true"), ("Bass", "true"), ("Other", "false")]:
        solo = page.get_by_role("button", name=f"Solo {name}")
        expect(solo).to_have_attribute("aria-pressed", state)
    page.keyboard.press("Shift+Digit1")
    expect(page.get_by_role("button", name="Solo Bass")).to_have_attribute("aria-pressed", "false")

    _ask(page, "seek(20)")
    page.keyboard.press("i")
    _ask(page, "seek(30)")
    page.keyboard.press("o")
    expect(page.get_by_label("Loop start")).to_have_value("0:20.00")
    expect(page.get_by_label("Loop end")).to_have_value("0:30.00")
    # Whoever makes a loop wants to hear it.
    assert _ask(page, "position") == 20
    page.keyboard.press("z")
    assert _ask(page, "timeline.view.span") == pytest.approx(10)
    page.keyboard.press("0")
    page.keyboard.press("+")
    assert _ask(page, "timeline.view.span") == pytest.approx(214.7 / 2)
    page.keyboard.press("-")
    page.keyboard.press("\\")
    expect(page.get_by_label("Loop start")).to_have_value("")
    page.keyboard.press("a")
    original = page.get_by_role("button", name="Original", exact=True)
    expect(original).to_have_attribute("aria-pressed", "true")

    # Not where something is written, and not for those who do not want it.
    page.get_by_label("Loop start").press_sequentially("0kj")
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    page.get_by_label("Loop start").press("Enter")
    expect(page.get_by_label("Loop start")).to_have_attribute("aria-invalid", "true")
    page.get_by_role("button", name="Keys").focus()
    page.keyboard.press("?")
    page.get_by_label("Keys are on").uncheck()
    page.keyboard.press("Escape")
    before = _ask(page, "position")
    page.keyboard.press("l")
    assert _ask(page, "position") == before
    position.focus()
    page.keyboard.press("ArrowRight")
    assert _ask(page, "position") == before + 5


def test_a_pointer_seeks_loops_and_zooms(page: Page):
    _open(page, "band")
    box = page.locator(".sp-wave").nth(1).bounding_box()
    assert box is not None
    per_second = box["width"] / 214.7
    x, y = box["x"], box["y"] + 30
    page.mouse.click(x + 60 * per_second, y)
    assert _ask(page, "position") == pytest.approx(60, abs=0.5)
    page.mouse.move(x + 80 * per_second, y)
    page.mouse.down()
    page.mouse.move(x + 120 * per_second, y, steps=4)
    page.mouse.up()
    assert _ask(page, "loop.start") == pytest.approx(80, abs=0.5)
    assert _ask(page, "loop.end") == pytest.approx(120, abs=0.5)
    assert _ask(page, "position") == pytest.approx(80, abs=0.5)
    ruler = page.locator(".sp-ruler").bounding_box()
    assert ruler is not None
    page.mouse.move(x + 120 * per_second, ruler["y"] + 8)
    page.mouse.down()
    page.mouse.move(x + 150 * per_second, ruler["y"] + 8, steps=4)
    page.mouse.up()
    assert _ask(page, "loop.end") == pytest.approx(150, abs=0.5)
    page.get_by_role("button", name="Zoom to the loop").click()
    assert _ask(page, "timeline.view.span") == pytest.approx(70, abs=1)
    page.mouse.move(x + 100, y)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -200)
    page.keyboard.up("Control")
    assert _ask(page, "timeline.view.span") == pytest.approx(35, abs=1)
    overview = page.locator(".sp-overview").bounding_box()
    assert overview is not None
    page.mouse.click(overview["x"] + overview["width"] / 2, overview["y"] + 10)
    assert _ask(page, "position") == pytest.approx(214.7 / 2, abs=1)
    # The page of the waveform is turned to where it plays.
    assert _ask(page, "timeline.view.start") < 107 < _ask(page, "timeline.view.end")


def test_the_address_remembers(page: Page):
    _open(page, "band", "?page=2")
    page.get_by_role("button", name="Solo Drums").click()
    page.get_by_role("button", name="Mute Bass").click()
    _ask(page, "seek(42.5)")
    _ask(page, "setLoop(40, 50)")
    page.wait_for_url("**/player/band?page=2&solo=drums&mute=bass&t=42.5&loop=40-50")
    page.reload()
    expect(page.locator("stem-player[data-ready]")).to_be_visible()
    pressed = page.get_by_role("button", name="Solo Drums")
    expect(pressed).to_have_attribute("aria-pressed", "true")
    assert _ask(page, "position") == 42.5
    assert _ask(page, "loop.end") == 50


def test_turns_of_speakers_are_gone_through(page: Page):
    _open(page, "talk")
    expect(page.get_by_role("button", name="Next turn")).to_be_visible()
    for key, seconds in [("n", 0.6), ("n", 6.8), ("n", 15.2), ("p", 6.8), ("p", 0.6)]:
        page.keyboard.press(key)
        _wait_at(page, seconds)
    # Of those who are heard.
    page.get_by_role("button", name="Solo Chris").click()
    page.get_by_role("button", name="Next turn").click()
    _wait_at(page, 29.5)


def test_turns_without_tracks_are_shown_beside_the_recording(page: Page):
    _open(page, "meeting")
    rows = page.get_by_role("list", name="Lanes").get_by_role("listitem")
    expect(rows).to_contain_text(["Original", "Anna", "Ben", "Chris"])
    expect(page.get_by_role("button", name="Solo")).to_have_count(1)
    for key, seconds in [("n", 0.6), ("n", 6.8), ("n", 15.2), ("p", 6.8)]:
        page.keyboard.press(key)
        _wait_at(page, seconds)
    # Of Anna's lane, what is drawn lies exactly where she speaks.
    drawn = page.evaluate(
        "() => { const canvas = document.querySelectorAll('.sp-wave canvas')[1];"
        "const { width, height } = canvas;"
        "const row = canvas.getContext('2d').getImageData(0, height / 2, width, 1).data;"
        "return [3.8, 11, 18, 30, 41, 50, 55].map("
        "(s) => row[4 * Math.round((s / 60) * width) + 3] > 0); }"
    )
    assert drawn == [True, False, True, False, True, False, True]
    page.locator(".sp-wave").nth(2).click(position={"x": 2, "y": 10})
    assert _ask(page, "position") < 1


def test_an_hour_opens_like_a_minute_and_needs_no_more_room(page: Page):
    took: dict[str, list[float]] = {"band": [], "hour": []}
    for _ in range(3):
        for name, times in took.items():
            _open(page, name)
            page.wait_for_function("() => document.querySelector('.sp-wave canvas').width > 300")
            times.append(page.evaluate("performance.now()"))
    assert min(took["hour"]) < 2 * min(took["band"])

    player.faults["asked"].clear()
    page.get_by_role("button", name="Play").click()
    counts = []
    for second in (5, 2710, 300, 3595, 1800, 1805):
        _ask(page, f"seek({second})")
        page.wait_for_function(
            "() => { const { engine } = document.querySelector('stem-player');"
            "return engine.playing && !engine.waiting; }"
        )
        page.wait_for_timeout(400)
        counts.append(_ask(page, "engine.segments.count"))
    # The one that plays and two ahead, of four lanes.
    assert max(counts) <= 12
    assert len(player.faults["asked"]) <= 6 * 16
    page.keyboard.press("k")


def test_a_spectrogram_is_drawn_where_it_makes_sense(page: Page):
    _open(page, "hour")
    page.get_by_role("button", name="Spectrogram of Drums").click()
    expect(page.get_by_text("Zoom in to less than 6 min")).to_be_visible()
    _ask(page, "timeline.show(100, 130)")
    expect(page.get_by_text("Zoom in to less than 6 min")).to_be_hidden()
    page.wait_for_function(
        "() => { const canvas = document.querySelectorAll('.sp-wave canvas')[1];"
        "const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;"
        "let n = 0; for (let i = 3; i < data.length; i += 4) if (data[i]) n++;"
        "return n > data.length / 400; }"
    )


def test_what_does_not_arrive_is_said_and_tried_again(page: Page):
    _open(page, "tones")
    player.faults["refuse"] = 10_000
    page.get_by_role("button", name="Play").click()
    notice = page.get_by_role("alert")
    expect(notice).to_contain_text("A part of the sound could not be loaded.")
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    # A few that fail are not even noticed.
    player.faults["refuse"] = 2
    page.get_by_role("button", name="Try again").click()
    page.wait_for_function("() => document.querySelector('stem-player').position > 0.1")
    expect(notice).to_be_hidden()


def test_it_waits_until_it_is_prepared(page: Page):
    player.faults["state"] = "preparing"
    page.goto("/player/tones")
    expect(page.get_by_text("Preparing the player")).to_be_visible()
    expect(page.get_by_role("progressbar")).to_have_attribute("value", "0.43")
    player.faults["state"] = "ready"
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    player.faults["state"] = "failed"
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text("could not be prepared")
    expect(page.get_by_role("button", name="Try again")).to_be_hidden()


def test_without_a_manifest_there_is_something_else_to_hear(page: Page):
    page.route("**/player/tones.json", lambda route: route.abort())
    page.goto("/player/tones")
    expect(page.get_by_role("alert")).to_contain_text("Check your connection")
    expect(page.locator("audio")).to_be_visible()
    page.unroute("**/player/tones.json")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    expect(page.locator("audio")).to_be_hidden()


def test_the_mix_as_it_is_set_is_exported(page: Page):
    _open(page, "tones")
    page.get_by_role("button", name="Mute Drums").click()
    page.get_by_role("slider", name="Volume of Vocals").fill("50")
    page.get_by_role("slider", name="Balance of Bass").fill("-50")
    _ask(page, "setLoop(1, 3)")
    page.get_by_role("button", name="Export mix").click()
    dialog = page.get_by_role("dialog", name="Export mix")
    dialog.get_by_label("Format").select_option("flac")
    dialog.get_by_label("Normalise").check()
    dialog.get_by_role("button", name="Export").click()
    expect(dialog.get_by_role("link", name="Download")).to_have_attribute("href", "/player/mix.wav")
    expect(dialog.get_by_role("status")).to_contain_text("3 samples were cut off")
    assert player.faults["mix"] == {
        "lanes": [
            {"id": "id-vocals", "gain": 0.25, "pan": 0},
            {"id": "id-drums", "gain": 0, "pan": 0},
            {"id": "id-bass", "gain": 1, "pan": -0.5},
        ],
        "master": 1,
        "format": "flac",
        "range": [44_100, 132_300],
        "normalise": True,
    }
