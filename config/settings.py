"""All settings, read from the environment. Without any, this is a development machine."""

import os
from base64 import urlsafe_b64encode
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import dj_database_url
from cryptography.fernet import Fernet, MultiFernet

from config import env
from config.admin_look import ADMIN_LOOK
from config.broker import broker_settings, sqs_queue_prefix
from config.buckets import bucket_origin, bucket_storage_from_environment
from config.clusters import clusters_settings
from config.localdb import ensure_database_url
from config.logs import logging_settings, structlog_configure

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
    # Before the admin, whose templates it replaces; web/console/database.py has the site.
    "unfold",
    "django.contrib.admin.apps.SimpleAdminConfig",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.humanize",
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
    "web",
]
MIDDLEWARE = [
    # First, so that a refusal by any of the others has a request id and is logged.
    "django_structlog.middlewares.RequestMiddleware",
    "config.metrics.MetricsMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "web.locale.PageLocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "web.time_zone.TimeZoneMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "allauth.usersessions.middleware.UserSessionsMiddleware",
    "web.impersonation.ImpersonationMiddleware",
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
                "web.context.mail",
                "web.context.frame",
            ],
        },
    },
]
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_TZ = True
TIME_ZONE = "UTC"

# --- Database ---------------------------------------------------------------------------------

# PostgreSQL only. Where DATABASE_URL names none, a development machine starts one under var/.
_prepares = env.boolean("STEMWRIGHT_DATABASE_PREPARES", default=True)
DATABASES = {
    "default": dj_database_url.parse(
        ensure_database_url(),
        engine="config.postgresql",
        # Not 0: the queue's broker would open a connection for each task (measured: 5 x slower).
        conn_max_age=60,
        conn_health_checks=True,
    )
}
DATABASES["default"].setdefault("OPTIONS", {}).update(
    {
        "connect_timeout": 5,
        # A statement that comes so often on a connection is planned once (config/postgresql).
        "prepare_threshold": 5 if _prepares else None,
        # A database whose machine has gone without a word: calls to it end within 20 s.
        "keepalives_idle": 10,
        "keepalives_interval": 3,
        "keepalives_count": 3,
        "tcp_user_timeout": 20_000,
        # A process that was stopped in the middle of a transaction must not hold its locks for
        # ever: others wait for them to take its work over.
        "options": "-c idle_in_transaction_session_timeout=10s",
    }
)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Shared by all processes, since it counts failed log-ins. The table is made by a migration.
CACHES: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "django_cache",
        # Beyond this, entries are dropped before their time, and with them the counts of failed
        # log-ins. Django's 300 would let an attacker push his own out.
        "OPTIONS": {"MAX_ENTRIES": 20_000},
    }
}

# --- People -----------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
# One way in, with its limit on failed attempts and without a hint whether an address is known.
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
SESSION_ENGINE = "accounts.sessions"
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "app-home"
ACCOUNT_ADAPTER = "accounts.adapter.AccountAdapter"
ACCOUNT_FORMS = {"signup": "accounts.forms.SignupForm"}
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
# A link that a mail scanner opens must not confirm anything.
ACCOUNT_CONFIRM_EMAIL_ON_GET = False
# Where somebody has just signed up: the password need not be given again.
ACCOUNT_LOGIN_ON_EMAIL_CONFIRMATION = True
ACCOUNT_PREVENT_ENUMERATION = True
# Mail on a changed password, a new second factor and the like.
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_MAX_EMAIL_ADDRESSES = 5
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = "Stemwright"
MFA_TOTP_TOLERANCE = 1
MFA_ADAPTER = "accounts.adapter.MfaAdapter"
MFA_FORMS = {
    "authenticate": "accounts.second_factor.AuthenticateForm",
    "reauthenticate": "accounts.second_factor.ReauthenticateForm",
    "activate_totp": "accounts.second_factor.ActivateTOTPForm",
    "add_webauthn": "accounts.second_factor.AddWebAuthnForm",
    "authenticate_webauthn": "accounts.second_factor.AuthenticateWebAuthnForm",
    "login_webauthn": "accounts.second_factor.LoginWebAuthnForm",
    "reauthenticate_webauthn": "accounts.second_factor.ReauthenticateWebAuthnForm",
}
# Browsers allow passkeys on http://localhost.
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not PRODUCTION
USERSESSIONS_ADAPTER = "accounts.adapter.UserSessionsAdapter"
USERSESSIONS_TRACK_ACTIVITY = True

# Proxies in front of the service; each appends one address to X-Forwarded-For.
ALLAUTH_TRUSTED_PROXY_COUNT = env.integer("STEMWRIGHT_TRUSTED_PROXY_COUNT", 0)

ACCESS_TOKEN_SECONDS = 15 * 60
REFRESH_TOKEN_DAYS = 30
INVITATION_DAYS = 7
# Signs access tokens. Several, newest first, while one is being replaced.
JWT_SECRETS = env.words("JWT_SECRETS", _insecure and f"{_insecure}-of-access-tokens-0123456789")
if min((len(secret) for secret in JWT_SECRETS), default=0) < 32:
    raise env.EnvError("JWT_SECRETS needs at least one secret, each of 32 characters or more.")
# Encrypts the secrets of second factors and of webhooks in the database. Several, newest first: an
# older one opens what was encrypted with it, for as long as it stays here.
MFA_ENCRYPTION_KEYS = env.words(
    "MFA_ENCRYPTION_KEYS",
    _insecure and urlsafe_b64encode(_insecure.encode().ljust(32, b".")).decode(),
)
try:
    MultiFernet([Fernet(key) for key in MFA_ENCRYPTION_KEYS])
except ValueError:
    raise env.EnvError(
        "MFA_ENCRYPTION_KEYS needs at least one key, each of 32 bytes in URL-safe base64."
    ) from None

# --- Mail -------------------------------------------------------------------------------------

# Without a server, mail is written to the log: sign-up works on a laptop.
EMAIL_HOST = env.text("EMAIL_HOST", "")
EMAIL_BACKEND = (
    "django.core.mail.backends.smtp.EmailBackend"
    if EMAIL_HOST
    else "django.core.mail.backends.console.EmailBackend"
)
EMAIL_PORT = env.integer("EMAIL_PORT", 587)
EMAIL_HOST_USER = env.text("EMAIL_HOST_USER", "")
EMAIL_HOST_PASSWORD = env.text("EMAIL_HOST_PASSWORD", "")
EMAIL_USE_TLS = env.boolean("EMAIL_USE_TLS", default=True)
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.text("DEFAULT_FROM_EMAIL", "Stemwright <noreply@localhost>")

# --- Files ------------------------------------------------------------------------------------

STATIC_URL = "static/"
STATIC_ROOT = VAR_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
MEDIA_ROOT = Path(env.text("STEMWRIGHT_MEDIA_DIR", str(VAR_DIR / "media")))
# The bucket that recordings and stems are kept in; without one, they are files under MEDIA_ROOT.
S3_BUCKET = env.text("STEMWRIGHT_S3_BUCKET", "")
# Where callers reach the bucket, if that is not where the service does.
S3_PUBLIC_ENDPOINT = env.text("STEMWRIGHT_S3_PUBLIC_ENDPOINT", "")
STORAGES: dict[str, dict[str, Any]] = {
    "default": bucket_storage_from_environment(S3_BUCKET)
    if S3_BUCKET
    else {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "web.static.PageStaticFilesStorage"},
}
_bucket_origins = [bucket_origin(STORAGES["default"], S3_PUBLIC_ENDPOINT)] if S3_BUCKET else []
# Uploads go to disk in blocks as they arrive, and stop at the limit.
FILE_UPLOAD_HANDLERS = ["jobs.uploads.LimitedTemporaryFileUploadHandler"]
FILE_UPLOAD_TEMP_DIR = os.environ.get("STEMWRIGHT_UPLOAD_TEMP_DIR")

# --- What is sold -----------------------------------------------------------------------------

UPLOAD_MAX_BYTES = env.integer("STEMWRIGHT_UPLOAD_MAX_BYTES", 2 * 1024**3)
# Uploads that a workspace may have under way at a time, and what they may come to.
UPLOADS_OPEN = env.integer("STEMWRIGHT_UPLOADS_OPEN", 20)
UPLOADS_OPEN_BYTES = env.integer("STEMWRIGHT_UPLOADS_OPEN_BYTES", 20 * 1024**3)
# A resumable upload that is not complete by then is given up.
UPLOAD_HOURS = env.integer("STEMWRIGHT_UPLOAD_HOURS", 24)
# A link that takes a part of a recording lasts so long, at most an hour.
UPLOAD_URL_SECONDS = min(3600, env.integer("STEMWRIGHT_UPLOAD_URL_SECONDS", 3600))
# So much of a body goes to storage at a time. A process that is killed loses no more.
UPLOAD_SLICE_BYTES = env.integer("STEMWRIGHT_UPLOAD_SLICE_BYTES", 32 * 1024**2)
# So much of the disk stays free of bodies that arrive.
UPLOAD_SPARE_BYTES = env.integer("STEMWRIGHT_UPLOAD_SPARE_BYTES", 256 * 1024**2)
# A sender that is silent for so long is gone, and one that takes longer in all is too slow: each
# holds a server thread.
UPLOAD_IDLE_SECONDS = env.integer("STEMWRIGHT_UPLOAD_IDLE_SECONDS", 30)
UPLOAD_REQUEST_SECONDS = env.integer("STEMWRIGHT_UPLOAD_REQUEST_SECONDS", 3600)
# Recordings, pieces and parts that a process receives at a time. With the progress streams, they
# must leave some of its threads free (config/gunicorn.py).
UPLOAD_BODIES_PER_PROCESS = env.integer("STEMWRIGHT_UPLOAD_BODIES_PER_PROCESS", 6)
# Of a workspace's, or of an address where a signed link takes the place of a key.
UPLOAD_BODIES_PER_OWNER = env.integer("STEMWRIGHT_UPLOAD_BODIES_PER_OWNER", 4)
# Imports that a workspace may have open at a time, and that workers see to at the same time.
IMPORTS_OPEN = env.integer("STEMWRIGHT_IMPORTS_OPEN", 20)
PARALLEL_IMPORTS = env.integer("STEMWRIGHT_PARALLEL_IMPORTS", 2)
# Fetching a recording takes so long at most; storing it, so much more.
IMPORT_FETCH_SECONDS = env.integer("STEMWRIGHT_IMPORT_FETCH_SECONDS", 900)
IMPORT_STORE_SECONDS = 600
RECORDING_MAX_SECONDS = env.integer("STEMWRIGHT_RECORDING_MAX_SECONDS", 3 * 3600)
# Of all channels together: three hours of 48 kHz in eight, say.
RECORDING_MAX_SAMPLES = env.integer("STEMWRIGHT_RECORDING_MAX_SAMPLES", 3 * 3600 * 48_000 * 8)
# A recording is decoded once before anything is made of it, by a process that may take so much.
PROBE_SECONDS = env.integer("STEMWRIGHT_PROBE_SECONDS", 120)
PROBE_MEMORY_BYTES = env.integer("STEMWRIGHT_PROBE_MEMORY_BYTES", 2 * 1024**3)
# A link to a file lasts so long, at most an hour.
DOWNLOAD_URL_SECONDS = min(3600, env.integer("STEMWRIGHT_DOWNLOAD_URL_SECONDS", 3600))
# What a workspace has whose plan does not say otherwise.
PARALLEL_JOBS = env.integer("STEMWRIGHT_PARALLEL_JOBS", 4)
RESULTS_DAYS = env.integer("STEMWRIGHT_RESULTS_DAYS", 14)
UPLOADS_DAYS = env.integer("STEMWRIGHT_UPLOADS_DAYS", 3)

# --- The operator's console -------------------------------------------------------------------

# Networks that it is reached from; none: from everywhere.
CONSOLE_NETWORKS = env.networks("STEMWRIGHT_CONSOLE_NETWORKS")
# What an operator may give in a day before a second one has to agree, in credits.
CONSOLE_GRANT_LIMIT = env.integer("STEMWRIGHT_CONSOLE_GRANT_LIMIT", 100_000)
# The second factor is asked for again after so long: a day at work; for money and impersonation,
# ten minutes.
CONSOLE_SECONDS = 12 * 3600
CONSOLE_FRESH_SECONDS = 600
IMPERSONATION_MINUTES = 30
UNFOLD = ADMIN_LOOK

# --- Credits -----------------------------------------------------------------------------------

# Whole credits for each new person, to try it with. Sign-ups cost nothing, work does: an operator
# says how much of it is given away.
WELCOME_CREDITS = env.integer("STEMWRIGHT_WELCOME_CREDITS", 0)

# --- Stripe -----------------------------------------------------------------------------------

# Without a key, nothing can be bought; an operator can still grant credits.
STRIPE_SECRET_KEY = env.text("STRIPE_SECRET_KEY", "")
# Several while one is being replaced.
STRIPE_WEBHOOK_SECRETS = env.words("STRIPE_WEBHOOK_SECRETS", "")
# Another server than Stripe's, for tests.
STRIPE_API_BASE = env.text("STRIPE_API_BASE", "")
# An event whose worker is silent for this long is handled by another.
STRIPE_EVENT_LEASE_SECONDS = env.integer("STRIPE_EVENT_LEASE_SECONDS", 60)
# Where Stripe sends people back to, and where links in mails lead.
SITE_URL = env.text("STEMWRIGHT_SITE_URL", None if PRODUCTION else "http://127.0.0.1:8000")

# --- Requests to addresses that customers name ------------------------------------------------

# Besides 80 and 443.
OUTBOUND_PORTS = env.integers("STEMWRIGHT_OUTBOUND_PORTS")
# Networks that are reached although they are not public, such as `10.20.0.0/16`.
OUTBOUND_ALLOW = env.networks("STEMWRIGHT_OUTBOUND_ALLOW")

# --- Imports from video sites, by yt-dlp ------------------------------------------------------

# Off unless an operator answers for it (docs/imports.md).
VIDEO_IMPORTS = env.boolean("STEMWRIGHT_VIDEO_IMPORTS", default=False)
# The sites, by the names of their extractors, such as `Vimeo,Soundcloud`.
VIDEO_EXTRACTORS = env.words("STEMWRIGHT_VIDEO_EXTRACTORS", "")
if VIDEO_IMPORTS and not find_spec("yt_dlp"):
    raise env.EnvError("STEMWRIGHT_VIDEO_IMPORTS needs the extra `video` of this package.")

# --- Jobs -------------------------------------------------------------------------------------

# A worker that is silent for this long has lost its job to the reaper.
JOB_LEASE_SECONDS = env.integer("STEMWRIGHT_JOB_LEASE_SECONDS", 30)
# A cancel is looked for so often, and has to end the work within a second.
JOB_HEARTBEAT_SECONDS = 0.4
# How many attempts may be lost through no fault of the job's.
JOB_MAX_ATTEMPTS = 3
# Before the next attempt when storage, the disk or memory failed; three times as long after that.
JOB_RETRY_PAUSE_SECONDS = 10
# While storage is away or a disk is full: about an hour and a half in all.
JOB_DELAYS_SECONDS = (10, 30, 90, 300, *[600] * 8)
# One attempt may take so long, and so many times the length of the recording on top.
JOB_TIME_LIMIT_BASE_SECONDS = env.integer("STEMWRIGHT_JOB_TIME_LIMIT_BASE_SECONDS", 600)
JOB_TIME_LIMIT_FACTOR = env.integer("STEMWRIGHT_JOB_TIME_LIMIT_FACTOR", 20)
# A worker that is asked to stop goes on for so long, and then gives its job back.
JOB_STOP_GRACE_SECONDS = env.integer("STEMWRIGHT_JOB_STOP_GRACE_SECONDS", 20)
# Stems of longer recordings are kept part by part, so that another attempt need not begin anew.
JOB_PARTS_FROM_SECONDS = env.integer("STEMWRIGHT_JOB_PARTS_FROM_SECONDS", 1800)
JOB_PART_SECONDS = env.integer("STEMWRIGHT_JOB_PART_SECONDS", 600)
# A shorter recording is a preview: it goes before others, up to those that have waited for so long.
PREVIEW_MAX_SECONDS = 30
PREVIEW_HEAD_START_SECONDS = 300
# Stems are written here first; about 10 MB a minute and stem.
SCRATCH_DIR = Path(env.text("STEMWRIGHT_SCRATCH_DIR", str(VAR_DIR / "scratch")))
# `auto` takes the best that there is.
SEPARATION_DEVICE = env.text("STEMWRIGHT_DEVICE", "cpu")
_HAS_GPU = SEPARATION_DEVICE not in ("auto", "cpu") or (
    SEPARATION_DEVICE == "auto" and Path("/dev/nvidiactl").exists()
)
# Jobs that share a worker's device. On a CPU one is decoded and stored while another is separated,
# and more would only keep each other waiting; a GPU takes segments of several jobs at once.
JOBS_AT_ONCE = max(1, env.integer("STEMWRIGHT_JOBS_AT_ONCE", 8 if _HAS_GPU else 2))
# Of the ways to run a model (`python -m separation`); empty: the best that works here.
SEPARATION_BACKEND = env.text("STEMWRIGHT_BACKEND", "")

# --- Webhooks ---------------------------------------------------------------------------------

# An endpoint is disabled when nothing has arrived for so long, in at least so many tries.
WEBHOOK_DISABLE_AFTER_DAYS = env.integer("STEMWRIGHT_WEBHOOK_DISABLE_AFTER_DAYS", 5)
WEBHOOK_DISABLE_AFTER_TRIES = 10
# Messages that ended, and the log of their tries, are kept so long.
WEBHOOK_LOG_DAYS = env.integer("STEMWRIGHT_WEBHOOK_LOG_DAYS", 30)

# --- Workers ----------------------------------------------------------------------------------

# What carries the wake-ups between machines: PostgreSQL, Redis or SQS (config/broker.py).
BROKER_URL = env.text("STEMWRIGHT_BROKER_URL", "")
SQS_QUEUE_PREFIX = sqs_queue_prefix(BROKER_URL)
# A canary goes through each cluster so often. A cluster that shows no life for longer than its
# patience is killed and started anew (docs/adr/0016-supervision.md).
CLUSTER_CANARY_SECONDS = env.integer("STEMWRIGHT_CLUSTER_CANARY_SECONDS", 5)
CLUSTER_PATIENCE_SECONDS = env.integer("STEMWRIGHT_CLUSTER_PATIENCE_SECONDS", 30)
CLUSTER_START_PATIENCE_SECONDS = env.integer("STEMWRIGHT_CLUSTER_START_PATIENCE_SECONDS", 60)

_SEPARATION_TASK_SECONDS = (
    2 * 3600 + JOB_TIME_LIMIT_BASE_SECONDS + JOB_TIME_LIMIT_FACTOR * RECORDING_MAX_SECONDS
)
Q_CLUSTER = clusters_settings(broker_settings(BROKER_URL), longest_s=_SEPARATION_TASK_SECONDS)

# --- API --------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "UNAUTHENTICATED_USER": None,
}
# Calls a minute for each key (or person, or address) and endpoint.
RATE_LIMIT_PER_MINUTE = env.integer("STEMWRIGHT_RATE_LIMIT_PER_MINUTE", 100)
# Calls a minute and address with a key or token that is not valid; further ones get 429. It spares
# the database: secrets of 190 bits are not found by guessing.
FAILED_AUTHENTICATIONS_PER_MINUTE = 600
# A progress stream holds a server thread for minutes. Must stay well below the threads of a process
# (config/gunicorn.py), else nothing else is answered.
PROGRESS_STREAMS_PER_PROCESS = env.integer("STEMWRIGHT_PROGRESS_STREAMS_PER_PROCESS", 8)
# Counted in each process too.
PROGRESS_STREAMS_PER_WORKSPACE = env.integer("STEMWRIGHT_PROGRESS_STREAMS_PER_WORKSPACE", 4)
# Some calls of outside APIs answer with what was made: each holds a thread until then, so long at
# most. Proxies in front must allow a call a little more.
SYNC_WAIT_SECONDS = env.integer("STEMWRIGHT_SYNC_WAIT_SECONDS", 60)
SYNC_WAITS_PER_PROCESS = env.integer("STEMWRIGHT_SYNC_WAITS_PER_PROCESS", 4)
SYNC_WAITS_PER_WORKSPACE = env.integer("STEMWRIGHT_SYNC_WAITS_PER_WORKSPACE", 3)
# A look at the queue tells when jobs will end to all who ask within so many seconds.
ETA_LOOK_SECONDS = 2.0
SPECTACULAR_SETTINGS = {
    # What else there is differs from one API to the next: api/descriptions.py.
    "VERSION": "1",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "RoleEnum": "accounts.models.Role",
        "GrantableRoleEnum": "api.native.workspace.GRANTABLE_ROLES",
        "DeliveryStateEnum": "jobs.models.MessageState",
        "UploadKindEnum": "api.native.uploads.KINDS",
        "UploadStateEnum": "api.native.uploads.STATES",
        "AudioFormatEnum": "api.musicgpt.forms.EXTENSIONS",
        "ProgressWordEnum": "api.neuralspace.tasks.SAID",
        "AudiopodJobStatusEnum": "api.audiopod.answers.STATUSES",
        "AudiopodDeliveryStatusEnum": "api.audiopod.webhooks.DELIVERY_STATUSES",
    },
}

# --- Security ---------------------------------------------------------------------------------

SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = PRODUCTION
# Probes and Prometheus come from within, over plain HTTP.
SECURE_REDIRECT_EXEMPT = [r"^livez$", r"^readyz$", r"^metrics$"]
SECURE_HSTS_SECONDS = 31_536_000 if PRODUCTION else 0
if PRODUCTION:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        # Players and uploads are sent on to the bucket.
        "media-src": ["'self'", *_bucket_origins],
        "connect-src": ["'self'", *_bucket_origins],
        "frame-ancestors": ["'none'"],
        # The button that buys leads on to Stripe.
        "form-action": [
            "'self'",
            "https://checkout.stripe.com",
            "https://billing.stripe.com",
        ],
        "base-uri": ["'none'"],
    },
}

# --- What the pages name -------------------------------------------------------------------------

# Addresses of the operator's own texts; without them, no page speaks of any.
LEGAL_LINKS = {
    "terms": env.text("STEMWRIGHT_TERMS_URL", ""),
    "privacy": env.text("STEMWRIGHT_PRIVACY_URL", ""),
    "imprint": env.text("STEMWRIGHT_IMPRINT_URL", ""),
}

# --- Metrics ----------------------------------------------------------------------------------

# What Prometheus must send to see /metrics, as a bearer token. Without it, production has no such
# page, and a development machine shows it to everybody.
METRICS_TOKEN = env.text("STEMWRIGHT_METRICS_TOKEN", "")

# --- Logs: one JSON object a line; words on a terminal ----------------------------------------

structlog_configure()
LOGGING = logging_settings(level=env.text("STEMWRIGHT_LOG_LEVEL", "INFO"))
# It believes any X-Forwarded-For; api/apps.py tells the address that the proxies vouch for.
DJANGO_STRUCTLOG_IP_LOGGING_ENABLED = False
