import numpy as np
import pytest

from separation import catalog
from separation.music.key import NOTES, Key, KeyFinder, camelot
from separation.music.pitches import Pitches, PitchNetwork
from tests.separation.music.sounds import RATE, noise, played

SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}
WHEEL = {
    "8B": "C major",
    "9B": "G major",
    "10B": "D major",
    "2B": "F# major",
    "1B": "B major",
    "7B": "F major",
    "8A": "A minor",
    "9A": "E minor",
    "5A": "C minor",
    "1A": "G# minor",
    "12A": "C# minor",
}


@pytest.fixture(scope="module")
def network():
    return PitchNetwork(catalog.tool("basic-pitch"))


def key_of(samples, network):
    finder, pitches = KeyFinder(), Pitches(network)
    for sounding, _ in [*pitches.push(samples), *pitches.finish()]:
        finder.push(sounding)
    return finder.finish()


def cadence(tonic, scale):
    """I IV V I with its bass."""
    third = 4 if scale == "major" else 3
    chords = [(0, third, 7), (5, 5 + third, 12), (7, 11, 14), (0, third, 7)]
    notes = []
    for number, chord in enumerate([*chords, *chords]):
        for pitch in (chord[0] - 12, *chord):
            notes.append((60 + tonic + pitch, number, number + 0.9))
    return played(notes, len(chords) * 2, level=0.1)


@pytest.mark.parametrize("scale", ["major", "minor"])
@pytest.mark.parametrize("tonic", range(12))
def test_a_scale_with_its_triad_is_in_its_key(tonic, scale):
    finder = KeyFinder()
    sounding = np.zeros((100, 88), np.float32)
    for step in SCALES[scale]:
        for octave in (24, 36):
            level = 0.9 if step in (0, SCALES[scale][2], 7) else 0.4
            sounding[:, octave + 3 + tonic + step] = level
    finder.push(sounding)
    found = finder.finish()
    assert (found.tonic, found.scale) == (NOTES[tonic], scale)
    assert found.camelot == camelot(tonic, scale)
    assert 0 < found.confidence <= 1


@pytest.mark.parametrize(("place", "name"), WHEEL.items())
def test_places_on_the_wheel(place, name):
    tonic, scale = name.split()
    assert camelot(NOTES.index(tonic), scale) == place


@pytest.mark.parametrize(("tonic", "scale"), [(2, "major"), (7, "minor"), (10, "major")])
def test_a_cadence_is_in_its_key(tonic, scale, network):
    found = key_of(cadence(tonic, scale), network)
    assert (found.tonic, found.scale) == (NOTES[tonic], scale)
    assert found.confidence > 0.3


@pytest.mark.parametrize(
    "samples", [np.zeros(5 * RATE, np.float32), noise(5), np.zeros(0, np.float32)]
)
def test_silence_and_noise_are_in_no_key(samples, network):
    assert key_of(samples, network) == Key()


def test_all_notes_alike_are_in_no_key():
    finder = KeyFinder()
    finder.push(np.full((100, 88), 0.5, np.float32))
    assert finder.finish() == Key()
