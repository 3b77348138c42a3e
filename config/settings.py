"""All settings, read from the environment. Without any, this is a development machine."""

import os
import sys
from pathlib import Path
from typing import Any

import dj_database_url
import structlog

from config import env
from config.localdb import ensure_database_url
from config.logs import mask_download_tokens

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = BASE_DIR / "var"

# --- The site ---------------------------------------------------------------------------------

PRODUCTION = env.boolean("STEMWRIGHT_PRODUCTION", default=False)
DEBUG = env.boolean("STEMWRIGHT_DEBUG", default=False)
# Missing secrets stop a production start; a development machine is reached from loopback only.
_insecure: str | None = None if PRODUCTION else "for-development-only"
SECRET_KEY = env.text("SECRET_KEY", _insecure)
# API keys have a pepper of their own, so that SECRET_KEY can be changed without killing them.
API_KEY_PEPPER = env.text("API_KEY_PEPPER", _insecure)
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", "" if PRODUCTION else "localhost,127.0.0.1,[::1]")

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_q",
    "django_structlog",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "rest_framework",
    "accounts",
    "billing",
    "jobs",
    "api",
]
MIDDLEWARE = [
    # First, so that a refusal by any of the others has a request id and is logged.
    "django_structlog.middlewares.RequestMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
LANGUAGE_CODE = "en"
USE_TZ = True
TIME_ZONE = "UTC"

# --- Database ---------------------------------------------------------------------------------

# PostgreSQL only. Where DATABASE_URL names none, a development machine starts one under var/.
DATABASES = {
    "default": dj_database_url.parse(
        ensure_database_url(),
        # Not 0: the queue's broker would open a connection for each task (measured: 5 x slower).
        conn_max_age=60,
        conn_health_checks=True,
    )
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- People -----------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

# --- Files ------------------------------------------------------------------------------------

STATIC_URL = "static/"
STATIC_ROOT = VAR_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
MEDIA_ROOT = Path(env.text("STEMWRIGHT_MEDIA_DIR", str(VAR_DIR / "media")))
STORAGES: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
# Uploads go to disk in blocks as they arrive, and stop at the limit.
FILE_UPLOAD_HANDLERS = ["jobs.uploads.LimitedTemporaryFileUploadHandler"]
FILE_UPLOAD_TEMP_DIR = os.environ.get("STEMWRIGHT_UPLOAD_TEMP_DIR")

# --- What is sold -----------------------------------------------------------------------------

UPLOAD_MAX_BYTES = env.integer("STEMWRIGHT_UPLOAD_MAX_BYTES", 2 * 1024**3)
RECORDING_MAX_SECONDS = env.integer("STEMWRIGHT_RECORDING_MAX_SECONDS", 3 * 3600)
DOWNLOAD_URL_SECONDS = env.integer("STEMWRIGHT_DOWNLOAD_URL_SECONDS", 3600)

# --- Jobs -------------------------------------------------------------------------------------

# A worker that is silent for this long has lost its job to the reaper.
JOB_LEASE_SECONDS = env.integer("STEMWRIGHT_JOB_LEASE_SECONDS", 30)
JOB_HEARTBEAT_SECONDS = 1
JOB_MAX_ATTEMPTS = 3
# Stems are written here first; about 10 MB a minute and stem.
SCRATCH_DIR = Path(env.text("STEMWRIGHT_SCRATCH_DIR", str(VAR_DIR / "scratch")))
SEPARATION_DEVICE = env.text("STEMWRIGHT_DEVICE", "cpu")

Q_CLUSTER: dict[str, Any] = {
    "name": "default",
    "orm": "default",
    "workers": 2,
    # Light work only. `retry` counts from the moment that a task is fetched, not started: it must
    # exceed (prefetched + 1) x the longest task, else tasks run twice.
    "timeout": 60,
    "retry": 600,
    # 1: no task waits in a local queue, where a kill would hold it until `retry`.
    "queue_limit": 1,
    "max_attempts": 3,
    "ack_failures": True,
    # A schedule that was missed runs once, not once for each time that it was missed.
    "catch_up": False,
    # Database polls: 0.2 s keeps the wait of a new job under half a second.
    "poll": 0.2,
    # Must divide timeout + 3: the guard compares the remaining time with 0 exactly.
    "guard_cycle": 0.5,
    "save_limit": 1000,
    "ALT_CLUSTERS": {
        "separation": {
            # One process for the device; the model stays in it.
            "workers": 1,
            # A task runs one job, which may last; it has a lease of its own.
            "timeout": 24 * 3600,
            "retry": 25 * 3600,
            "queue_limit": 1,
            "recycle": 1_000_000_000,
            # Schedules belong to the default cluster.
            "scheduler": False,
        },
    },
}

# --- API --------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "UNAUTHENTICATED_USER": None,
}
# A progress stream holds a server thread for minutes. Must stay well below the threads of a process
# (`--threads` in scripts/serve.py), else nothing else is answered.
PROGRESS_STREAMS_PER_PROCESS = env.integer("STEMWRIGHT_PROGRESS_STREAMS_PER_PROCESS", 8)
# Counted in each process too.
PROGRESS_STREAMS_PER_WORKSPACE = env.integer("STEMWRIGHT_PROGRESS_STREAMS_PER_WORKSPACE", 4)
SPECTACULAR_SETTINGS = {
    "TITLE": "Stemwright",
    "DESCRIPTION": "Takes recordings apart. Amounts ending in `_mcr` are integer milli-credits.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
}

# --- Security ---------------------------------------------------------------------------------

SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = PRODUCTION
# Probes come from within, over plain HTTP.
SECURE_REDIRECT_EXEMPT = [r"^livez$", r"^readyz$"]
SECURE_HSTS_SECONDS = 31_536_000 if PRODUCTION else 0
if PRODUCTION:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "frame-ancestors": ["'none'"],
    },
}

# --- Logs: one JSON object a line; words on a terminal ----------------------------------------

_shared_processors: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso"),
    structlog.processors.StackInfoRenderer(),
]
_renderer: list[Any] = (
    [mask_download_tokens, structlog.dev.ConsoleRenderer()]
    if sys.stderr.isatty()
    else [
        structlog.processors.format_exc_info,
        mask_download_tokens,
        structlog.processors.JSONRenderer(),
    ]
)
structlog.configure(
    processors=[*_shared_processors, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "structured": {
            "()": structlog.stdlib.ProcessorFormatter,
            "foreign_pre_chain": _shared_processors,
            "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_renderer],
        }
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "structured"}},
    "root": {"handlers": ["stderr"], "level": env.text("STEMWRIGHT_LOG_LEVEL", "INFO")},
    # django-q2 would add a handler of its own and write each line twice.
    "loggers": {"django-q": {"handlers": ["stderr"], "level": "WARNING", "propagate": False}},
}
