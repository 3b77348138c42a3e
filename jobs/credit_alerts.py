"""Telling a workspace that its credits run low: its members by mail, its webhooks by an event."""

from django.db import transaction

from billing.credit_alerts import credit_alert_tell, credit_alerts_low, credit_alerts_rearm
from jobs.outbox import credits_low


def credit_alerts_run() -> None:
    """Each once, however many run beside each other: all of it is written together, or nothing."""
    credit_alerts_rearm()
    for pk in credit_alerts_low():
        with transaction.atomic():
            told = credit_alert_tell(pk)
            if told is not None:
                credits_low(told)
