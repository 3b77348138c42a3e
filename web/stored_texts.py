"""Sentences that workers write down in English: pages show them in the reader's language."""

from typing import Final

from django.utils.translation import gettext, gettext_noop

from config.errors import stored_text
from jobs.models import Ingest, Job

# For translators to find; what an AppError says is found where it is raised.
_WRITTEN: Final = (
    # Of jobs.
    gettext_noop("This took longer than a job may take."),
    gettext_noop("The process that worked on this was lost."),
    gettext_noop("The machine that worked on this was lost."),
    gettext_noop("There was no space to work on this."),
    gettext_noop("There was not enough memory."),
    gettext_noop("Files could not be stored."),
    # Of what is fetched or sent.
    gettext_noop("Fetching the file took too long."),
    gettext_noop("The server of this address could not be reached."),
    gettext_noop("The server of this address has no valid certificate."),
    gettext_noop("The address leads from one to the next too many times."),
    gettext_noop("The server of this address did not answer with a file."),
    gettext_noop("Not all of the file arrived in time."),
    gettext_noop("The import was cancelled."),
    gettext_noop("Storage did not answer."),
    gettext_noop("Storage has no parts of it any more; begin anew."),
    # Of webhooks.
    gettext_noop("It answered 410 Gone."),
    # Of payments and automatic top-ups.
    gettext_noop("The card was declined."),
    gettext_noop("The saved card cannot be charged."),
    gettext_noop("There is no saved card."),
    gettext_noop("A payment was given back or disputed."),
    gettext_noop("The payment failed."),
    gettext_noop("The checkout was not finished in time."),
    gettext_noop("The checkout could not be opened."),
    gettext_noop("The automatic top-up was switched off."),
    gettext_noop("Its pack costs more now, or brings less; the new terms need your consent."),
    gettext_noop("Its pack is not sold any more."),
    gettext_noop("The checkout was cut off."),
    gettext_noop("Stripe could not be reached."),
    gettext_noop("Stripe does not have it any more."),
    gettext_noop("Stripe does not have the payment any more."),
    gettext_noop("Stripe's side of it is not what was agreed."),
)


def failure_text(row: Job | Ingest) -> str:
    """Why a job or an import failed."""
    return stored_text(row.error_code, row.error_message)


def reason_text(reason: str) -> str:
    """Why the service switched something off."""
    return gettext(reason) if reason else ""
