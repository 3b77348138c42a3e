from typing import Any

from django import template

from jobs.models import Job
from web.app import shares

register = template.Library()


@register.simple_tag
def shares_of(job: Job) -> dict[str, Any]:
    """The links of a job, and the form for another: `{% shares_of job as found %}`."""
    return shares.shares_of(job)
