"""Mixtures of drums, made of tiny banks; nothing is fetched."""

from dataclasses import replace

import numpy as np
import pytest

from separation.training import sources
from separation.training.drums import (
    CLASSES,
    DrumMixer,
    bank,
    colour,
    grooves,
    held_kits,
    kits,
    modes,
    synthesis,
)
from separation.training.drums.bank import Bank
from separation.training.drums.drawing import Kit
from separation.training.drums.grooves import Hit
from separation.training.drums.mixer import choked_at, compress
from separation.training.drums.recorded import RATE, RawSound

N = 3 * RATE
HELD = "black-pearl"


def burst(seed, seconds=0.3):
    """A decaying sound of its own."""
    rng = np.random.default_rng(seed)
    n = int(seconds * RATE)
    return rng.standard_normal((2, n)).astype(np.float32) * np.exp(-np.arange(n) / 2000).astype(
        np.float32
    )


def tiny_bank(tmp_path, kit="train-kit", voices=tuple(kits.VOICES)):
    raw = [RawSound(kit, voice, (burst(i), burst(i + 100))) for i, voice in enumerate(voices)]
    target = tmp_path / kit
    bank.write(target, raw, bank.Distinct())
    return Bank.from_folders(target)


@pytest.fixture
def mixer(tmp_path):
    return DrumMixer("train", bank=tiny_bank(tmp_path))


def test_an_example_has_all_classes_in_stereo(mixer):
    assert mixer.classes == CLASSES
    stems = mixer.example(np.random.default_rng(0), N)
    assert stems.shape == (len(CLASSES), 2, N)
    assert stems.dtype == np.float32
    assert np.isfinite(stems).all()


def test_the_mixture_is_neither_silent_nor_too_loud(mixer):
    for seed in range(8):
        peak = np.abs(mixer.example(np.random.default_rng(seed), N).sum(axis=0)).max()
        assert 0.2 < peak < 1.0


def test_the_same_seed_makes_the_same_example(mixer):
    one, two, other = (mixer.example(np.random.default_rng(seed), N) for seed in (1, 1, 2))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


def test_every_class_is_heard_and_every_class_is_missing_at_times(mixer):
    heard = np.array(
        [
            np.abs(mixer.example(np.random.default_rng(s), N)).max(axis=(1, 2)) > 1e-4
            for s in range(24)
        ]
    )
    assert heard.any(axis=0).all()
    assert not heard.all(axis=0).any()


def test_only_the_asked_kit_is_played(tmp_path):
    known = tiny_bank(tmp_path, HELD, ("kick", "snare", "hat_closed"))
    other = tiny_bank(tmp_path, "colombo")
    both = Bank(
        [*known.sounds, *(replace(sound, part=1) for sound in other.sounds)],
        [*known.parts, *other.parts],
    )
    mixer = DrumMixer("held", kit=HELD, bank=both)
    without_leakage = [
        mixer.example(np.random.default_rng(seed), N)[CLASSES.index("ride")] for seed in range(6)
    ]
    assert max(np.abs(ride).max() for ride in without_leakage) == 0.0
    anything = DrumMixer("held", bank=both)
    assert any(
        np.abs(anything.example(np.random.default_rng(seed), N)[CLASSES.index("ride")]).max() > 0
        for seed in range(12)
    )


def test_a_kit_that_is_not_held_back_cannot_be_measured(tmp_path):
    some = tiny_bank(tmp_path)
    with pytest.raises(ValueError, match="held back"):
        DrumMixer("held", kit="tr-808", bank=some)
    with pytest.raises(ValueError, match="held back"):
        DrumMixer("train", kit=HELD, bank=some)


def test_no_kit_is_both_for_training_and_for_testing():
    def names(role):
        sampled = {kit.name for kit in kits.sampled_kits(role)}
        fonts = {
            font.name_of(preset) for font in kits.soundfont_kits(role) for preset in font.presets
        }
        return sampled | fonts

    assert not names("train") & names("held")
    assert set(held_kits()) <= names("held")
    assert {HELD, "forzee", "red-zeppelin"} <= set(held_kits())


def test_no_file_is_both_for_training_and_for_testing():
    entries = sources.packages("drums")
    by_role = {
        role: {
            (kit.package.package, f"{kit.folder}/{pattern}")
            for kit in kits.sampled_kits(role)
            for pattern, _ in kit.sounds
        }
        for role in ("train", "held")
    }
    assert not by_role["train"] & by_role["held"]
    for kit in kits.sampled_kits("held"):
        path = f"{kit.folder}/anything"
        takers = [entry for entry in entries if entry.package == kit.package.package]
        assert {entry.role for entry in takers if entry.takes(path)} == {"held"}


def test_what_a_held_kit_shares_with_a_training_one_is_left_out(tmp_path):
    shared, own = burst(1), burst(2)
    heard = bank.Distinct()
    assert heard.adds("kick", shared)
    target = tmp_path / "held"
    raw = [RawSound(HELD, "kick", (shared * 0.3,)), RawSound(HELD, "kick", (own,))]
    bank.write(target, raw, heard)
    assert len(Bank.from_folders(target).sounds) == 1


def test_every_voice_belongs_to_a_class():
    assert set(kits.VOICES.values()) == set(CLASSES)
    for role in ("train", "held"):
        for kit in kits.sampled_kits(role):
            assert {voice for _, voice in kit.sounds} <= set(kits.VOICES)
        for font in kits.soundfont_kits(role):
            assert set(font.voices.values()) <= set(kits.VOICES)


def test_sounds_are_cut_to_their_onset_and_ordered_by_strength(tmp_path):
    late = np.pad(burst(3), ((0, 0), (RATE, RATE)))
    soft = np.pad(burst(4), ((0, 0), (100, 0))) * np.float32(0.1)
    bank.write(tmp_path / "b", [RawSound("k", "snare", (late, soft))], bank.Distinct())
    opened = Bank.from_folders(tmp_path / "b")
    (sound,) = opened.sounds
    takes = [opened.layer(sound, index) for index in range(2)]
    for take in takes:
        assert take.shape[1] < 0.4 * RATE
        assert np.abs(take[:, :100]).max() > 0.03 * np.abs(take).max()
    similar = np.corrcoef(takes[0][0, 50:5000], burst(4)[0, 6:4956])[0, 1]
    assert abs(similar) > abs(np.corrcoef(takes[1][0, 50:5000], burst(4)[0, 6:4956])[0, 1])


def test_a_hat_ends_the_one_before():
    hits = [Hit(0.0, "hat_open", 1), Hit(0.1, "kick", 1), Hit(0.5, "hat_pedal", 1)]
    assert choked_at(hits) == [0.5, float("inf"), float("inf")]


def test_what_is_done_to_the_bus_is_done_to_all_stems_alike():
    rng = np.random.default_rng(5)
    stems = np.stack([burst(seed, 1.0) for seed in range(7)])
    before = stems.copy()
    compress(rng, stems)
    ratio = stems / before
    assert np.allclose(ratio, ratio[:1], rtol=1e-3)
    assert ratio.min() < 0.9


@pytest.mark.parametrize("name", list(grooves.STYLES))
def test_the_lines_of_a_style_are_as_long_as_its_bar(name):
    style = grooves.STYLES[name]
    patterns = [*style.lead, *(line for lines in style.parts.values() for line in lines)]
    assert {len(pattern) for pattern in patterns} == {style.beats * style.steps}
    assert set("".join(patterns)) <= set("Xxo-.")
    assert set(style.parts) | set(style.leads) <= set(kits.VOICES)


def test_hits_are_in_order_and_within_their_time():
    for seed in range(30):
        hits = grooves.draw_hits(np.random.default_rng(seed), -2.0, 6.0)
        times = [hit.at_s for hit in hits]
        assert times == sorted(times)
        assert -2.1 < times[0]
        assert times[-1] < 6.5
        assert all(0 < hit.strength <= 1 for hit in hits)
        assert {hit.voice for hit in hits} <= set(kits.VOICES)


def test_a_sound_moves_in_pitch():
    times = np.arange(RATE // 2) / RATE
    tone = np.tile(np.sin(2 * np.pi * 1000 * times), (2, 1)).astype(np.float32)
    flat = colour.Curve(())
    moved = colour.shaped(tone, semitones=12, curve=flat, room=None, wet=0)[:, : RATE // 4]
    peak = np.argmax(np.abs(np.fft.rfft(moved[0]))) * RATE / moved.shape[1]
    assert peak == pytest.approx(2000, rel=0.01)


@pytest.mark.parametrize(
    ("kind", "low_db", "high_db"), [("low", 6, 0), ("high", 0, 6), ("bell", 0, 0)]
)
def test_the_filters_have_the_gains_that_they_name(kind, low_db, high_db):
    curve = colour.Curve(((kind, 1000.0, 6.0, 0.7),))
    gains = 20 * np.log10(np.abs(curve.response(np.array([1.0, 1000.0, 2e6], np.float32))))
    assert gains[[0, 2]] == pytest.approx([low_db, high_db], abs=0.1)
    assert gains[1] == pytest.approx(6 if kind == "bell" else 3, abs=0.1)


def test_a_drawn_kit_keeps_its_hats_of_one_kind(tmp_path):
    some = tiny_bank(tmp_path, "kit", ("hat_closed", "kick"))
    voice = Kit(np.random.default_rng(0), some).voice("hat_open")
    assert voice is not None
    assert voice.stem == "hihat"
    assert Kit(np.random.default_rng(0), some).voice("ride") is None


def test_a_computed_kit_has_every_stem_and_is_always_the_same():
    first, again = (list(synthesis.synthesized(2)) for _ in range(2))
    assert {sound.kit for sound in first} == {"synthesized-0", "synthesized-1"}
    assert {kits.VOICES[sound.voice] for sound in first} == set(CLASSES)
    for one, two in zip(first, again, strict=True):
        assert np.array_equal(one.takes[0], two.takes[0])
        assert one.takes[0].shape[0] == 2
        assert np.isfinite(one.takes[0]).all()
        assert np.abs(one.takes[0]).max() > 0


def test_modes_ring_at_their_frequency_and_die_away():
    rng = np.random.default_rng(0)
    sound = modes.modal(rng, np.array([3000.0]), np.ones((1, 1)), np.array([0.1]), 1.0)[0]
    spectrum = np.abs(np.fft.rfft(sound[:RATE]))
    assert np.argmax(spectrum) == pytest.approx(3000, abs=2)
    early, late = (np.sqrt(np.square(sound[at : at + 4410]).mean()) for at in (0, 22_050))
    assert late / early == pytest.approx(np.exp(-5), rel=0.02)


def test_a_membrane_has_the_ratios_of_the_books():
    assert modes.membrane_ratios()[:5] == pytest.approx([1, 1.593, 2.136, 2.295, 2.653], abs=0.001)
