"""The way in: `Client`."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

from stemwright._downloads import download
from stemwright._files import OnProgress
from stemwright._http import Http, Retries
from stemwright.assets import Assets, Imports
from stemwright.jobs import Jobs, SpeakersOf
from stemwright.models import Catalog, Credits, LedgerEntry, Output, UsageReport
from stemwright.uploads import Uploads
from stemwright.webhooks import Webhooks

KEY_VARIABLE = "STEMWRIGHT_API_KEY"
URL_VARIABLE = "STEMWRIGHT_BASE_URL"
# Where `make serve` listens.
DEFAULT_URL = "http://127.0.0.1:8000"
_TIMEOUT_S = 60.0


class Client:
    """A connection to the service. Use it from one thread, or from many; close it in the end.

    Parameters
    ----------
    api_key
        `ap_…`; if left out, what STEMWRIGHT_API_KEY says.
    base_url
        Where the service is; if left out, what STEMWRIGHT_BASE_URL says, or this machine.
    timeout_s
        Of silence end a call.
    retries
        How often a call is made again after a broken connection, 429 with `Retry-After`, 502, 503
        and 504. Calls that change something are repeated only where that does no harm.
    verify
        Of httpx: False or a context of your own, for a service with a certificate of its own.
    """

    def __init__(
        self,
        api_key: str | None = None,
        base_url: str | None = None,
        *,
        timeout_s: float = _TIMEOUT_S,
        retries: Retries | None = None,
        verify: bool | ssl.SSLContext = True,
    ) -> None:
        key = (api_key or os.environ.get(KEY_VARIABLE, "")).strip()
        if not key:
            raise ValueError(f"Give an API key, or set {KEY_VARIABLE}.")
        if not (key.isascii() and key.isprintable()):
            raise ValueError("This is no API key.")
        url = base_url or os.environ.get(URL_VARIABLE) or DEFAULT_URL
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            raise ValueError(f"{url!r} is no address: it begins with https:// or http://.")
        self._http = Http(
            api_key=key,
            base_url=url,
            timeout_s=timeout_s,
            retries=retries or Retries(),
            verify=verify,
        )
        self.uploads = Uploads(self._http)
        self.assets = Assets(self._http, self.uploads)
        self.imports = Imports(self._http)
        self.jobs = Jobs(self._http)
        self.speakers = SpeakersOf(self._http)
        self.webhooks = Webhooks(self._http)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def base_url(self) -> str:
        return self._http.base_url

    def close(self) -> None:
        self._http.close()

    def catalog(self) -> Catalog:
        """Services, stems, models with their licences, prices and limits."""
        return self._http.get(Catalog, "/v1/catalog")

    def credits(self) -> Credits:
        """The balance."""
        return self._http.get(Credits, "/v1/credits")

    def ledger(self, *, limit: int | None = None) -> Iterator[LedgerEntry]:
        """Every change of the balance, newest first; reads page after page."""
        return self._http.pages(LedgerEntry, "/v1/credits/ledger", limit=limit)

    def usage(
        self, *, group_by: str = "day", first: date | None = None, last: date | None = None
    ) -> UsageReport:
        """Credits charged and audio worked on, by `day` (of UTC), `service` or `key`.

        Without days, of the latest thirty.
        """
        days = {
            "from": first.isoformat() if first else None,
            "to": last.isoformat() if last else None,
        }
        return self._http.get(UsageReport, "/v1/usage", group_by=group_by, **days)

    def download(
        self, output: Output, path: str | Path, *, on_progress: OnProgress | None = None
    ) -> Path:
        """Fetch one file to `path`, going on with what an earlier call left there unfinished.

        Raises
        ------
        ChecksumMismatch
            What arrived is not what the service made; nothing is kept.
        NotFound
            The link has expired: read the job again for a new one.
        """
        return download(self._http, output, Path(path), on_progress=on_progress)
