"""What docs/speakers.md tells customers is what the service does."""

import json
import re
from dataclasses import fields
from pathlib import Path

from django.conf import settings

from api.native.speakers import SpeakerSerializer, SpeakersSerializer
from config import errors
from jobs.speaker_options import MAX_LUFS, MAX_SPEAKERS, MIN_LUFS, OVERLAPS, PAUSES, SpeakerOptions
from jobs.speakers import MERGES_PER_JOB
from jobs.timeline_texts import TIMELINE_FORMATS

TEXT = Path(settings.BASE_DIR, "docs", "speakers.md").read_text()


def section(title: str) -> str:
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", TEXT, re.M | re.S)
    assert found
    return found[1]


def rows(title: str) -> dict[str, str]:
    """First cell to the rest of its row, for each name in the first cell."""
    table = re.findall(r"^\| (`.*?) \| (.*) \|$", section(title), re.M)
    return {name: rest for cell, rest in table for name in re.findall(r"`(\w+)`", cell)}


def test_the_options_are_all_of_them():
    options = rows("Order")
    assert set(options) == {field.name for field in fields(SpeakerOptions)}
    defaults = SpeakerOptions()
    for name, values in (("pauses", PAUSES), ("overlap", OVERLAPS)):
        offered, default, _ = options[name].split(" | ")
        assert re.findall(r"`(\w+)`", offered) == list(values)
        assert default == f"`{getattr(defaults, name)}`"
    assert f"1 to {MAX_SPEAKERS} " in options["num_speakers"]
    assert options["loudness"].startswith(f"{MIN_LUFS:g} to {MAX_LUFS:g} LUFS ")


def test_the_example_has_the_fields_of_an_answer():
    found = re.search(r"```json\n(.*?)```", section("The result"), re.S)
    assert found
    example = json.loads(found[1])
    assert set(example) == set(SpeakersSerializer().fields)
    assert set(example["speakers"][0]) == set(SpeakerSerializer().fields)
    assert set(example["timelines"]) == set(TIMELINE_FORMATS)
    assert example["merges_left"] == MERGES_PER_JOB == 20
    assert set(rows("The result")) == set(TIMELINE_FORMATS)


def test_the_errors_have_the_status_that_is_said():
    known = {
        kind.code: kind.status
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.AppError)
    }
    said = {
        code: int(rest.split(" | ")[0])
        for code, rest in rows("When it is refused, or fails").items()
    }
    assert len(said) > 10
    assert said == {code: known[code] for code in said}
    assert "no_speech" in known
