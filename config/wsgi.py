import os
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.utils.http import parse_header_parameters

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")


class Utf8Request(WSGIRequest):
    """Texts are UTF-8, whatever charset is named.

    Django takes any codec of Python's for one: "punycode" works for minutes on a body of two
    megabytes, and "zlib" breaks at a query, where nobody makes an answer of it.
    """

    def _set_content_type_params(self, meta: Mapping[str, Any]) -> None:
        header = str(meta.get("CONTENT_TYPE", ""))
        self.content_type, self.content_params = parse_header_parameters(header)


class Utf8Handler(WSGIHandler):
    request_class = Utf8Request


django.setup(set_prefix=False)
# Django leaves these to the first call, which would wait for a second, and all beside it.
import_module(settings.ROOT_URLCONF)
application = Utf8Handler()
