"""Who speaks when as a text, in the formats of other programs, and links to such texts."""

from dataclasses import dataclass

from django.utils.translation import gettext_lazy as _

from config.errors import ValidationFailed, filled
from jobs.link_tokens import token_make, token_read
from jobs.models import Job
from jobs.naming import job_title
from jobs.speakers import Speakers, speakers_get_for_download
from separation.speakers.edits import renamed
from separation.speakers.formats import FORMATS, TextFormat
from separation.speakers.statistics import SpeakerStatistics

_SALT = "jobs.timeline"
# Name of the format to its content type.
TIMELINE_FORMATS = {name: form.content_type for name, form in FORMATS.items()}


@dataclass(frozen=True)
class TimelineText:
    content: str
    content_type: str
    filename: str


def timeline_text(speakers: Speakers, *, format_name: str) -> TimelineText:
    """The stored turns in this format, with the names that the speakers have now."""
    form = _format(format_name)
    titles = speakers.titles
    statistics = tuple(
        SpeakerStatistics(**{**row, "speaker": titles[row["speaker"]]})
        for row in speakers.row.statistics
    )
    # The recording may have been deleted, and its name with it.
    name = job_title(speakers.job)[:150] or "timeline"
    content = form.write(renamed(speakers.timeline, titles), name, statistics)
    return TimelineText(content, form.content_type, f"{name}.{form.extension}")


def timeline_token(job: Job, *, format_name: str, seconds: int | None = None) -> str:
    """A secret that allows to download one text for a while, at most 14 days."""
    _format(format_name)
    return token_make([str(job.uuid), format_name], salt=_SALT, seconds=seconds)


def timeline_text_of_token(token: str) -> TimelineText:
    (job_uuid, format_name), _until = token_read(token, salt=_SALT)
    return timeline_text(speakers_get_for_download(job_uuid=job_uuid), format_name=format_name)


def _format(name: str) -> TextFormat:
    form = FORMATS.get(name)
    if form is None:
        problem = filled(_("This must be one of: %(names)s."), names=", ".join(FORMATS))
        raise ValidationFailed(fields={"format": [problem]})
    return form
