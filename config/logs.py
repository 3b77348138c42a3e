"""Logs: one JSON object a line, words on a terminal; and what must not be read in them."""

import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

# Whoever has such a link may download, upload, set a password, confirm an address or see an
# invitation. Such an address may stand in the query of another, where its slashes are escaped.
_PATHS = (
    "/downloads/|/timelines/|/upload-parts/|(?<!workspace)/invitations/"
    "|/password/reset/key/|/confirm-email/"
)
_TOKENS = (
    re.compile(f"({_PATHS.replace('/', '(?:/|%2f)')})[^\\s?&\"']+", re.IGNORECASE),
    # An address that storage has signed, or that somebody gave us to fetch from another's storage.
    re.compile(
        r"([?&](?:x-amz-(?:signature|credential|security-token)|signature|sig|token)=)[^\s&\"']+",
        re.IGNORECASE,
    ),
    # Secrets of webhooks and keys of the API, by their form; the id of a key stays.
    re.compile(r"(\bwhsec_)[A-Za-z0-9+/=_-]+"),
    re.compile(r"(\bap_[A-Za-z0-9]{8})[A-Za-z0-9]{38}"),
)


def mask_tokens(
    logger: Any, method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """A structlog processor; comes last before the renderer, so that tracebacks are text."""
    for name, value in event.items():
        if isinstance(value, str):
            for token in _TOKENS:
                value = token.sub(r"\1***", value)
            event[name] = value
    return event


def structlog_configure() -> None:
    structlog.configure(
        processors=[*_shared_processors(), structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def logging_settings(*, level: str) -> dict[str, Any]:
    """What Django's LOGGING is to be."""
    processors = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_renderer()]
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "structured": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": _shared_processors(),
                "processors": processors,
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "structured"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # django-q2 would add a handler of its own and write each line twice.
            "django-q": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
            # It would tell headers with customers' secrets.
            "httpcore": {"level": "WARNING"},
        },
    }


def _shared_processors() -> list[Any]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso"),
        structlog.processors.StackInfoRenderer(),
    ]


def _renderer() -> list[Any]:
    is_terminal = sys.stderr.isatty()
    # The console's own formatter would print the variables of each frame, passwords too.
    console = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    return [
        structlog.processors.format_exc_info,
        mask_tokens,
        console if is_terminal else structlog.processors.JSONRenderer(),
    ]
