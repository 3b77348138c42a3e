"""A Ceph cluster of one machine, in memory, with its S3 gateway: production code, on loopback.

One monitor, one OSD that keeps all in memory, one gateway, in a folder of their own. They die with
the process that started them. No manager: it counts and balances, takes 300 MB, and nothing here
waits for it.
"""

import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from secrets import token_hex
from tempfile import mkdtemp
from uuid import uuid4

import httpx

_PROGRAMS = ("ceph", "ceph-authtool", "ceph-mon", "ceph-osd", "monmaptool")
_GATEWAY_PROGRAMS = ("radosgw", "radosgw-admin", "setpriv")
# Generous: two cores may be busy with other tests.
_PATIENCE_S = 120

_CONFIG = """
[global]
fsid = {fsid}
mon host = v2:127.0.0.1:{mon_port}
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
keyring = {folder}/keyring
run dir = {folder}
admin socket = {folder}/$name.asok
log file = {folder}/$name.log
mon cluster log file = {folder}/cluster.log
crash dir = {folder}
mon data = {folder}/mon
osd data = {folder}/osd
rgw data = {folder}/rgw
osd objectstore = memstore
memstore device bytes = 4294967296
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon data avail crit = 0
mon data avail warn = 0
auth allow insecure global id reclaim = false
rgw frontends = beast endpoint=127.0.0.1:{port}
rgw thread pool size = 16
rgw lifecycle work time = 00:00-00:00
"""


def is_ceph_installed() -> bool:
    return all(shutil.which(name) for name in _PROGRAMS + _GATEWAY_PROGRAMS)


class Ceph:
    def __init__(self) -> None:
        self.access_key, self.secret_key = token_hex(10), token_hex(20)
        # Short: the paths of sockets have a limit of 107 characters.
        self._folder = Path(mkdtemp(prefix="ceph-"))
        self._processes: list[subprocess.Popen[bytes]] = []
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        for process in reversed(self._processes):
            process.kill()
        for process in self._processes:
            process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def user_make(self, name: str, access_key: str, secret_key: str) -> None:
        """Somebody with buckets of their own and no right to those of others."""
        self._call(
            *("radosgw-admin", "-n", "client.rgw", "user", "create"),
            *("--uid", name, "--display-name", name),
            *("--access-key", access_key, "--secret-key", secret_key),
        )

    def _start(self) -> None:
        fsid = str(uuid4())
        mon_port, self._port = _free_ports(2)
        for name in ("mon", "osd", "rgw"):
            (self._folder / name).mkdir()
        self._conf.write_text(
            _CONFIG.format(fsid=fsid, mon_port=mon_port, port=self._port, folder=self._folder)
        )
        self._make_keys()
        monitors = str(self._folder / "monmap")
        self._call(
            *("monmaptool", "--create", "--fsid", fsid),
            *("--addv", "a", f"[v2:127.0.0.1:{mon_port}]", monitors),
        )
        self._call("ceph-mon", "--mkfs", "-i", "a", "--monmap", monitors)
        self._spawn("ceph-mon", "-i", "a")
        osd = str(uuid4())
        self._call("ceph", "osd", "new", osd)
        self._call("ceph-osd", "--mkfs", "-i", "0", "--osd-uuid", osd)
        self._spawn("ceph-osd", "-i", "0")
        self._wait_for(lambda: " 1 up" in self._call("ceph", "osd", "stat"))
        self.user_make("tests", self.access_key, self.secret_key)
        self._spawn("radosgw", "-n", "client.rgw")
        self._wait_for(lambda: _answers(self.url))

    @property
    def _conf(self) -> Path:
        return self._folder / "ceph.conf"

    def _make_keys(self) -> None:
        keyring = str(self._folder / "keyring")
        for name, caps in {
            "mon.": {"mon": "allow *"},
            "client.admin": {"mon": "allow *", "osd": "allow *"},
            "osd.0": {"mon": "allow profile osd", "osd": "allow *"},
            "client.rgw": {"mon": "allow rw", "osd": "allow rwx"},
        }.items():
            caps_given = [word for cap in caps.items() for word in ("--cap", *cap)]
            create = [] if Path(keyring).exists() else ["--create-keyring"]
            self._call("ceph-authtool", keyring, *create, "--gen-key", "-n", name, *caps_given)

    def _call(self, program: str, *arguments: str) -> str:
        done = subprocess.run(
            [program, "-c", str(self._conf), *arguments]
            if program not in {"ceph-authtool", "monmaptool"}
            else [program, *arguments],
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{program} {arguments} failed:\n{done.stdout}{done.stderr}")
        return done.stdout

    def _spawn(self, program: str, *arguments: str) -> None:
        """In the foreground; it dies with this process, however that ends."""
        with (self._folder / f"{program}.out").open("wb") as output:
            process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", program, "-f", "-c", str(self._conf)]
                + list(arguments),
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self._processes.append(process)

    def _wait_for(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        while not condition():
            ended = [process.args for process in self._processes if process.poll() is not None]
            if ended or time.monotonic() > deadline:
                logs = "\n".join(path.read_text()[-2000:] for path in self._folder.glob("*.out"))
                raise RuntimeError(f"Ceph does not come up; ended: {ended}\n{logs}")
            time.sleep(0.1)


def _free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [int(server.getsockname()[1]) for server in sockets]
    finally:
        for server in sockets:
            server.close()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False
