"""What is heard, taken from where the lanes meet."""

from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.browser.audio import find, forget, hear, lag, loudness, record, take
from tests.fakes import player

pytestmark = pytest.mark.django_db(transaction=True)

_NOISE: list[str | None] = ["id-vocals", "id-drums", "id-bass", "id-other"]
_LSB = 1 / 32768
_RATE = 44_100
# A ramp of 8 ms, and what is on its way.
_SETTLED_S = 0.2


def _open(page: Page, name: str, ids: list[str | None]) -> None:
    """Ready to be recorded: it has begun to play, and stands still."""
    page.goto(f"/player/{name}")
    page.get_by_role("button", name="Play").click()
    _wait_until_heard(page)
    record(page, ids)


def _wait_until_heard(page: Page, from_s: float = 0) -> None:
    """A little longer than the ramps at the start."""
    page.wait_for_function(
        "(from) => { const player = document.querySelector('stem-player');"
        "return player.engine.playing && !player.engine.waiting && player.position > from; }",
        arg=from_s + 0.2,
    )


def _jump(page: Page, to_s: float) -> None:
    _ask(page, f"seek({to_s})")
    _wait_until_heard(page, to_s)


def _ask(page: Page, what: str) -> Any:
    return page.evaluate(f"document.querySelector('stem-player').{what}")


def test_lanes_line_up_to_the_sample(page: Page):
    _open(page, "noise", _NOISE)
    sounds = [hear(page, 4, 1.0)]
    _jump(page, 27.3)
    sounds.append(hear(page, 4, 1.0))
    # One is away for a while, and comes back to where the others are.
    page.get_by_role("button", name="Mute Bass").click()
    page.wait_for_timeout(300)
    assert loudness(take(page, 4)[:, :, -4410:])[2] == 0
    page.get_by_role("button", name="Mute Bass").click()
    page.wait_for_timeout(300)
    sounds.append(hear(page, 4, 1.0))
    page.keyboard.press("k")
    page.keyboard.press("k")
    _wait_until_heard(page, _ask(page, "position"))
    sounds.append(hear(page, 4, 1.0))

    for sound in sounds:
        assert min(loudness(sound)) > 0.1
        for lane in sound[1:]:
            assert lag(sound[0, 0], lane[0]) == 0
            assert np.abs(lane - sound[0]).max() == 0


def test_joins_are_inaudible(page: Page):
    _open(page, "noise", ["id-vocals", "id-other"])
    # Two joins: at 10 s, and at 20 s after a jump.
    for join_s in (10, 20):
        _jump(page, join_s - 1)
        sound = hear(page, 2, 2.0)
        first = (join_s - 2) * _RATE
        expected = player.samples("noise", "vocals", first, 6 * _RATE).T.astype(np.float32) * _LSB
        at = find(sound[0, 0], expected[0])
        assert first + at < join_s * _RATE < first + at + sound.shape[2]
        for lane in sound:
            assert np.abs(lane - expected[:, at : at + sound.shape[2]]).max() < 2 * _LSB
    assert _ask(page, "engine.underruns") == 0


def test_passes_of_a_loop_are_the_same(page: Page):
    _open(page, "noise", ["id-vocals"])
    # Over a join, of a length that is no whole number of blocks.
    page.get_by_label("Loop start").fill("0:09.5")
    page.get_by_label("Loop start").press("Enter")
    page.get_by_label("Loop end").fill("10.37")
    page.get_by_label("Loop end").press("Enter")
    _jump(page, 9.6)
    sound = hear(page, 1, 4.0)[0]
    period = round(10.37 * _RATE) - round(9.5 * _RATE)
    first = sound[:, :period]
    assert loudness(sound[None])[0] > 0.1
    for start in (period, 2 * period, 3 * period):
        # Clocks count in seconds: rounding them moves a piece by some 1e-10 of a sample.
        assert np.abs(sound[:, start : start + period] - first).max() < _LSB / 1000
    # Without a gap it goes on when the loop is let go.
    forget(page)
    page.get_by_role("button", name="Clear the loop").click()
    page.wait_for_timeout(1500)
    sound = take(page, 1)[0]
    assert loudness(sound[None, :, -_RATE // 2 :])[0] > 0.1
    quiet = np.abs(sound[0]).reshape(-1, 128).max(axis=1) < 0.01
    assert not quiet.any()
    assert _ask(page, "engine.underruns") == 0


def test_the_mix_is_what_the_controls_say(page: Page):
    ids: list[str | None] = ["id-vocals", "id-drums", "id-bass", None]
    _open(page, "tones", ids)
    full = loudness(hear(page, 4, 0.4))
    assert full[:3] == pytest.approx([0.4 / 2**0.5] * 3, rel=0.01)
    assert full[3] == pytest.approx(0.4 / 2**0.5 * 3**0.5, rel=0.02)

    def heard() -> list[float]:
        page.wait_for_timeout(int(_SETTLED_S * 1000))
        return loudness(hear(page, 4, 0.4))

    drums = page.get_by_role("button", name="Solo Drums")
    drums.click()
    expect(drums).to_have_attribute("aria-pressed", "true")
    assert heard() == pytest.approx([0, full[1], 0, full[1]], rel=0.01, abs=1e-6)
    page.get_by_role("button", name="Solo Bass").click(modifiers=["Shift"])
    assert heard()[:3] == pytest.approx([0, full[1], full[2]], rel=0.01, abs=1e-6)
    page.get_by_role("button", name="Solo Bass").click()
    assert heard()[:3] == pytest.approx([0, 0, full[2]], rel=0.01, abs=1e-6)
    page.get_by_role("button", name="Solo Bass").click()
    page.get_by_role("button", name="Mute Vocals").click()
    assert heard()[:3] == pytest.approx([0, full[1], full[2]], rel=0.01, abs=1e-6)
    page.get_by_role("button", name="Mute Vocals").click()

    # Half the slider is a quarter of the amplitude.
    page.get_by_role("slider", name="Volume of Vocals").fill("50")
    assert heard()[0] == pytest.approx(full[0] / 4, rel=0.01)
    page.get_by_role("slider", name="Volume of Vocals").fill("0")
    assert heard()[0] == pytest.approx(0, abs=1e-6)
    page.get_by_role("slider", name="Balance of Drums").fill("-100")
    page.get_by_role("slider", name="Master volume").fill("50")
    page.wait_for_timeout(int(_SETTLED_S * 1000))
    sound = hear(page, 4, 0.4)
    left, right = loudness(sound[1][:, None])
    assert left > full[1]
    assert right == pytest.approx(0, abs=1e-6)
    assert loudness(sound[2:3])[0] == pytest.approx(full[2], rel=0.01)
    assert loudness(sound[3:])[0] < full[3] / 2


def test_the_original_comes_and_goes_without_a_gap(page: Page):
    _open(page, "tones", [None])
    page.get_by_role("button", name="Original", exact=True).click()
    page.wait_for_function(
        "() => document.querySelector('stem-player').engine.both?.gain.value === 1"
    )
    page.wait_for_timeout(300)
    sound = hear(page, 1, 0.5)[0, 0]
    strongest = np.argmax(np.abs(np.fft.rfft(sound))) * _RATE / len(sound)
    assert strongest == pytest.approx(880, abs=5)
    assert loudness(sound[None])[0] == pytest.approx(0.4 / 2**0.5, rel=0.02)
    forget(page)
    for name in ("Mix", "Original", "Mix"):
        page.get_by_role("button", name=name, exact=True).click()
        page.wait_for_timeout(300)
    sound = take(page, 1)[0, 0]
    windows = sound[: len(sound) // 512 * 512].reshape(-1, 512)
    assert np.sqrt((windows**2).mean(axis=1)).min() > 0.1


def test_what_was_made_smaller_is_made_larger_again(page: Page):
    _open(page, "loud", ["id-vocals"])
    assert loudness(hear(page, 1, 0.3))[0] == pytest.approx(1.6 * 0.5 / 2**0.5, rel=0.01)


def test_speech_of_one_channel_is_as_loud_as_it_is(page: Page):
    _open(page, "talk", ["id-anna"])
    _jump(page, 1)
    sound = hear(page, 1, 1.0)[0]
    assert np.array_equal(sound[0], sound[1])
    source = player.samples("talk", "anna", 0, 160_000)[:, 0].astype(np.float32) * _LSB
    at = find(sound[0], source)
    assert np.abs(sound[0] - source[at : at + len(sound[0])]).max() < 2 * _LSB
