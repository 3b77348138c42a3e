"""Which stem each program of a General MIDI soundfont and each pack of notes belongs to."""

from __future__ import annotations

from dataclasses import dataclass

CLASSES = (
    "acoustic_guitar",
    "electric_guitar",
    "piano",
    "organ",
    "synth",
    "strings",
    "brass",
    "woodwinds",
    "fx",
)


@dataclass(frozen=True, slots=True)
class Kind:
    """What is common to the notes of an instrument.

    Attributes
    ----------
    stem : str
        One of `CLASSES`.
    family : str
        What the composer and the effects go by ("clavinet", "section" ...).
    low, high : int
        The range that is played, in MIDI keys.
    sustained : bool
        Whether a note goes on for as long as it is held.
    """

    stem: str
    family: str
    low: int
    high: int
    sustained: bool = False


_GRAND = Kind("piano", "grand", 28, 96)
_EPIANO = Kind("piano", "epiano", 36, 88)
_HARPSICHORD = Kind("piano", "harpsichord", 36, 86)
_CLAVINET = Kind("piano", "clavinet", 36, 84)
_MALLET = Kind("fx", "mallet", 55, 100)
_ORGAN = Kind("organ", "organ", 36, 92, True)
_REED_ORGAN = Kind("organ", "reed_organ", 43, 88, True)
_NYLON = Kind("acoustic_guitar", "acoustic", 40, 81)
_STEEL = Kind("acoustic_guitar", "acoustic", 40, 84)
_SMALL = Kind("acoustic_guitar", "small", 55, 91)
_ELECTRIC = Kind("electric_guitar", "clean", 40, 86)
_MUTED = Kind("electric_guitar", "muted", 40, 76)
_DRIVEN = Kind("electric_guitar", "driven", 40, 86, True)
_BASS = Kind("fx", "bass", 28, 55)
_SOLO = Kind("strings", "solo", 40, 96, True)
_SECTION = Kind("strings", "section", 36, 96, True)
_PIZZICATO = Kind("strings", "pizzicato", 36, 90)
_HARP = Kind("strings", "harp", 36, 96)
_HIT = Kind("fx", "hit", 36, 72)
_LEAD = Kind("synth", "lead", 40, 92, True)
_PAD = Kind("synth", "pad", 36, 88, True)
_VOICE = Kind("fx", "voice", 48, 84, True)
_NOISE = Kind("fx", "noise", 48, 72, True)
_BELL = Kind("fx", "mallet", 60, 96)

_PROGRAMS: dict[int, Kind] = {
    **dict.fromkeys((0, 1, 2, 3), _GRAND),
    **dict.fromkeys((4, 5), _EPIANO),
    6: _HARPSICHORD,
    7: _CLAVINET,
    **dict.fromkeys((8, 9, 10, 11, 12, 13, 14, 15), _MALLET),
    **dict.fromkeys((16, 17, 18, 19), _ORGAN),
    **dict.fromkeys((20, 21, 23), _REED_ORGAN),
    22: Kind("woodwinds", "harmonica", 55, 90, True),
    24: _NYLON,
    25: _STEEL,
    **dict.fromkeys((26, 27), _ELECTRIC),
    28: _MUTED,
    **dict.fromkeys((29, 30), _DRIVEN),
    **dict.fromkeys(range(32, 40), _BASS),
    40: Kind("strings", "solo", 55, 98, True),
    41: Kind("strings", "solo", 48, 88, True),
    42: Kind("strings", "solo", 36, 79, True),
    43: Kind("strings", "solo", 28, 62, True),
    44: _SECTION,
    45: _PIZZICATO,
    46: _HARP,
    47: _HIT,
    **dict.fromkeys((48, 49), _SECTION),
    **dict.fromkeys((50, 51), _PAD),
    **dict.fromkeys((52, 53, 54), _VOICE),
    55: _HIT,
    56: Kind("brass", "trumpet", 54, 86, True),
    57: Kind("brass", "trombone", 38, 74, True),
    58: Kind("brass", "tuba", 29, 60, True),
    59: Kind("brass", "trumpet", 54, 84, True),
    60: Kind("brass", "horn", 40, 78, True),
    61: Kind("brass", "trumpet", 40, 84, True),
    **dict.fromkeys((62, 63), Kind("synth", "brass", 40, 84, True)),
    64: Kind("woodwinds", "sax", 56, 88, True),
    65: Kind("woodwinds", "sax", 49, 82, True),
    66: Kind("woodwinds", "sax", 44, 78, True),
    67: Kind("woodwinds", "sax", 36, 70, True),
    68: Kind("woodwinds", "reed", 58, 91, True),
    69: Kind("woodwinds", "reed", 52, 82, True),
    70: Kind("woodwinds", "reed", 34, 72, True),
    71: Kind("woodwinds", "reed", 50, 91, True),
    72: Kind("woodwinds", "flute", 72, 103, True),
    73: Kind("woodwinds", "flute", 60, 96, True),
    **dict.fromkeys((74, 75, 77), Kind("woodwinds", "flute", 60, 96, True)),
    **dict.fromkeys(range(80, 88), _LEAD),
    **dict.fromkeys(range(88, 96), _PAD),
    **dict.fromkeys((97, 99, 100), _PAD),
    **dict.fromkeys((96, 101, 102, 103), Kind("fx", "pad", 40, 84, True)),
    98: _BELL,
    104: Kind("fx", "pluck", 48, 80),
    105: _SMALL,
    **dict.fromkeys((106, 107, 108), Kind("fx", "pluck", 48, 86)),
    110: Kind("strings", "solo", 55, 93, True),
    **dict.fromkeys((112, 114), _BELL),
    **dict.fromkeys((113, 115, 116, 117, 118), _HIT),
    **dict.fromkeys((119, 120, 121, 122, 124, 125, 127), _NOISE),
}

# Variants that a soundfont keeps in other banks, where they are another instrument.
_VARIANTS = {
    (8, 24): _SMALL,
    (16, 25): _SMALL,
    (8, 26): _ELECTRIC,
    (8, 30): _DRIVEN,
    (8, 80): _LEAD,
    (8, 107): Kind("fx", "pluck", 48, 86),
}

# The packs of single notes of `packages/instruments.toml`.
PACKS: dict[str, Kind] = {
    "tonejs-bassoon": Kind("woodwinds", "reed", 34, 72, True),
    "tonejs-cello": Kind("strings", "solo", 36, 79, True),
    "tonejs-clarinet": Kind("woodwinds", "reed", 50, 91, True),
    "tonejs-contrabass": Kind("strings", "solo", 28, 62, True),
    "tonejs-flute": Kind("woodwinds", "flute", 60, 96, True),
    "tonejs-french-horn": Kind("brass", "horn", 40, 78, True),
    "tonejs-guitar-acoustic": _STEEL,
    "tonejs-guitar-electric": _ELECTRIC,
    "tonejs-guitar-nylon": _NYLON,
    "tonejs-harmonium": _REED_ORGAN,
    "tonejs-harp": _HARP,
    "tonejs-organ": _ORGAN,
    "tonejs-piano": _GRAND,
    "tonejs-saxophone": Kind("woodwinds", "sax", 49, 82, True),
    "tonejs-trombone": Kind("brass", "trombone", 38, 74, True),
    "tonejs-trumpet": Kind("brass", "trumpet", 54, 86, True),
    "tonejs-tuba": Kind("brass", "tuba", 29, 60, True),
    "tonejs-violin": Kind("strings", "solo", 55, 98, True),
    "tonejs-xylophone": _MALLET,
}


def kind_of(bank: int, program: int) -> Kind | None:
    """Return what a preset of a soundfont is; None for kits and what is of no use."""
    # The banks 17, 18, 21, 26 ... of MuseScore repeat others with another controller.
    if bank in (0, 8, 9, 16) or (bank in (20, 25, 30, 40, 50) and 40 < program < 50):
        return _VARIANTS.get((bank, program), _PROGRAMS.get(program))
    return _LEAD if (bank, program) == (20, 81) else None
