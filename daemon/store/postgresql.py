"""The state in a PostgreSQL database: its address, its transactions, and what its errors mean.

Writers of one owner take turns, as on SQLite, by a lock that the transaction takes first; owners do not wait
for each other. Readers see one moment of the whole database.
"""

from __future__ import annotations

import select
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from hashlib import blake2b
from typing import Any

from sqlalchemy import URL, Connection, Engine, Table, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError

from daemon.store.errors import StoreAway, StoreError

OLDEST = 14
"""The oldest PostgreSQL that is known to do."""

ENCODING = "UTF8"
"""How texts are kept, and travel."""

WAIT_SECONDS = 20
"""How long a writer waits for its turn."""

IDLE_SECONDS = 15
"""How long a transaction may do nothing; others wait for its locks. None of ours waits for the network."""

_DRIVER = "postgresql+psycopg"
_SCHEMES = ("postgres://", "postgresql://", f"{_DRIVER}://")
_PATIENCE = {
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "application_name": "rebookd",
}
"""How long a server that is gone is waited for, unless the address says otherwise."""

_SESSION = (
    # a mail depends on it that a commit is on the disk
    "SELECT set_config('synchronous_commit', 'on', false) "
    "WHERE current_setting('synchronous_commit') = 'off'; "
    # what a machine that fell silent has locked becomes free within the minute
    "SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3; "
    # and what a process that was stopped in the middle of something has locked
    f"SET idle_in_transaction_session_timeout = '{IDLE_SECONDS}s'"
)

LOCKED = "55P03"
"""The SQLSTATE of a lock that was waited for in vain."""

_ALLOWED = "; give its user the database: ALTER DATABASE … OWNER TO …"
_CURES = {
    "28": "the server does not let its user in; check the name, and the password in PGPASSFILE or PGPASSWORD",
    "3D000": "there is no database of that name on the server; create it with: createdb",
    "42501": f"its user may not do what rebookd needs{_ALLOWED}",
    "25006": "the server is a copy that only reads; name the one that is written to",
    LOCKED: "another process keeps it locked; stop that process",
    "53100": "the server's disk is full; free some space and start rebookd again",
    "42P07": "it holds tables of something else; give rebookd a database of its own",
    "XX001": "it is damaged; restore it from a backup",
    "XX002": "it is damaged; restore it from a backup",
}
"""What an SQLSTATE, or its first letters, means for the owner."""

_AWAY = ("08", "57P", "53300", "40", "25P03", LOCKED)
"""That the server is not there, or broke a transaction off: the same may go well a little later."""

_SAYS = (
    ("password authentication failed", "28"),
    ("no password supplied", "28"),
    ("no pg_hba.conf entry", "28"),
    ("role ", "28"),
    ("database ", "3D000"),
)
"""A refused connection has no SQLSTATE, only words."""


def is_address(said: str) -> bool:
    """Whether what stands after ``state:`` is a database and not a file."""
    return said.startswith(_SCHEMES)


def address(said: str) -> URL:
    """The database that is meant. Raises StoreError without repeating what may hold a password."""
    try:
        url = make_url(said).set(drivername=_DRIVER)
    except (ArgumentError, ValueError) as error:
        raise StoreError(
            "What stands after 'state:' is no address of a database; write it like "
            "postgresql://rebookd@db.example/rebookd."
        ) from error
    if not url.database:
        raise StoreError(f"{shown(url)} names no database; write it like {shown(url).rstrip('/')}/rebookd.")
    # whatever PGCLIENTENCODING says, or a database without an encoding
    return url.update_query_dict({"client_encoding": ENCODING})


def shown(url: URL | str) -> str:
    """The address as it may be printed: without password and settings."""
    url = make_url(url) if isinstance(url, str) else url
    place = URL.create(
        "postgresql", username=url.username, host=url.host, port=url.port, database=url.database
    )
    return place.render_as_string(hide_password=True)


def conninfo(said: str) -> str:
    """The address as libpq takes it, with everything it holds: not to be shown."""
    return address(said).set(drivername="postgresql").render_as_string(hide_password=False)


def has_password(said: str) -> bool:
    """Whether an address holds a password, which others may then read."""
    url = address(said)
    return bool(url.password or url.query.get("password"))


def engine_for(url: URL, owner: str, **pool: Any) -> Engine:
    """An engine whose connections know the ``owner`` they work for. Raises StoreError."""
    pool = pool or {"pool_size": 8, "max_overflow": 24}
    patience = {name: value for name, value in _PATIENCE.items() if name not in url.query}
    try:
        engine = create_engine(
            url,
            connect_args=patience,
            execution_options={"owner": owner},
            **pool,
        )
    except ImportError as error:
        raise StoreError(
            "PostgreSQL needs what only an extra brings along; install it: pipx install 'rebookd[postgres]'"
        ) from error
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "checkout", _look_alive)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: Any, _record: object) -> None:
    connection.autocommit = True  # we say BEGIN ourselves
    connection.adapters.register_dumper(str, _without_nul())
    connection.execute(_SESSION)


@cache
def _without_nul() -> type:
    from psycopg.types.string import StrDumperUnknown  # noqa: PLC0415 - the extra

    class Text(StrDumperUnknown):
        """PostgreSQL keeps no NUL in a text; calendars of other people's making may have one."""

        def dump(self, obj: str) -> Any:
            return super().dump(obj.replace("\0", "\ufffd") if "\0" in obj else obj)

    return Text


def _look_alive(connection: Any, _record: object, _proxy: object) -> None:
    """A server that hung up has said so: then another connection is made, and nobody need know."""
    waiting = select.poll()
    waiting.register(connection.pgconn.socket, select.POLLIN)
    if waiting.poll(0):
        raise DisconnectionError("the server hung up")


def _begin(conn: Connection) -> None:
    options = conn.get_execution_options()
    said = _words(options["owner"], options.get("writing", False))
    conn.exec_driver_sql(said, execution_options={"no_parameters": True})


@cache
def _words(owner: str, writing: bool) -> str:
    """How a transaction begins, in one message to the server."""
    how = "READ COMMITTED READ WRITE" if writing else "REPEATABLE READ READ ONLY"
    said = [f"BEGIN ISOLATION LEVEL {how}", f"SET LOCAL rebookd.owner = {_quoted(owner)}"]
    if writing:
        said += [
            f"SET LOCAL lock_timeout = '{WAIT_SECONDS}s'",
            f"SELECT pg_advisory_xact_lock({key('turn', owner)})",
        ]
    return "; ".join(said)


def _quoted(words: str) -> str:
    return "'" + words.replace("'", "''") + "'"


def key(purpose: str, owner: str) -> int:
    """The number of an advisory lock."""
    digest = blake2b(f"rebookd {purpose}\0{owner}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def clock_of(conn: Connection) -> datetime:
    """What the server's clock shows (UTC)."""
    shown = conn.execute(text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one()
    return datetime.fromtimestamp(float(shown), UTC)


def insert_many(conn: Connection, table: Table, names: Sequence[str], rows: list[tuple[Any, ...]]) -> None:
    """Insert rows of plain values; each column travels as one array."""
    quote = conn.dialect.identifier_preparer.quote
    arrays = ", ".join(f"%s::{table.c[name].type.compile(dialect=conn.dialect)}[]" for name in names)
    columns = ", ".join(map(quote, names))
    statement = f"INSERT INTO {quote(table.name)} ({columns}) SELECT * FROM unnest({arrays})"  # nosec B608 # noqa: S608
    conn.exec_driver_sql(statement, tuple(list(column) for column in zip(*rows, strict=True)))


def new_ids(conn: Connection, table: Table, count: int) -> list[int]:
    """So many ids that nobody else gets, rising."""
    query = text("SELECT nextval(pg_get_serial_sequence(:name, 'id')) FROM generate_series(1, :count)")
    return sorted(conn.execute(query, {"name": table.name, "count": count}).scalars()) if count else []


def cure(url: str, error: Exception) -> StoreError:
    """The store error that says in one sentence what ``error`` means for the owner."""
    origin = error.orig if isinstance(error, DBAPIError) else error
    code = _state(origin)
    for beginning, sentence in _CURES.items():
        if code.startswith(beginning):
            return (StoreAway if code == LOCKED else StoreError)(
                f"The database {url} is of no use now: {sentence}."
            )
    first = next((line.strip() for line in str(origin).splitlines() if line.strip()), "no reason was given")
    broken = isinstance(error, DBAPIError) and error.connection_invalidated
    if broken or not code or code.startswith(_AWAY):
        return StoreAway(f"The database {url} cannot be reached now ({first}); see that its server runs.")
    return StoreError(f"The database {url} is of no use now: {first}.")


def _state(origin: object) -> str:
    state = getattr(origin, "sqlstate", None)
    if state:
        return str(state)
    said = str(origin)
    if "FATAL:" in said:
        said = said.partition("FATAL:")[2].strip()
        return next((code for words, code in _SAYS if said.startswith(words)), "")
    return next((code for words, code in _SAYS[:2] if words in said), "")
