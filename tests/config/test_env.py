import os
import subprocess
import sys
from pathlib import Path

import pytest

from config import env


def test_a_boolean_is_one_of_two_words(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FLAG", "True")
    assert env.boolean("FLAG", default=False) is True
    monkeypatch.setenv("FLAG", "false")
    with pytest.raises(env.EnvError, match="FLAG must be True or False, not 'false'"):
        env.boolean("FLAG", default=True)


def test_a_secret_may_come_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "secret").write_text("hush\n")
    monkeypatch.setenv("SECRET_FILE", str(tmp_path / "secret"))
    assert env.text("SECRET") == "hush"


def test_numbers_and_words(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("N", "x")
    with pytest.raises(env.EnvError, match="N must be a whole number"):
        env.integer("N", 1)
    monkeypatch.setenv("W", "a, b,,c ")
    assert env.words("W", "") == ["a", "b", "c"]


@pytest.mark.parametrize("value", ["", " \n"])
def test_what_is_required_must_not_be_empty(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, value: str
):
    monkeypatch.setenv("SECRET", value)
    with pytest.raises(env.EnvError, match="Set the environment variable SECRET"):
        env.text("SECRET")
    assert env.text("SECRET", "other") == value
    (tmp_path / "secret").write_text(value)
    monkeypatch.setenv("SECRET_FILE", str(tmp_path / "secret"))
    with pytest.raises(env.EnvError, match="Set the environment variable SECRET"):
        env.text("SECRET")


@pytest.mark.parametrize(
    "missing",
    ["SECRET_KEY", "API_KEY_PEPPER", "DATABASE_URL", "JWT_SECRETS", "MFA_ENCRYPTION_KEYS"],
)
@pytest.mark.parametrize("value", [None, ""])
def test_production_does_not_start_without_its_secrets(missing: str, value: str | None):
    environ = {
        **os.environ,
        "STEMWRIGHT_PRODUCTION": "True",
        "SECRET_KEY": "s" * 60,
        "API_KEY_PEPPER": "p" * 60,
        "JWT_SECRETS": "j" * 60,
        "MFA_ENCRYPTION_KEYS": "m" * 43 + "=",
        "DATABASE_URL": "postgres://localhost/x",
    }
    del environ[missing]
    if value is not None:
        environ[missing] = value
    result = subprocess.run(
        [sys.executable, "-c", "import config.settings"],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode != 0
    assert f"Set the environment variable {missing}" in result.stderr


def test_ports_and_networks(monkeypatch: pytest.MonkeyPatch):
    assert env.integers("PORTS") == env.networks("NETS") == []
    monkeypatch.setenv("PORTS", "8080, 8443")
    monkeypatch.setenv("NETS", "10.1.0.0/16,fd00::/8")
    assert env.integers("PORTS") == [8080, 8443]
    assert [str(network) for network in env.networks("NETS")] == ["10.1.0.0/16", "fd00::/8"]
    monkeypatch.setenv("PORTS", "all")
    monkeypatch.setenv("NETS", "10.1.0.1/16")
    for reader, name in ((env.integers, "PORTS"), (env.networks, "NETS")):
        with pytest.raises(env.EnvError, match=f"{name} must be"):
            reader(name)
