"""However a body is cut into blocks, the same comes out; and never much of it is held."""

import io
import json
import tracemalloc
from typing import Any

import pytest

from api.sunoapi.base64_bodies import Base64Sink, StringScanner

LONG = "QUJD" * 5000


def scanned(raw: bytes, *, size: int) -> tuple[Any, str, bytes]:
    pieces: list[bytes] = []
    scanner = StringScanner(pieces.append)
    for at in range(0, len(raw), size):
        scanner.feed(raw[at : at + size])
    return json.loads(scanner.rest()), scanner.mark, b"".join(pieces)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 100, 8191, 8192, 8193, 1_000_000])
def test_blocks_do_not_matter(size: int):
    text = LONG[:9000] + "\\/\\u002B\\n" + LONG
    before = '{"a\\"b": "c\\\\", "\\u00e9": "\\"", "base64Data" : "'
    raw = (before + text + '", "n": [1, {"x": "y"}], "e": ""}').encode()
    values, mark, long = scanned(raw, size=size)
    assert values == {
        'a"b': "c\\",
        "é": '"',
        "base64Data": mark,
        "n": [1, {"x": "y"}],
        "e": "",
    }
    assert long == (LONG[:9000] + "/+\n" + LONG).encode()


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 1000])
@pytest.mark.parametrize("n_bytes", [0, 1, 2, 3, 4, 1000])
@pytest.mark.parametrize("is_padded", [True, False])
def test_base64_in_pieces(size: int, n_bytes: int, is_padded: bool):
    import base64

    content = bytes(range(256)) * 4
    text = base64.b64encode(content[:n_bytes])
    if not is_padded:
        text = text.rstrip(b"=")
    file = io.BytesIO()
    sink = Base64Sink(file, max_bytes=n_bytes)
    for at in range(0, len(text), size):
        sink.write(b" " + text[at : at + size] + b"\n")
    sink.close()
    assert file.getvalue() == content[:n_bytes]


class Counter(io.RawIOBase):
    n_bytes = 0

    def write(self, data: Any) -> int:
        self.n_bytes += len(data)
        return len(data)


def test_memory_is_bounded():
    file = Counter()
    sink = Base64Sink(file, max_bytes=10**9)  # type: ignore[arg-type]
    scanner = StringScanner(sink.write)
    block = b"QUJD" * 65536
    tracemalloc.start()
    scanner.feed(b'{"base64Data": "')
    for _ in range(100):
        scanner.feed(block)
    scanner.feed(b'"}')
    sink.close()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert file.n_bytes == 100 * 65536 * 3
    # Some blocks, of a body of 26 MB.
    assert peak < 2_000_000
