from typing import Any

from django.conf import settings
from django.core.files.uploadhandler import TemporaryFileUploadHandler
from django.utils.translation import gettext_lazy as _

from config.errors import TooLarge, filled
from jobs.receiving.spool import room_check


class LimitedTemporaryFileUploadHandler(TemporaryFileUploadHandler):
    """Writes an upload to disk as it arrives and ends it at the limit.

    The length that the client announces is checked first; the bytes are counted all the same.
    """

    received = 0

    def handle_raw_input(self, *args: Any, **kwargs: Any) -> None:
        content_length = args[2] if len(args) > 2 else kwargs["content_length"]
        # Multipart framing adds a few hundred bytes to the file.
        self._refuse_above_limit(content_length - 64 * 1024)
        room_check(content_length)

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        self.received += len(raw_data)
        try:
            self._refuse_above_limit(self.received)
        except TooLarge:
            self.file.close()  # also removes it
            raise
        super().receive_data_chunk(raw_data, start)

    def _refuse_above_limit(self, size_bytes: int) -> None:
        if size_bytes > settings.UPLOAD_MAX_BYTES:
            raise TooLarge(
                filled(
                    _("The file is larger than %(most)s bytes."), most=settings.UPLOAD_MAX_BYTES
                ),
                data={"max_bytes": settings.UPLOAD_MAX_BYTES},
            )
