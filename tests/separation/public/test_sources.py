"""Where public checkpoints come from: the operator's folder, the hub, folders on the web."""

import hashlib
import http.server
import io
import threading
from dataclasses import replace
from types import SimpleNamespace

import httpx
import pytest
import torch

from separation import weights
from separation.catalog import Source, SourceFile
from separation.engines import load_engine
from separation.errors import ModelUnavailable, WeightsMismatch
from separation.weights import web_files
from tests.separation.public import small

MODEL = small.entry("bs-roformer")
CONTENT = io.BytesIO()
torch.save(small.state(MODEL), CONTENT)
CHECKPOINT = CONTENT.getvalue()
SHA256 = hashlib.sha256(CHECKPOINT).hexdigest()


@pytest.fixture
def server(tmp_path, monkeypatch):
    """What it serves, by path; it answers as the hub and as any other server does."""
    served: dict[str, bytes] = {}
    asked: list[str] = []

    class Server(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(f"{self.command} {self.path}")
            if self.path.startswith("/moved/"):
                self.answer(302, b"", {"Location": self.path.removeprefix("/moved")})
            elif self.path in served:
                about = {"X-Repo-Commit": 40 * "a", "ETag": '"1"'}
                self.answer(200, served[self.path], about)
            else:
                self.answer(404, b"", {"X-Error-Code": "EntryNotFound"})

        do_HEAD = do_GET

        def answer(self, status, content, headers):
            self.send_response(status)
            for name, value in {**headers, "Content-Length": len(content)}.items():
                self.send_header(name, str(value))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        def log_message(self, *_):
            pass

    listening = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=listening.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{listening.server_port}"
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_ENDPOINT", url)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    yield SimpleNamespace(served=served, asked=asked, url=url)
    listening.shutdown()
    listening.server_close()
    thread.join()


N_BYTES = len(CHECKPOINT)


def from_place(kind, package, *, sha256=SHA256, size=N_BYTES):
    file = SourceFile("model.ckpt", "some/model.ckpt", sha256, size)
    return replace(MODEL, sources=(Source(kind, package, "" if kind == "hub" else "v1", (file,)),))


def test_it_comes_from_the_hub(server):
    server.served["/somebody/roformer/resolve/main/some/model.ckpt"] = CHECKPOINT
    model = from_place("hub", "somebody/roformer")
    assert load_engine(model).separate(small.sound()[None]).shape == (1, 2, 2, small.N_SAMPLES)


@pytest.mark.parametrize("before", ["", "/moved"])
def test_it_comes_from_a_folder_on_the_web(server, before, own_cache):
    server.served["/release/v1/some/model.ckpt"] = CHECKPOINT
    model = from_place("web", f"{server.url}{before}/release")
    lines: list[str] = []
    path = weights.install(model, report=lines.append)
    assert path.parent == own_cache / "models"
    assert lines[0] == f"small-bs-roformer: fetching folder {server.url}{before}/release/v1"
    assert weights.is_installed(model)


def test_the_operators_folder_comes_before_all_places(server, put):
    server.served["/somebody/roformer/resolve/main/model.ckpt"] = b"another"
    weights.install(put(MODEL, {"model.ckpt": CHECKPOINT}, kind="hub", package="somebody/roformer"))
    assert server.asked == []


@pytest.mark.parametrize("kind", ["hub", "web"])
def test_another_file_than_the_recorded_one_is_refused(server, kind):
    server.served["/a/b/resolve/main/some/model.ckpt"] = CHECKPOINT
    server.served["/v1/some/model.ckpt"] = CHECKPOINT
    model = from_place(kind, "a/b" if kind == "hub" else server.url, sha256=64 * "0")
    with pytest.raises(WeightsMismatch, match=f"model.ckpt is not the pinned one.*got {SHA256}"):
        weights.install(model)
    assert not weights.is_installed(model)


@pytest.mark.parametrize("kind", ["hub", "web"])
def test_a_place_without_the_file_is_one_sentence(server, kind):
    model = from_place(kind, "a/b" if kind == "hub" else server.url)
    with pytest.raises(ModelUnavailable, match="could not be fetched; check that") as caught:
        weights.install(model)
    assert "\n" not in caught.value.message


def test_a_place_out_of_reach_says_what_else_there_is():
    model = from_place("web", "http://127.0.0.1:1")
    with pytest.raises(ModelUnavailable, match="put its files into STEMWRIGHT_WEIGHTS_DIR"):
        weights.install(model)


def test_a_file_larger_than_recorded_is_not_taken(server, own_cache):
    server.served["/v1/some/model.ckpt"] = CHECKPOINT
    model = from_place("web", server.url, size=len(CHECKPOINT) - 1)
    with pytest.raises(ModelUnavailable, match="is larger than it should be"):
        weights.install(model)
    left = [path.name for path in own_cache.rglob("*") if path.is_file()]
    assert left == [".small-bs-roformer.lock"]


def test_a_place_that_takes_too_long_is_given_up(server, monkeypatch):
    server.served["/v1/some/model.ckpt"] = CHECKPOINT
    monkeypatch.setattr(web_files, "TOTAL_TIMEOUT_S", -1)
    with pytest.raises(ModelUnavailable, match="could not be fetched"):
        weights.install(from_place("web", server.url))


def test_a_secret_place_does_not_lead_to_an_open_one(monkeypatch):
    def answer(request):
        if request.url.scheme == "https":
            return httpx.Response(302, headers={"Location": "http://elsewhere.example/x"})
        return httpx.Response(200, content=CHECKPOINT)

    client = httpx.Client
    monkeypatch.setattr(
        "separation.weights.web_files.httpx.Client",
        lambda **options: client(transport=httpx.MockTransport(answer), **options),
    )
    with pytest.raises(ModelUnavailable, match="could not be fetched"):
        weights.install(from_place("web", "https://place.example"))
