"""Client of the Stemwright API, which takes recordings apart.

from stemwright import Client

with Client() as client:  # STEMWRIGHT_API_KEY, STEMWRIGHT_BASE_URL
    asset = client.assets.upload("song.mp3")
    job = client.jobs.create(asset=asset.id, stems=["vocals", "instrumental"])
    job = client.jobs.wait(job.id)
    client.jobs.download(job, "out")
"""

from stemwright._http import Retries
from stemwright.client import Client
from stemwright.errors import (
    ApiError,
    BadAnswer,
    BadRequest,
    ChecksumMismatch,
    Conflict,
    ConnectionFailed,
    Gone,
    InvalidSignature,
    JobFailed,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    PaymentRequired,
    ServerError,
    StemwrightError,
    TooLarge,
    TooManyRequests,
    Unprocessable,
    UploadFailed,
    WaitTimeout,
)
from stemwright.models import (
    Asset,
    Catalog,
    Credits,
    Delivery,
    Failure,
    Import,
    Job,
    LedgerEntry,
    Order,
    Output,
    Quote,
    Speaker,
    SpeakerOptions,
    Speakers,
    Upload,
    UsageReport,
    Webhook,
)
from stemwright.webhooks import verify

__all__ = [
    "ApiError",
    "Asset",
    "BadAnswer",
    "BadRequest",
    "Catalog",
    "ChecksumMismatch",
    "Client",
    "Conflict",
    "ConnectionFailed",
    "Credits",
    "Delivery",
    "Failure",
    "Gone",
    "Import",
    "InvalidSignature",
    "Job",
    "JobFailed",
    "LedgerEntry",
    "NotAllowed",
    "NotAuthenticated",
    "NotFound",
    "Order",
    "Output",
    "PaymentRequired",
    "Quote",
    "Retries",
    "ServerError",
    "Speaker",
    "SpeakerOptions",
    "Speakers",
    "StemwrightError",
    "TooLarge",
    "TooManyRequests",
    "Unprocessable",
    "Upload",
    "UploadFailed",
    "UsageReport",
    "WaitTimeout",
    "Webhook",
    "verify",
]
