"""What PostgreSQL is told about the tables once they are built, so that it keeps what SQLite keeps.

Numbers of rows have 64 bits, text is compared byte by byte, and row-level security lets each transaction see
the rows of its own owner only, whatever a query says. The table's owner is no exception; a superuser is.

A migration that changes rows of every owner must say ``NO FORCE ROW LEVEL SECURITY`` first; this forces it
again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import BigInteger, Connection, text

from daemon.store.schema import metadata

POLICY = "rebookd_owner"
_MINE = "owner = current_setting('rebookd.owner', true)"


def build(conn: Connection) -> None:
    """Bring every table to that, in the caller's transaction."""
    quote = conn.dialect.identifier_preparer.quote
    narrow = _columns(conn, "data_type = 'integer'")
    worded = _columns(conn, "data_type IN ('text', 'character varying') AND collation_name IS NULL")
    for table in metadata.sorted_tables:
        name = quote(table.name)
        for column in table.c:
            place = (table.name, column.name)
            if place in worded:
                type_ = column.type.compile(dialect=conn.dialect)
                change = f'ALTER COLUMN {quote(column.name)} TYPE {type_} COLLATE "C"'
                conn.exec_driver_sql(f"ALTER TABLE {name} {change}")
            if place in narrow and isinstance(column.type, BigInteger):
                conn.exec_driver_sql(f"ALTER TABLE {name} ALTER COLUMN {quote(column.name)} TYPE bigint")
                if column.name == "id":
                    conn.exec_driver_sql(f"ALTER SEQUENCE {quote(f'{table.name}_id_seq')} AS bigint")
        conn.exec_driver_sql(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
        conn.exec_driver_sql(f"DROP POLICY IF EXISTS {POLICY} ON {name}")
        conn.exec_driver_sql(f"CREATE POLICY {POLICY} ON {name} USING ({_MINE}) WITH CHECK ({_MINE})")


@contextmanager
def lifted(conn: Connection) -> Iterator[None]:
    """The tables are this transaction's alone, and it sees the rows of every owner."""
    if conn.dialect.name != "postgresql":
        yield
        return
    names = [conn.dialect.identifier_preparer.quote(table.name) for table in metadata.sorted_tables]
    for name in names:
        conn.exec_driver_sql(f"ALTER TABLE {name} NO FORCE ROW LEVEL SECURITY")
    yield
    for name in names:
        conn.exec_driver_sql(f"ALTER TABLE {name} FORCE ROW LEVEL SECURITY")


def _columns(conn: Connection, where: str) -> set[tuple[str, str]]:
    query = "SELECT table_name, column_name FROM information_schema.columns "
    query += f"WHERE table_schema = current_schema() AND {where}"
    return {(table, column) for table, column in conn.execute(text(query))}
