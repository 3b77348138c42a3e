"""Calls of the guarded client, and what names lead to."""

import ipaddress
from pathlib import Path
from typing import Any

from jobs import outbound, outbound_network
from jobs.outbound import (
    Downloaded,
    outbound_download,
    outbound_post,
)

LOOPBACK = ipaddress.ip_network("127.0.0.0/8")
PUBLIC = "93.184.216.34"  # never connected to: see `no_way_out`


def names(monkeypatch: Any, *answers: list[str]) -> list[str]:
    """Let names lead to these addresses, one answer after the other; returns who was asked for."""
    asked: list[str] = []

    def addresses(host: str, port: int) -> list[str]:
        asked.append(host)
        return answers[min(len(asked), len(answers)) - 1]

    monkeypatch.setattr(outbound_network, "_addresses", addresses)
    return asked


def post(url: str, total_s: float = 5) -> outbound.OutboundAnswer:
    return outbound_post(url, content=b"{}", headers={}, total_s=total_s)


def download(url: str, folder: Path, **values: Any) -> Downloaded:
    values = {"max_bytes": 1000, "total_s": 5, **values}
    return outbound_download(url, path=folder / "file", **values)
