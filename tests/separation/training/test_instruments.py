"""Mixtures of pitched instruments: true stems, in tune, the same again for the same draw."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.io import wavfile

from separation.training import effects, sources
from separation.training.effects import RATE
from separation.training.instruments import build, noises, parts, synthesis, tracks
from separation.training.instruments.bank import Bank, BankWriter
from separation.training.instruments.mixer import InstrumentMixer
from separation.training.instruments.playing import Player
from separation.training.instruments.programs import CLASSES, Kind, kind_of
from separation.training.instruments.roles import GuitarRolesMixer
from separation.training.instruments.song import Note, draw_song
from separation.training.instruments.synthesis import COUNTS, winds

N = 2 * RATE


def tone(key, seconds=1.5):
    times = np.arange(int(seconds * RATE)) / RATE
    hertz = 440 * 2 ** ((key - 69) / 12)
    wave = sum(np.sin(2 * np.pi * k * hertz * times) / k for k in (1, 2, 3))
    return (0.2 * wave * np.exp(-times)).astype(np.float32)


def pitch_of(sound):
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(sound.size), 1 << 19))
    return 69 + 12 * np.log2(np.argmax(spectrum) * RATE / (1 << 19) / 440)


KINDS = (
    Kind("acoustic_guitar", "acoustic", 40, 76),
    Kind("electric_guitar", "clean", 40, 76),
    Kind("electric_guitar", "driven", 40, 76, True),
    Kind("piano", "clavinet", 40, 76),
    Kind("organ", "organ", 40, 76, True),
    Kind("synth", "pad", 40, 76, True),
    Kind("strings", "section", 40, 76, True),
    Kind("brass", "trumpet", 40, 76, True),
    Kind("woodwinds", "sax", 40, 76, True),
    Kind("fx", "mallet", 40, 76),
)


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bank")
    writer = BankWriter(folder)
    for kind in KINDS:
        writer.begin(f"own-{kind.family}", kind)
        for key in range(kind.low, kind.high + 1, 12):
            writer.add(key, 0.8, tone(key))
    writer.begin("silent", KINDS[0])
    assert not writer.add(60, 0.8, np.zeros(100, np.float32))
    writer.close()
    return Bank.open(folder)


@pytest.fixture(scope="module")
def mixer(bank):
    return InstrumentMixer("train", bank)


def test_a_bank_gives_back_its_notes(bank):
    assert [patch.kind for patch in bank.patches] == list(KINDS)
    patch = bank.patches[0]
    note = bank.note(patch, patch.nearest(53, 0.5))
    assert pitch_of(note) == pytest.approx(52, abs=0.05)
    level = np.sqrt(np.square(note[: RATE // 2]).mean())
    assert level == pytest.approx(0.1, rel=0.02)


def test_banks_are_built_once_and_open_together(tmp_path, monkeypatch):
    package = sources.packages("instruments", "held")[0]
    pack = replace(package, name="tonejs-flute")
    for number, name in enumerate(["A4.wav", "Cs5.wav", "readme.txt"]):
        samples = np.round(20_000 * tone(69 + 4 * number)).astype(np.int16)
        wavfile.write(tmp_path / name, RATE, samples)
    fetched = []

    def fetch(found):
        fetched.append(found)
        return tmp_path

    monkeypatch.setattr(sources, "training_dir", lambda: tmp_path / "cache")
    monkeypatch.setattr(sources, "packages", lambda subject, role: [pack])
    monkeypatch.setattr(sources, "fetch", fetch)
    monkeypatch.setattr(synthesis, "COUNTS", ((winds.struck_bar, 2),))
    train, held = build.open_bank("train"), build.open_bank("held")
    assert fetched == [pack]
    names = [patch.name for patch in train.patches]
    assert names == ["tonejs-flute", "own-struck_bar-0", "own-struck_bar-1"]
    assert [patch.name for patch in held.patches] == ["tonejs-flute"]
    flute, bar, _ = train.patches
    assert flute.keys.tolist() == [69, 73]
    for patch, index in ((flute, 0), (flute, 1), (bar, 2)):
        heard = pitch_of(train.note(patch, index))
        assert heard == pytest.approx(patch.keys[index], abs=0.1)


def test_names_of_patches_are_unique(bank):
    notes = np.zeros(10, np.int16)
    with pytest.raises(ValueError, match="same name"):
        Bank([(notes, bank.patches[:1]), (notes, bank.patches[:1])])


def test_examples_are_stems_of_the_named_classes(mixer):
    example = mixer.example(np.random.default_rng(1), N)
    assert mixer.classes == CLASSES
    assert example.shape == (9, 2, N)
    assert example.dtype == np.float32
    assert np.isfinite(example).all()


def test_mixtures_do_not_clip_and_are_seldom_silent(mixer):
    peaks = [
        np.abs(mixer.example(np.random.default_rng(seed), N).sum(axis=0)).max()
        for seed in range(30)
    ]
    assert max(peaks) <= 1.0
    assert np.median(peaks) > 0.1


def test_an_example_follows_from_its_generator_alone(mixer, bank):
    one = mixer.example(np.random.default_rng(7), N)
    mixer.example(np.random.default_rng(8), N)
    again = InstrumentMixer("train", bank).example(np.random.default_rng(7), N)
    assert np.array_equal(one, again)
    assert not np.array_equal(one, mixer.example(np.random.default_rng(9), N))


def test_every_class_comes_and_is_missing(mixer):
    heard = np.array(
        [mixer.example(np.random.default_rng(s), N).any(axis=(1, 2)) for s in range(60)]
    )
    assert heard.any(axis=0).all()
    assert (~heard).any(axis=0).all()


def test_guitars_have_roles(bank):
    roles = GuitarRolesMixer("train", bank)
    heard = []
    for seed in range(20):
        example = roles.example(np.random.default_rng(seed), N)
        assert example.shape == (2, 2, N)
        assert np.abs(example.sum(axis=0)).max() <= 1.0
        heard.append(example.any(axis=(1, 2)))
    assert np.any(heard, axis=0).all()
    assert any(both.all() for both in heard)


@pytest.mark.parametrize("key", [45, 52, 58.5, 70])
def test_players_play_in_tune(bank, key):
    player = Player(np.random.default_rng(3), bank, bank.patches[0], 0.0)
    sound = player.play([Note(0.0, 1.0, key, 0.8)], RATE)
    assert pitch_of(sound) == pytest.approx(key, abs=0.2)


def test_bent_notes_arrive_at_their_pitch(bank):
    player = Player(np.random.default_rng(3), bank, bank.patches[4], 0.0)
    sound = player.play([Note(0.0, 1.4, 60, 0.8, bend=-2.0)], 2 * RATE)
    assert pitch_of(sound[RATE : RATE + RATE // 4]) == pytest.approx(60, abs=0.3)
    assert pitch_of(sound[:1500]) < 59.8


def test_held_notes_outlast_what_was_recorded(bank):
    organ = next(patch for patch in bank.patches if patch.kind.family == "organ")
    piano = next(patch for patch in bank.patches if patch.kind.family == "clavinet")
    late = slice(int(2.6 * RATE), int(2.8 * RATE))
    for patch, sounds in ((organ, True), (piano, False)):
        player = Player(np.random.default_rng(1), bank, patch, 0.0)
        sound = player.play([Note(0.0, 3.0, 52, 0.9)], 3 * RATE)
        assert bool(sound[late].any()) is sounds


def test_notes_that_began_before_are_heard_from_the_begin(bank):
    player = Player(np.random.default_rng(1), bank, bank.patches[4], 0.0)
    whole = player.play([Note(0.0, 1.0, 52, 0.9)], 2 * RATE)
    cut = player.play([Note(-0.5, 1.0, 52, 0.9)], RATE)
    assert np.array_equal(cut, whole[RATE // 2 : RATE // 2 + RATE])


PARTS = [
    parts.held_chords,
    parts.strummed,
    parts.arpeggios,
    parts.sixteenths,
    parts.stabs,
    parts.riff,
    parts.melody,
    parts.solo,
    parts.power_chords,
    parts.repeated,
    parts.two_hands,
    parts.runs,
    parts.bass_line,
]


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.__name__)
def test_parts_stay_in_range_and_in_the_song(part):
    for seed in range(8):
        rng = np.random.default_rng(seed)
        song = draw_song(rng, 8.0)
        low, high = (40, 64) if part is parts.bass_line else (40, 84)
        notes = part(rng, song, low, high)
        assert notes or part is parts.runs
        assert all(low <= note.key <= high for note in notes)
        assert all(0 < note.velocity <= 1 and note.seconds > 0 for note in notes)
        assert all(note.start_s < 8.0 + 5 * song.beat_s for note in notes)


def test_chords_of_a_part_belong_to_the_song():
    for seed in range(10):
        rng = np.random.default_rng(seed)
        song = draw_song(rng, 6.0)
        for note in parts.repeated(rng, song, 48, 72):
            chords = [chord for chord in song.chords if abs(_beat(song, note) - chord.beat) < 9]
            allowed = {(c.root + pitch) % 12 for c in chords for pitch in c.pitches}
            assert int(note.key) % 12 in allowed


def _beat(song, note):
    return note.start_s / song.beat_s


def test_rests_only_leave_notes_out():
    song = draw_song(np.random.default_rng(4), 8.0)
    notes = parts.repeated(np.random.default_rng(1), song, 48, 72)
    kept = [len(parts.with_rests(np.random.default_rng(s), song, notes)) for s in range(30)]
    assert max(kept) == len(notes)
    assert min(kept) < len(notes)


def test_unison_lines_are_moved_by_octaves(bank):
    notes = [Note(0.0, 1.0, 100, 0.5), Note(0.0, 1.0, 30, 0.5)]
    moved = tracks.into_range(notes, bank.patches[0])
    assert [note.key for note in moved] == [76, 42]


@pytest.mark.parametrize("noise", sorted(set(noises.NOISES), key=repr))
def test_noises_are_heard(noise):
    rng = np.random.default_rng(2)
    heard = [noise(rng, draw_song(rng, 4.0), 4 * RATE) for _ in range(6)]
    assert all(sound.shape == (1, 4 * RATE) for sound in heard)
    assert any(sound.any() for sound in heard)
    assert np.isfinite(heard).all()


@pytest.mark.parametrize(
    "draw", [draw for draw, _ in COUNTS], ids=[draw.__name__ for draw, _ in COUNTS]
)
def test_synthesized_instruments_are_in_tune_and_differ(draw):
    sounds = []
    for seed in range(3):
        instrument = draw(np.random.default_rng(seed))
        key = (instrument.kind.low + instrument.kind.high) // 2
        sound = instrument.render(np.random.default_rng(1), key, 0.8)
        assert instrument.kind.stem in CLASSES
        assert sound.dtype == np.float32
        assert np.isfinite(sound).all()
        assert _strength(sound, key) > 1.5 * _strength(sound, key + 2.5)
        sounds.append(sound / np.abs(sound).max())
    assert not np.allclose(sounds[0], sounds[1], atol=0.1)


def _strength(sound, key):
    """How much of a sound lies near the first harmonics of a key and the octave below it."""
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(sound.size))) ** 2
    hertz = 440 * 2 ** ((key - 69) / 12)
    bins = np.array([0.5, 1, 2, 3, 4]) * hertz * sound.size / RATE
    return sum(spectrum[int(b * 0.975) : int(b * 1.025) + 1].sum() for b in bins)


def test_programs_belong_to_known_classes():
    kinds = [kind_of(bank, program) for bank in (0, 8, 16, 20, 128) for program in range(128)]
    assert {kind.stem for kind in kinds if kind} == set(CLASSES)
    assert kind_of(128, 0) is None


def test_no_train_package_is_held():
    train = {p.package for p in sources.packages("instruments", "train")}
    held = sources.packages("instruments", "held")
    assert held
    assert not train & {p.package for p in held}
    assert all("GPL" not in p.licence for p in sources.packages("instruments", "train"))


def test_effects_keep_silence_and_length():
    quiet = np.zeros((1, 5000), np.float32)
    rng = np.random.default_rng(0)
    for effect in (
        effects.equalize,
        effects.room,
        effects.compress,
        effects.chorus,
        effects.delay,
        effects.wah,
        effects.phaser,
        effects.tremolo,
        effects.place,
    ):
        out = effect(rng, quiet)
        assert out.shape[1] == 5000
        assert not out.any()


def test_a_flat_curve_changes_nothing():
    sound = np.random.default_rng(0).standard_normal((2, 20_000)).astype(np.float32)
    flat = effects.shape_spectrum(sound, [20, 20_000], [0, 0])
    assert np.abs(flat - sound).max() < 1e-5


def test_a_room_leaves_the_direct_sound():
    click = np.zeros((1, RATE), np.float32)
    click[0, 1000] = 1.0
    out = effects.room(np.random.default_rng(1), click, wet=(0.1, 0.1001))
    assert not out[:, :1000].round(4).any()
    assert out[:, 1000] == pytest.approx(1.0, abs=0.2)
    tail = np.square(out[:, 1001:]).sum(axis=1).mean()
    assert tail == pytest.approx(0.1, rel=0.05)


def test_mp3_stays_in_place():
    rng = np.random.default_rng(1)
    sound = effects.low_pass(0.1 * rng.standard_normal((2, RATE)).astype(np.float32), 4000)
    coded = effects.mp3(rng, sound)
    error = np.square(coded - sound).sum() / np.square(sound).sum()
    assert 0 < error < 0.2
