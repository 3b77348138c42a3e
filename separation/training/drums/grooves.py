"""What drummers play: hits of voices in time, in many styles, with fills, crashes and accidents.

The patterns are common knowledge of the styles, written out by hand: one character is one step,
`X` an accent, `x` a stroke, `o` a lighter one, `-` a ghost note, `.` nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

_STRENGTH = {"X": 1.0, "x": 0.8, "o": 0.6, "-": 0.3}
_LEADS = ("hat_closed", "hat_half", "hat_open", "ride", "ride", "crash")


@dataclass(frozen=True, slots=True)
class Hit:
    """One stroke: when (s), on what, how hard (0 to 1)."""

    at_s: float
    voice: str
    strength: float


@dataclass(frozen=True, slots=True)
class Style:
    """Bars of one kind of music.

    Attributes
    ----------
    tempo : pair
        Range in beats per minute.
    beats : int
        In a bar; `steps` of the patterns make one beat.
    swing : pair
        Range of how late every second step comes, in steps.
    lead : tuple of str
        Patterns of the cymbal or hi-hat that goes on through the bar.
    parts : mapping
        Voice -> patterns, of which each section draws one.
    leads : tuple of str
        Voices that may play the lead.
    """

    tempo: tuple[int, int]
    lead: tuple[str, ...]
    parts: Mapping[str, tuple[str, ...]]
    beats: int = 4
    steps: int = 4
    swing: tuple[float, float] = (0.0, 0.05)
    leads: tuple[str, ...] = _LEADS


STYLES: Mapping[str, Style] = {
    "rock": Style(
        (90, 170),
        ("x.o.x.o.x.o.x.o.", "X...x...X...x...", "xoxoxoxoxoxoxoxo", "X.x.X.x.X.x.X.x."),
        {
            "kick": (
                "X.......X.......",
                "X.....x.X.......",
                "X..x....X.x.....",
                "X.x...x.X.x..x..",
            ),
            "snare": (
                "....X.......X...",
                "....X.......X..-",
                "....X.......X.x.",
                "....X..-.-..X..-",
            ),
        },
    ),
    "ballad": Style(
        (60, 90),
        ("x.o.x.o.x.o.x.o.", "xooxxooxxooxxoox", "x...x...x...x..."),
        {
            "kick": (
                "X.......X.......",
                "X......xX.......",
                "X.........x.....",
                "X.......x.x.....",
            ),
            "sidestick": ("....x.......x...", "................"),
            "snare": ("................", "....X.......X...", "............X..."),
            "shaker": ("................", "oooooooooooooooo", "x-o-x-o-x-o-x-o-"),
        },
    ),
    "funk": Style(
        (88, 124),
        ("xoxoxoxoxoxoxoxo", "x.o.x.o.x.o.x.o.", "x-xox-xox-xox-xo", "..x...x...x...x."),
        {
            "kick": (
                "X.x.......xx..x.",
                "X..x..x...x..x..",
                "X.....xX..x.....",
                "X.x....x..xX...x",
            ),
            "snare": (
                "....X--.-..-X..-",
                "....X..-.-.-X-.-",
                "-.--X.-.-x.-X.--",
                "....X..x.-..X..-",
            ),
            "hat_open": (
                "................",
                "..............x.",
                ".......x......x.",
                "......x.........",
            ),
            "conga": ("................", "o.x-o.xxo.x-o.xx", "..x..xx...x..xx."),
            "tambourine": ("................", "....x.......x...", "x.o.x.o.x.o.x.o."),
        },
        swing=(0.0, 0.2),
        leads=("hat_closed", "hat_closed", "ride"),
    ),
    "disco": Style(
        (108, 132),
        ("x.o.x.o.x.o.x.o.", "xoxoxoxoxoxoxoxo", "x-.-x-.-x-.-x-.-"),
        {
            "kick": ("X...X...X...X...", "X...X...X...X..x"),
            "snare": ("....X.......X...", "....X.......X..x", "................"),
            "clap": ("....x.......x...", "................"),
            "hat_open": ("..X...X...X...X.", "..x...x...x...x."),
            "cowbell": ("................", "x...x...x...x...", "..x..x..x.x..x.."),
            "tambourine": ("................", "xoxoxoxoxoxoxoxo"),
            "conga": ("................", "..o.x.xx..o.x.xx"),
        },
        leads=("hat_closed", "ride"),
    ),
    "house": Style(
        (118, 140),
        ("..x...x...x...x.", "oxxooxxooxxooxxo", "xoxoxoxoxoxoxoxo"),
        {
            "kick": ("X...X...X...X...",),
            "clap": ("....X.......X...", "................"),
            "snare": ("................", "....x.......x...", ".......x.x......"),
            "hat_open": ("..X...X...X...X.",),
            "shaker": ("x-o-x-o-x-o-x-o-", "................"),
            "conga": ("................", "..x..x....x.x..x"),
            "ride": ("................", "..x...x...x...x."),
        },
        leads=("hat_closed", "shaker", "ride"),
    ),
    "hip-hop": Style(
        (70, 105),
        ("x.o.x.o.x.o.x.o.", "x.xxx.o.x.xxx.o.", "xoxoxoxoxoxoxxxx"),
        {
            "kick": (
                "X......x..x.....",
                "X.x....x.xX.....",
                "X..x..x....x..x.",
                "X.........x..x..",
            ),
            "snare": ("....X.......X...", "....X..-.-..X...", "........X......."),
            "clap": ("................", "....x.......x...", "........x......."),
            "hat_open": ("................", "......x.........", "..............x."),
            "other": ("................", "..x.......x..x.."),
        },
        swing=(0.0, 0.4),
        leads=("hat_closed",),
    ),
    "trap": Style(
        (60, 80),
        ("xxxxxxxxxxxxxxxx", "x.x.x.xxx.x.xxxx", "xxoxxoxxoxxoxxxx"),
        {
            "kick": ("X.....x...x.....", "X..x......X..x..", "X..........x..x."),
            "snare": ("........X.......", "....X.......X..."),
            "clap": ("........x.......", "................"),
            "hat_open": ("................", ".....x.........."),
            "other": ("................", "...x......x....."),
        },
        leads=("hat_closed",),
    ),
    "swing": Style(
        (90, 230),
        ("X..X.xX..X.x", "X..x.xX..x.x", "X..X..X..X.."),
        {
            "kick": ("o..o..o..o..", "x.....x.....", ".....x......", "............"),
            "snare": ("....-..-...-", "......x.....", "...-....x..-", "...........x"),
            "hat_pedal": ("...x.....x..", "...X.....X.."),
        },
        steps=3,
        leads=("ride", "ride", "hat_closed", "hat_half"),
    ),
    "shuffle": Style(
        (80, 150),
        ("X.xX.xX.xX.x", "X.oX.oX.oX.o"),
        {
            "kick": ("X.....X.....", "X....xX.....", "X..X..X..X.."),
            "snare": ("...X.....X..", "--.X.-.--X.-", "...X.x...X.x"),
            "hat_pedal": ("............", "...o.....o.."),
        },
        steps=3,
    ),
    "six-eight": Style(
        (50, 80),
        ("xooxooxooxoo", "x.ox.ox.ox.o", "x..x..x..x.."),
        {
            "kick": ("X.....X.....", "X....xX.....", "X.........x."),
            "snare": ("...X.....X..", "...X....-X--"),
            "tambourine": ("............", "...x.....x.."),
        },
        steps=3,
    ),
    "latin": Style(
        (90, 130),
        ("x.xxx.xxx.xxx.xx", "x.xx.xx.xx.x.xx.", "x.x.xx.x.x.xx.x."),
        {
            "kick": ("x..xx..xx..xx..x", "...x..x....x..x.", "X.......X......."),
            "sidestick": ("..x..x....x..x..", "x..x..x...x.x...", "................"),
            "snare": ("................", "....o.......x..."),
            "conga": ("o-x-o-xxo-x-o-xx", "..x...xx..x...xx", "x.xx.xx.x.xx.xxx"),
            "cowbell": ("................", "x.x.xxx.x.x.xxx.", "x...x...x...x..."),
            "block": ("x..x..x...x.x...", "..x.x...x..x..x.", "................"),
            "shaker": ("x-o-x-o-x-o-x-o-", "................"),
            "bell": ("................", "x.x.xx.x.x.x.xx."),
            "hat_pedal": ("....x.......x...", "................"),
        },
    ),
    "metal": Style(
        (120, 200),
        ("x...x...x...x...", "X.x.X.x.X.x.X.x."),
        {
            "kick": (
                "XxXxXxXxXxXxXxXx",
                "X.XxX.XxX.XxX.Xx",
                "XXX.XXX.XXX.XXX.",
                "X..X..X..X..X.X.",
            ),
            "snare": (
                "....X.......X...",
                "..X...X...X...X.",
                "X...X...X...X...",
                "........X.......",
            ),
        },
        leads=("hat_half", "crash", "china", "ride", "ride_bell", "hat_open"),
    ),
    "punk": Style(
        (150, 210),
        ("X.x.X.x.X.x.X.x.", "X...X...X...X..."),
        {
            "kick": ("X...X.x.X...X.x.", "X...X...X.x.X..."),
            "snare": ("..X...X...X...X.", "....X.......X..."),
        },
        leads=("hat_half", "hat_open", "crash", "ride"),
    ),
    "half-time": Style(
        (110, 160),
        ("x.o.x.o.x.o.x.o.", "X...x...X...x...", "xoxoxoxoxoxoxoxo"),
        {
            "kick": ("X.....x.........", "X.x........x..x.", "X..x............"),
            "snare": ("........X.......", "-.-.-...X..-.-.-"),
        },
        swing=(0.0, 0.3),
    ),
    "breakbeat": Style(
        (130, 175),
        ("x.o.x.o.x.o.x.o.", "xoxoxoxoxoxoxoxo"),
        {
            "kick": ("X.X.......XX....", "X.........X.....", "X.X.......X...X."),
            "snare": ("....X..x.x..X..x", "....X..-.-..X..-", "....X.....-.X-.x"),
            "crash": ("................", "..........x....."),
        },
        swing=(0.0, 0.15),
        leads=("hat_closed", "ride", "hat_half"),
    ),
    "march": Style(
        (90, 126),
        ("................", "x...x...x...x..."),
        {
            "kick": ("X...X...X...X...", "X.......X......."),
            "snare": ("X-x-x-x-X-x-xxx-", "X.xxX.xxX.xxxxxx", "XooxooxoXooxooxo"),
            "crash": ("................", "X...............", "....x.......x..."),
        },
    ),
    "toms": Style(
        (80, 150),
        ("................", "x...x...x...x..."),
        {
            "kick": ("X...X...X...X...", "X.......X.......", "X.....X...X....."),
            "tom_low": ("X.xxX.xxX.xxX.xx", "x..x..x.x..x..x.", "X.......X......."),
            "tom_mid": ("..x...x...x...x.", "......xx......xx", "................"),
            "tom_high": ("................", "....x.......x.x.", "...........x.xx."),
            "snare": ("....X.......X...", "............X..."),
        },
        leads=("hat_pedal", "ride", "crash", "hat_closed"),
    ),
}


def draw_hits(rng: np.random.Generator, begin_s: float, end_s: float) -> list[Hit]:
    """Draw what is played from `begin_s` to `end_s`, in order of time."""
    if rng.random() < 0.2:
        hits = _accidents(rng, begin_s, end_s)
    else:
        hits = _played(rng, begin_s, end_s)
        if rng.random() < 0.15:
            hits += _accidents(rng, begin_s, end_s, rate_hz=0.25)
    return sorted(hits, key=lambda hit: hit.at_s)


def _played(rng: np.random.Generator, begin_s: float, end_s: float) -> list[Hit]:
    style = STYLES[str(rng.choice(list(STYLES)))]
    step_s = 60 / rng.uniform(*style.tempo) / style.steps
    n_steps = style.beats * style.steps
    swing = rng.uniform(*style.swing) * step_s
    human_s, uneven = rng.uniform(0.0, 0.012), rng.uniform(0.03, 0.2)
    section = int(rng.choice([2, 4, 4, 8]))
    bar, at_s = int(rng.integers(8)), begin_s - rng.uniform(0, n_steps * step_s)
    hits: list[Hit] = []
    lines = _section(rng, style)
    while at_s < end_s:
        if bar % section == 0:
            lines = _section(rng, style) if rng.random() < 0.6 else lines
        is_filled = bar % section == section - 1 and rng.random() < 0.7
        for step, voice, strength in _bar(rng, style, lines, bar % section == 0, is_filled):
            late = swing * (step % 2) + rng.normal(0, human_s)
            when = at_s + step * step_s + late
            struck = float(np.clip(strength * (1 + rng.normal(0, uneven)), 0.05, 1.0))
            if begin_s <= when < end_s:
                hits.append(Hit(when, voice, struck))
                hits += _ornaments(rng, hits[-1], step_s)
        at_s += n_steps * step_s
        bar += 1
    return hits


def _section(rng: np.random.Generator, style: Style) -> list[tuple[str, str]]:
    """Draw the lines of a section: voice and pattern."""
    lines = [(str(rng.choice(style.leads)), str(rng.choice(style.lead)))]
    lines += [(voice, str(rng.choice(choices))) for voice, choices in style.parts.items()]
    # Sometimes something else goes along, as drummers and percussionists have it.
    if rng.random() < 0.3:
        extra = rng.choice(["tambourine", "shaker", "cowbell", "clap", "conga", "bell", "other"])
        lines.append((str(extra), str(rng.choice(style.lead))))
    if rng.random() < 0.15:
        pedal = "".join("x" if step % style.steps == 0 else "." for step in range(16))
        lines.append(("hat_pedal", pedal[: style.beats * style.steps]))
    return lines


def _bar(
    rng: np.random.Generator,
    style: Style,
    lines: list[tuple[str, str]],
    is_first: bool,
    is_filled: bool,
) -> list[tuple[float, str, float]]:
    """Return the strokes of one bar: step, voice, strength."""
    n_steps = style.beats * style.steps
    fill_from = n_steps - int(rng.choice([1, 2, 4])) * style.steps if is_filled else n_steps
    strokes: list[tuple[float, str, float]] = []
    for voice, pattern in lines:
        for step, sign in enumerate(pattern[:fill_from]):
            heard = sign in _STRENGTH and rng.random() > 0.04
            if heard:
                strokes.append((step, voice, _STRENGTH[sign]))
            elif rng.random() < 0.01:
                strokes.append((step, voice, 0.5))
    if is_filled:
        strokes += _fill(rng, fill_from, n_steps)
    if is_first and rng.random() < 0.6:
        voice = str(rng.choice(["crash", "crash", "crash", "splash", "china", "hat_open"]))
        strokes += [(0, voice, 1.0), (0, "kick", 1.0)]
    return strokes


def _fill(rng: np.random.Generator, begin: int, end: int) -> list[tuple[float, str, float]]:
    """Return a run over the drums."""
    drums = ["snare", "tom_high", "tom_mid", "tom_low"]
    stride = float(rng.choice([0.5, 1.0, 1.0, 2.0]))
    at, place = float(begin), int(rng.integers(2))
    strokes = []
    while at < end:
        if rng.random() < 0.85:
            strokes.append((at, drums[place], float(rng.uniform(0.6, 1.0))))
        if rng.random() < 0.2:
            strokes.append((at, "kick", 0.8))
        if rng.random() < 0.4:
            place = min(place + 1, 3) if rng.random() < 0.8 else int(rng.integers(4))
        at += stride
    return strokes


def _ornaments(rng: np.random.Generator, hit: Hit, step_s: float) -> list[Hit]:
    """Return flams, drags and rolls that belong to a hit."""
    chance = rng.random()
    if hit.voice == "snare" and chance < 0.03:
        early = float(rng.uniform(0.015, 0.04))
        return [Hit(hit.at_s - early, hit.voice, hit.strength * 0.5)]
    if hit.voice in ("hat_closed", "snare") and chance > 0.985:
        n = int(rng.choice([2, 3, 4]))
        return [
            Hit(hit.at_s + step_s * part / n, hit.voice, hit.strength * 0.7) for part in range(1, n)
        ]
    return []


def _accidents(
    rng: np.random.Generator, begin_s: float, end_s: float, rate_hz: float | None = None
) -> list[Hit]:
    """Strike everything at any time, so that all classes overlap in every way."""
    voices = {
        **{"kick": 1.0, "snare": 1.0, "tom_high": 0.4, "tom_mid": 0.4, "tom_low": 0.4},
        **{"hat_closed": 1.5, "hat_open": 0.5, "hat_pedal": 0.4, "hat_half": 0.4, "ride": 1.0},
        **{"ride_bell": 0.3, "crash": 0.4, "splash": 0.2, "china": 0.2, "sidestick": 0.3},
        **{"rimshot": 0.3, "clap": 0.4, "cowbell": 0.3, "tambourine": 0.3, "shaker": 0.4},
        **{"conga": 0.5, "block": 0.2, "bell": 0.2, "other": 0.3},
    }
    overall = float(rng.uniform(0.5, 2.5)) if rate_hz is None else rate_hz
    hits = []
    for voice, share in voices.items():
        rate = overall * share * float(rng.exponential(1.0))
        for at_s in rng.uniform(begin_s, end_s, rng.poisson(rate * (end_s - begin_s))):
            hits.append(Hit(float(at_s), voice, float(rng.uniform(0.15, 1.0))))
    return hits
