"""Mail of our own; allauth sends the rest."""

from django.conf import settings
from django.core.mail import send_mail
from django.template.loader import render_to_string
from django.urls import reverse

from accounts.models import Invitation


def site_url(path: str) -> str:
    """Where a path of ours is. Not by the Host header: that is what the caller says."""
    return str(settings.SITE_URL).rstrip("/") + path


def invitation_mail_send(*, invitation: Invitation, token: str) -> None:
    context = {
        "invitation": invitation,
        "days": settings.INVITATION_DAYS,
        "url": site_url(reverse("invitation-accept", args=[token])),
    }
    subject = render_to_string("mail/invitation_subject.txt", context)
    body = render_to_string("mail/invitation.txt", context)
    # A subject is one line, whatever the workspace is called.
    send_mail(" ".join(subject.split()), body, None, [invitation.email])
