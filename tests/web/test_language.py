"""Each text of the pages stands in each language, with the same places to fill in."""

import re
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import polib
import pytest
from django.conf import settings as configured
from django.core.management import call_command
from django.test import Client
from django.utils import translation
from django.utils.translation import gettext_lazy as _

from config.errors import CardDeclined, NotAuthenticated, ValidationFailed, filled, stored_text
from tests.web.html import Page

pytestmark = pytest.mark.django_db

FOLDER = Path(configured.BASE_DIR)
CATALOGUE = FOLDER / "locale" / "de" / "LC_MESSAGES" / "django.po"
PLACES = re.compile(r"%\(\w+\)[sd]|%[sd]|\{\w*\}|</?[a-z][^>]*>")
# Where texts for readers are.
SOURCES = ("accounts", "api", "billing", "config", "jobs", "templates", "web")


@pytest.fixture(scope="module")
def german() -> polib.POFile:
    return polib.pofile(str(CATALOGUE))


def test_every_text_is_translated(german: polib.POFile):
    assert [entry.msgid for entry in german.untranslated_entries()] == []
    assert [entry.msgid for entry in german.fuzzy_entries()] == []


def test_what_is_filled_in_stays(german: polib.POFile):
    wrong = [
        entry.msgid
        for entry in german
        for text in (entry.msgstr, *entry.msgstr_plural.values())
        if text and _places(text) not in (_places(entry.msgid), _places(entry.msgid_plural))
    ]
    assert wrong == []


def _places(text: str) -> list[str]:
    return sorted(PLACES.findall(text))


def test_what_is_served_was_made_of_it(german: polib.POFile):
    made = polib.mofile(str(CATALOGUE.with_suffix(".mo")))
    assert {(entry.msgctxt, entry.msgid): entry.msgstr for entry in made} == {
        (entry.msgctxt, entry.msgid): entry.msgstr for entry in german
    }


def test_no_text_is_missing_in_it(
    german: polib.POFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any
):
    if shutil.which("xgettext") is None:
        pytest.skip("gettext is not installed")
    for name in SOURCES:
        shutil.copytree(FOLDER / name, tmp_path / name)
    (tmp_path / "locale").mkdir()
    # Else it would write into the catalogue that it is compared with.
    settings.LOCALE_PATHS = [str(tmp_path / "locale")]
    monkeypatch.chdir(tmp_path)
    call_command("makemessages", locale=["de"], no_location=True, no_wrap=True, verbosity=0)
    found = polib.pofile(str(tmp_path / "locale" / "de" / "LC_MESSAGES" / "django.po"))
    assert {entry.msgid for entry in found} == {entry.msgid for entry in german}


@pytest.mark.parametrize("path", ["/", "/pricing", "/docs/", "/account/login/", "/nowhere"])
def test_pages_are_in_the_language_of_the_reader(path: str, settings: Any):
    client = Client(headers={"Accept-Language": "de-CH,de;q=0.9,en;q=0.5"})
    response = client.get(path)
    assert response["Content-Language"] == "de"
    page = Page(response.content.decode())
    assert page.all("html")[0]["lang"] == "de"
    assert page.problems() == ["lang or main"]
    assert "Anmelden" in response.text


GERMAN = {"Accept-Language": "de"}


def test_programs_are_answered_in_english_after_a_german_page():
    client = Client(headers=GERMAN)
    assert client.get("/")["Content-Language"] == "de"
    # The same thread, which still has the language of the page.
    assert client.get("/v1/nothing").json()["error"]["message"] == "There is no such address."
    assert "Content-Language" not in client.get("/v1/jobs")


def test_what_a_pages_script_asks_is_answered_in_the_readers_language():
    errors = {
        language: Client(headers={"Accept-Language": language, "X-CSRFToken": "x"})
        .get("/v1/jobs")
        .json()["error"]
        for language in ("de", "en")
    }
    assert errors["de"]["code"] == errors["en"]["code"] == "not_authenticated"
    assert errors["de"]["message"] == gettext_in("de", str(NotAuthenticated().english))


def gettext_in(language: str, text: str) -> str:
    with translation.override(language):
        return translation.gettext(text)


def test_an_error_is_said_in_the_language_in_which_it_is_shown():
    error = CardDeclined()
    with translation.override("de"):
        assert error.text == "Die Karte wurde abgelehnt."
        assert error.english == "The card was declined."
    assert error.text == "The card was declined."


def test_values_in_an_error_are_written_as_the_reader_does():
    error = ValidationFailed(
        fields={"jobs": [filled(_("Choose at most %(n)s jobs at once."), n=Decimal("2.5"))]}
    )
    with translation.override("de"):
        assert error.fields == {"jobs": ["Bitte höchstens 2,5 Jobs auf einmal auswählen."]}
    assert error.fields == {"jobs": ["Choose at most 2.5 jobs at once."]}


@pytest.mark.parametrize(
    ("code", "stored", "german"),
    [
        ("card_declined", "The card was declined.", "Die Karte wurde abgelehnt."),
        # With values in it: what its code says in general.
        ("card_declined", "Card 4242 was declined.", "Die Karte wurde abgelehnt."),
        ("of_a_later_version", "Something new.", "Something new."),
        ("card_declined", "", ""),
    ],
)
def test_what_was_stored_is_said_in_the_readers_language(code: str, stored: str, german: str):
    with translation.override("de"):
        assert stored_text(code, stored) == german
    assert stored_text(code, stored) == stored
