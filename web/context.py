from django.conf import settings
from django.http import HttpRequest


def mail(request: HttpRequest) -> dict[str, bool]:
    """Whether mail goes to the log, which the pages that promise one then say."""
    return {"mail_is_logged": settings.EMAIL_BACKEND.endswith(".console.EmailBackend")}
