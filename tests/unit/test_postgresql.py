"""A state in PostgreSQL: opened or refused with the cure, its writers in turn, its owners apart."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from psycopg import sql
from sqlalchemy import text

from daemon.config.settings import load
from daemon.doctor.checks import Finding
from daemon.doctor.database import checks
from daemon.store import Store, StoreError, open_store, postgresql
from daemon.store.errors import StoreAway
from daemon.store.lock import lock
from daemon.store.notes import note, noted
from daemon.store.schema import metadata, occurrences
from tests.support.databases import empty_database
from tests.support.meetings import NOW, meeting
from tests.support.offices import CONFIG
from tests.support.postgresql import GUARDED, PASSWORD, ROLE, Server, shared_server
from tests.support.stores import put, resource

pytestmark = pytest.mark.postgresql


@pytest.fixture
def server() -> Server:
    """The server of this process."""
    return shared_server()


@pytest.fixture
def url(server: Server) -> str:
    """An empty database with our tables."""
    return empty_database()


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """The state in it."""
    with closing(open_store(url, NOW)) as opened:
        yield opened


@pytest.fixture
def bare(server: Server) -> Iterator[str]:
    """The name of a database without any table."""
    name = server.database()
    yield name
    server.drop(name)


def break_connections(server: Server, url: str) -> None:
    """Have the server hang up on everybody, as when it restarts."""
    name = url.partition("@/")[2].partition("?")[0]
    with server.connect() as conn:
        conn.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
            "WHERE datname = %s AND usename = %s",
            (name, ROLE),
        )


def test_migrations_build_the_schema(server: Server, bare: str) -> None:
    """The tables that the migrations build in PostgreSQL are those that the queries use."""
    with closing(open_store(server.url(bare), NOW)) as store, store.read() as conn:
        assert store.path == f"postgresql://{ROLE}@/{bare}"
        assert compare_metadata(MigrationContext.configure(conn), metadata) == []
    with closing(open_store(server.url(bare), NOW)) as again:
        assert again.identity == store.identity == "rebookd-20260302T090000.000000Z"


def test_every_table_is_fenced(store: Store) -> None:
    """No table goes without its policy, not even for its owner; text is compared as in SQLite."""
    with store.read() as conn:
        fenced = conn.execute(
            text(
                "SELECT relname FROM pg_class JOIN pg_policy ON polrelid = pg_class.oid "
                "WHERE relrowsecurity AND relforcerowsecurity"
            )
        )
        assert set(fenced.scalars()) == set(metadata.tables)
        loose = text(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public' "
            "AND data_type IN ('text', 'character varying') AND collation_name IS DISTINCT FROM 'C' "
            "AND table_name <> 'alembic_version' AND table_name NOT LIKE 'procrastinate%'"
        )
        assert conn.execute(loose).all() == []


def test_the_fence_holds_where_a_query_forgets_its_owner(url: str, store: Store) -> None:
    """Row-level security shows, changes and takes nothing of another owner's, whatever is asked."""
    put(store, resource(meeting("kickoff")))
    with closing(open_store(url, NOW, "eve")) as eve, eve.write() as conn:
        assert conn.execute(text("SELECT count(*) FROM occurrences")).scalar_one() == 0
        assert conn.execute(text("UPDATE occurrences SET title = ''")).rowcount == 0
        assert conn.execute(text("DELETE FROM resources")).rowcount == 0
    theirs = text("UPDATE meta SET owner = 'default'")
    with closing(open_store(url, NOW, "eve")) as eve:
        refused = pytest.raises(StoreError, match="may not do what rebookd needs")
        with refused, eve.write() as conn:
            conn.execute(theirs)
    with store.read() as conn:
        assert conn.execute(occurrences.select()).one().title == meeting("kickoff").title


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("postgresql://rebookd@/nowhere?host={folder}", "there is no database of that name on the server"),
        (
            f"postgresql://{GUARDED}:wrong@/{{name}}?host={{folder}}",
            "does not let its user in; check the name",
        ),
        (f"postgresql://{GUARDED}@/{{name}}?host={{folder}}", "PGPASSFILE or PGPASSWORD"),
        ("postgresql://nobody-here@/{name}?host={folder}", "does not let its user in"),
        (f"postgresql://{GUARDED}:wrong@127.0.0.1:9/{{name}}", "cannot be reached now"),
        ("postgresql://x:wrong@db.example/", "names no database"),
        ("postgresql://x:wrong@db.example:port/a", "is no address of a database"),
    ],
)
def test_a_database_that_cannot_be_opened_is_named_with_the_cure(
    server: Server, url: str, address: str, says: str
) -> None:
    """In one sentence, which never holds the password."""
    name = url.partition("@/")[2].partition("?")[0]
    with pytest.raises(StoreError, match=says) as caught:
        open_store(address.format(folder=server.folder, name=name), NOW)
    assert "wrong" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, StoreAway) == ("cannot be reached" in says)


def test_the_password_comes_from_outside(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """It need not stand in the configuration: PostgreSQL's own client finds it."""
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    name = server.database()
    try:
        with server.connect(name) as conn:
            conn.execute(f"ALTER DATABASE {name} OWNER TO {GUARDED}")
        open_store(server.url(name, GUARDED), NOW).close()
    finally:
        server.drop(name)


def test_a_password_in_the_configuration_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is not shown where the place is named."""
    (tmp_path / "rules.yaml").write_text("version: 1\nrules: []\n")
    accounts = "  own: {caldav: {url: https://dav.example/, username: d, password: {env: X}}}"
    address = "postgresql://rebookd:tell-nobody@db.example/rebookd"
    (tmp_path / "config.yaml").write_text(CONFIG.format(accounts=accounts) + f"state: {address}\n")
    settings = load(tmp_path / "config.yaml")
    assert any("PGPASSFILE" in text for text in settings.cautions())
    assert settings.place == "postgresql://rebookd@db.example/rebookd"
    assert settings.memory == address
    assert settings.state == tmp_path / "state.db"  # beside which the keys lie, as before
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/rebookd")
    assert str(settings.state) == "/var/lib/rebookd/state.db"  # where a service may write, as before


def test_a_newer_schema_is_refused(server: Server, bare: str) -> None:
    """What a later version wrote is not touched."""
    open_store(server.url(bare), NOW).close()
    with server.connect(bare) as conn:
        conn.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreError, match="was written by a newer rebookd"):
        open_store(server.url(bare), NOW)


@pytest.mark.parametrize("table", ["alembic_version (version_num text)", "accounts (id int)"])
def test_somebody_elses_tables_are_refused(server: Server, bare: str, table: str) -> None:
    """A database of its own is asked for, and nothing is made in this one."""
    with server.connect(bare, ROLE) as conn:
        conn.execute(f"CREATE TABLE {table}")
    with pytest.raises(StoreError, match="give rebookd a database of its own"):
        open_store(server.url(bare), NOW)
    with server.connect(bare, ROLE) as conn:
        assert conn.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (1,)


def test_an_old_server_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the version that is needed."""
    monkeypatch.setattr(postgresql, "OLDEST", 99)
    with pytest.raises(StoreError, match=r"is PostgreSQL \d+; rebookd needs 99 or later"):
        open_store(url, NOW)


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_that_cannot_write_every_name_is_refused(server: Server, encoding: str) -> None:
    """As some servers make it by themselves, where no locale is set; what to do instead is said."""
    name = f"in_{encoding.lower()}"
    with server.connect() as conn:
        made = "CREATE DATABASE {} OWNER {} TEMPLATE template0 ENCODING {} LOCALE 'C'"
        conn.execute(sql.SQL(made).format(sql.Identifier(name), sql.Identifier(ROLE), sql.Literal(encoding)))
    url = server.url(name)
    try:
        with lock(url), pytest.raises(StoreError, match=f"keeps texts as {encoding}.+ENCODING 'UTF8'"):
            open_store(url, NOW)
        (told,) = checks(url, NOW)
        assert (told.finding, told.cure[:13]) == (Finding.PROBLEM, "make another:")
    finally:
        server.drop(name)


def test_writers_of_one_owner_take_turns(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Owners do not wait for each other, and readers for nobody."""
    monkeypatch.setattr(postgresql, "WAIT_SECONDS", 0.01)
    postgresql._words.cache_clear()
    dana, also_dana, eve = (open_store(url, NOW, name) for name in ("dana", "dana", "eve"))
    with closing(dana), closing(also_dana), closing(eve):
        with dana.write() as conn:
            note(conn, "colour", "red")
            with eve.write() as theirs:
                note(theirs, "colour", "blue")
            with also_dana.read() as reading:
                assert noted(reading, "colour") is None
            with pytest.raises(StoreError, match="another process keeps it locked"), also_dana.write():
                pass
        with also_dana.write() as conn:
            assert noted(conn, "colour") == "red"
    postgresql._words.cache_clear()


def test_a_reader_sees_one_moment(store: Store) -> None:
    """What is committed while it reads, it does not see; and it changes nothing."""
    with store.read() as conn:
        assert noted(conn, "colour") is None
        with store.write() as writing:
            note(writing, "colour", "red")
        assert noted(conn, "colour") is None
    with pytest.raises(StoreError), store.read() as conn:
        note(conn, "colour", "blue")


def test_a_restart_between_transactions_is_not_noticed(server: Server, url: str, store: Store) -> None:
    """Another connection is made before anything is asked over the broken one."""
    with store.write() as conn:
        note(conn, "colour", "red")
    break_connections(server, url)
    with store.read() as conn:
        assert noted(conn, "colour") == "red"


def test_a_restart_within_a_transaction_says_that_it_may_be_tried_again(
    server: Server, url: str, store: Store
) -> None:
    """Nothing of it is kept; the next one goes well."""

    def cut_off() -> None:
        with store.write() as conn:
            note(conn, "colour", "red")
            break_connections(server, url)
            note(conn, "colour", "blue")

    with pytest.raises(StoreAway, match="cannot be reached now"):
        cut_off()
    with store.write() as conn:
        assert noted(conn, "colour") is None


def test_one_daemon_for_each_state(url: str, store: Store) -> None:
    """A second one is refused by name; the lock goes with its holder."""
    refused = pytest.raises(StoreError, match=r"Another rebookd \(.+:\d+\) is already running on postgresql:")
    with lock(url), refused:
        lock(url).__enter__()
    with lock(url):
        pass


@pytest.mark.parametrize("shared", [False, True], ids=["alone", "a worker"])
def test_a_lock_that_a_restart_took_is_taken_again(server: Server, url: str, *, shared: bool) -> None:
    """Whoever held the state holds it again; where another took it meanwhile, that one is named."""
    with lock(url, shared=shared) as again:
        break_connections(server, url)
        again()
        with pytest.raises(StoreError, match="is already running on postgresql:"):
            lock(url).__enter__()
        break_connections(server, url)
        with lock(url), pytest.raises(StoreError, match="is already running on postgresql:"):
            again()
        again()


def test_workers_share_a_state_and_keep_others_from_it(url: str) -> None:
    """Beside a worker there is another worker, and no daemon that takes itself for the only one."""
    refused = pytest.raises(StoreError, match="is already running on postgresql:")
    with lock(url, shared=True), lock(url, shared=True), refused:
        lock(url).__enter__()
    with lock(url), pytest.raises(StoreError, match="is already running on postgresql:"):
        lock(url, shared=True).__enter__()
