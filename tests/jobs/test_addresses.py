import pytest

from jobs.addresses import is_allowed
from tests.jobs.outbound_steps import LOOPBACK, PUBLIC


@pytest.mark.parametrize(
    "address",
    [
        PUBLIC,
        "1.1.1.1",
        "8.8.8.8",
        "100.63.255.255",
        "100.128.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "198.20.0.0",
        "223.255.255.255",
        "2606:4700::1111",
        "2001:4860:4860::8888",
        "2a00:1450::1",
    ],
)
def test_public_addresses_are_allowed(address: str):
    assert is_allowed(address, [])


@pytest.mark.parametrize(
    "address",
    ["64:ff9b::7f00:1", "::127.0.0.1", "2002:7f00:1::", "192.0.0.8", "224.0.0.1", "198.18.0.1"]
    + ["240.0.0.1", "255.255.255.255", "192.88.99.1", "203.0.113.1", "2001:db8::1", "3fff::1"]
    + ["2001:2::1", "2001:10::1", "2001:20::1", "3ffe::1", "5f00::1", "4000::1", "fec0::1"]
    + ["100::1", "100:0:0:1::1", "ff0e::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "nonsense"],
)
def test_special_addresses_are_not(address: str):
    assert not is_allowed(address, [])
    # What an operator opens is opened as it is written, not in its other forms.
    assert not is_allowed("::ffff:127.0.0.1", [LOOPBACK])
    assert is_allowed("127.0.0.1", [LOOPBACK])
