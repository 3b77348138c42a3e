"""Certificates are checked against the name, whatever address it led to."""

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from config.errors import AddressRefused
from jobs import outbound
from jobs.outbound import (
    OutboundFailed,
)
from tests.fakes.http import Server, says
from tests.jobs.outbound_steps import LOOPBACK, download, names, post


def make_certificate(folder: Path, *, name: str) -> Path:
    """A key and a certificate that signs itself, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def tls_server(settings: Any, monkeypatch: Any, tmp_path: Path) -> Iterator[Server]:
    """Known as safe.example.org to those who trust its certificate; `names_asked_for` is SNI."""
    certificate = make_certificate(tmp_path, name="safe.example.org")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with Server(says("200 OK", body=b"secret"), tls=context).running() as server:
        context.sni_callback = lambda _, name, __: server.names_asked_for.append(name)
        settings.OUTBOUND_PORTS, settings.OUTBOUND_ALLOW = [server.port], [LOOPBACK]
        names(monkeypatch, ["127.0.0.1"])
        trusting = httpx.create_ssl_context()
        trusting.load_verify_locations(certificate)
        monkeypatch.setattr(outbound, "_ssl_context", lambda: trusting)
        yield server


def test_a_certificate_is_checked_against_the_name(tls_server: Server):
    answer = post(f"https://safe.example.org:{tls_server.port}/")
    assert (answer.status_code, answer.body) == (200, b"secret")
    assert tls_server.names_asked_for == ["safe.example.org"]
    assert f"Host: safe.example.org:{tls_server.port}".encode() in tls_server.requests[0]
    for host in ("other.example.org", "127.0.0.1"):
        with pytest.raises(OutboundFailed) as caught:
            post(f"https://{host}:{tls_server.port}/")
        assert caught.value.code == "tls_failed"
    assert len(tls_server.requests) == 1


def test_a_certificate_that_nobody_vouches_for(tls_server: Server, monkeypatch: Any):
    monkeypatch.setattr(outbound, "_ssl_context", httpx.create_ssl_context)
    with pytest.raises(OutboundFailed) as caught:
        post(f"https://safe.example.org:{tls_server.port}/")
    assert (caught.value.code, tls_server.requests) == ("tls_failed", [])


def test_https_never_becomes_http(tls_server: Server, settings: Any, tmp_path: Path):
    with Server(says("200 OK", body=b"x")).running() as plain:
        settings.OUTBOUND_PORTS = [tls_server.port, plain.port]
        tls_server.answer = says("302 Found", f"Location: {plain.url}/")
        with pytest.raises(AddressRefused):
            download(f"https://safe.example.org:{tls_server.port}/", tmp_path)
    assert (len(tls_server.requests), plain.n_connections) == (1, 0)
