"""From what the network hears to notes, and into a file."""

import mido
import numpy as np
import onnxruntime
import pytest

from separation import catalog, weights
from separation.music import midi, pitches
from separation.music.midi import write_midi
from separation.music.notes import Note, NoteFinder
from separation.music.pitches import Pitches, PitchNetwork
from tests.separation.music.sounds import RATE, noise, pieces, played


@pytest.fixture(scope="module")
def network():
    return PitchNetwork(catalog.tool("basic-pitch"))


def heard(samples, network, n=10**9):
    stream = Pitches(network)
    parts = [part for block in pieces(samples, n) for part in stream.push(block)]
    parts += stream.finish()
    return tuple(np.concatenate(values) for values in zip(*parts, strict=True))


def found(sounding, beginning, *, stretch=10**9, n=142):
    finder = NoteFinder(stretch)
    notes = [
        note
        for start in range(0, len(sounding), n)
        for note in finder.push(sounding[start : start + n], beginning[start : start + n])
    ]
    return notes + list(finder.finish())


def frames(notes, n=600):
    """Levels that are as clear as can be, from (key, start, end)."""
    sounding, beginning = np.zeros((2, n, 88), np.float32)
    for key, start, end in notes:
        sounding[start:end, key] = 0.8
        beginning[start, key] = 0.9
    return sounding, beginning


def note(key, start, end, velocity=102):
    start_s, end_s = (round(pitches.time_s(at), 4) for at in (start, end))
    return Note(key + 21, start_s, end_s, velocity)


def test_openvino_computes_what_onnxruntime_does(network):
    (graph,) = weights.load_graphs(catalog.tool("basic-pitch")).values()
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    samples = played([(60, 0.2, 1.5), (67, 0.7, 1.8)], 43844 / RATE + 0.1)[:43844]
    expected = session.run(
        ["StatefulPartitionedCall:1", "StatefulPartitionedCall:2"],
        {"serving_default_input_2:0": samples[None, :, None]},
    )
    assert expected[0].max() > 0.5
    for got, whole in zip(network.hear(samples), expected, strict=True):
        np.testing.assert_allclose(got, whole[0, 15:-15], atol=1e-5)


@pytest.mark.parametrize("n_samples", [1, 255, 256, 257, 36164, 36165, 50_000])
def test_there_is_a_frame_for_each_begun_256_samples(n_samples, network):
    sounding, beginning = heard(noise(3)[:n_samples], network)
    whole, rest = divmod(n_samples, pitches.STEP)
    assert len(sounding) == len(beginning) == whole * pitches.N_USED + -(-rest // 256)


def test_what_is_heard_does_not_depend_on_how_samples_come(network):
    samples = played([(57, 0.5, 2), (64, 1.5, 4)], 5)
    for one, other in zip(heard(samples, network, 3000), heard(samples, network), strict=True):
        np.testing.assert_array_equal(one, other)


def test_frames_are_in_time_over_many_windows():
    assert pitches.time_s(0) == 0
    assert pitches.time_s(100 * pitches.N_USED) == pytest.approx(100 * pitches.STEP / RATE)


@pytest.mark.parametrize("stretch", [10**9, 150, 300])
def test_clear_notes_are_found_as_they_are(stretch):
    notes = [(10, 20, 60), (30, 20, 200), (30, 215, 260), (50, 100, 590), (87, 300, 320)]
    got = found(*frames(notes), stretch=stretch)
    assert sorted(got, key=lambda each: (each.start_s, each.pitch)) == [
        note(*each) for each in sorted(notes, key=lambda each: (each[1], each[0]))
    ]


def test_a_key_struck_again_is_another_note():
    sounding, beginning = frames([(40, 20, 120)])
    beginning[70, 40] = 0.7
    assert found(sounding, beginning) == [note(40, 20, 70), note(40, 70, 120)]


def test_what_is_shorter_than_an_eighth_of_a_second_is_none():
    assert found(*frames([(40, 20, 31)])) == []
    assert found(*frames([(40, 20, 32)])) == [note(40, 20, 32)]


@pytest.mark.parametrize(("length", "is_whole"), [(20, True), (60, False)])
def test_only_a_long_pause_ends_a_note(length, is_whole):
    sounding, beginning = frames([(40, 20, 220)])
    # It comes back slowly, so that nothing begins anew.
    half = length // 2
    sounding[100 : 100 + length, 40] = [*np.linspace(0.8, 0, half), *np.linspace(0, 0.8, half)]
    first = found(sounding, beginning)[0]
    assert first.start_s == note(40, 20, 220).start_s
    assert (first.end_s == note(40, 20, 220).end_s) is is_whole


def test_what_sounds_without_a_beginning_is_found_too():
    sounding, beginning = frames([])
    # It swells, so that it begins nowhere.
    sounding[100:200, 40] = np.concatenate([np.linspace(0, 0.9, 50), np.linspace(0.9, 0, 50)])
    (got,) = found(sounding, beginning)
    assert got.pitch == 61
    assert got.start_s == pytest.approx(pitches.time_s(117), abs=0.03)
    assert got.end_s == pytest.approx(pitches.time_s(183), abs=0.03)


@pytest.mark.parametrize("stretch", [150, 301, 450])
def test_a_note_through_many_stretches_is_one(stretch):
    notes = [(40, 5, 1990), (60, 5, 1990)]
    got = found(*frames(notes, 2000), stretch=stretch)
    assert got == [note(*each) for each in notes]


def test_notes_of_music_are_nearly_the_same_in_stretches(network):
    random = np.random.default_rng(4)
    tune = [
        (int(random.integers(48, 80)), 0.2 + 0.25 * n, 0.2 + 0.25 * n + random.uniform(0.2, 0.9))
        for n in range(110)
    ]
    levels = heard(played(tune, 30), network)
    whole, parts = (set(found(*levels, stretch=stretch)) for stretch in (10**9, 400))
    assert len(whole) > 80
    assert len(whole & parts) >= 0.97 * len(whole)
    assert len(parts) == pytest.approx(len(whole), abs=2)


def test_silence_and_nothing_have_no_notes(network):
    assert found(*heard(np.zeros(3 * RATE, np.float32), network)) == []
    assert list(NoteFinder().finish()) == []


def read(path):
    """(pitch, start_s, end_s, velocity) of each note of a file, by another reader's rules."""
    notes, now, sounding = [], 0.0, {}
    song = mido.MidiFile(path)
    for message in song:
        now += message.time
        if message.type == "note_on":
            assert message.note not in sounding
            sounding[message.note] = (now, message.velocity)
        elif message.type == "note_off":
            start_s, velocity = sounding.pop(message.note)
            notes.append((message.note, start_s, now, velocity))
    assert sounding == {}
    return sorted(notes, key=lambda each: (each[1], each[0]))


def test_a_file_holds_its_notes_to_the_millisecond(tmp_path):
    notes = [Note(64, 0.5, 1.0, 80), Note(60, 0.25, 3.75, 1), Note(60, 3.75, 4.001, 127)]
    path = tmp_path / "notes.mid"
    write_midi(path, notes)
    expected = sorted((n.pitch, n.start_s, n.end_s, n.velocity) for n in notes)
    for got, wanted in zip(sorted(read(path)), expected, strict=True):
        assert got == pytest.approx(wanted, abs=6e-4)
    song = mido.MidiFile(path)
    assert (song.type, len(song.tracks)) == (0, 1)
    kinds = [message.type for message in song.tracks[0]]
    assert kinds[:3] == ["track_name", "set_tempo", "program_change"]
    assert kinds[-1] == "end_of_track"
    assert song.tracks[0].name == midi.INSTRUMENT


def test_a_file_without_notes_is_one(tmp_path):
    write_midi(tmp_path / "none.mid", [])
    assert read(tmp_path / "none.mid") == []


def test_what_cannot_be_written_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="range"):
        write_midi(tmp_path / "bad.mid", [Note(60, 0, 1, 128)])
    assert list(tmp_path.iterdir()) == []
