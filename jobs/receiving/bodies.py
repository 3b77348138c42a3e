"""How many bodies of recordings may come in at a time, by APIs and pages together."""

from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from config.errors import NoRoom
from jobs.places import Places


@contextmanager
def body_place(environ: Mapping[str, Any], *, owner: Hashable) -> Iterator[None]:
    """While a body is read. It holds a server thread, so few may at a time."""
    with _places.place(owner):
        # Of config/gunicorn.py.
        arrival = getattr(environ["wsgi.input"], "arrival", None)
        if arrival is not None:
            arrival.limit(
                idle_s=settings.UPLOAD_IDLE_SECONDS, total_s=settings.UPLOAD_REQUEST_SECONDS
            )
        yield


def _refusal() -> NoRoom:
    # Not 429, which clients of tus take for final.
    return NoRoom(
        _("Too many bodies are being received; try again shortly."), headers={"Retry-After": "2"}
    )


_places = Places(
    most=lambda: int(settings.UPLOAD_BODIES_PER_PROCESS),
    most_of_owner=lambda: int(settings.UPLOAD_BODIES_PER_OWNER),
    refuse=_refusal,
)
