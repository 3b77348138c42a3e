"""Find the texts of pages, and make what is served of their translations: `make messages`.

Needs gettext's programs. Texts that are new stand at the end without a translation, which a test
then tells.
"""

import os
import sys
from pathlib import Path

import django
import polib
from django.core.management import call_command

ROOT = Path(__file__).resolve().parent.parent
# What is not ours, and what speaks to nobody.
IGNORED = [".venv", "var", "tests", "clients", "benchmarks", "separation"]
# They change at each run and say nothing.
STAMPS = ("POT-Creation-Date", "PO-Revision-Date", "Report-Msgid-Bugs-To")


def main() -> None:
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    # No text is in the database.
    os.environ["DATABASE_URL"] = "postgresql://unused/unused"
    django.setup()
    options = {"no_location": True, "no_wrap": True, "no_obsolete": True, "verbosity": 0}
    call_command("makemessages", all=True, ignore_patterns=IGNORED, **options)
    for path in ROOT.glob("locale/*/LC_MESSAGES/django.po"):
        catalogue = polib.pofile(str(path), wrapwidth=0)
        for name in STAMPS:
            catalogue.metadata.pop(name, None)
        catalogue.save()
        catalogue.save_as_mofile(str(path.with_suffix(".mo")))
        missing = [*catalogue.untranslated_entries(), *catalogue.fuzzy_entries()]
        sys.stdout.write(f"{path.parent.parent.name}: {len(catalogue)}, {len(missing)} to do\n")


if __name__ == "__main__":
    main()
