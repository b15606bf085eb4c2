"""Databases with our tables, as good as new."""

from __future__ import annotations

import atexit
from functools import cache
from itertools import count

import psycopg

from daemon.store.database import open_database
from daemon.store.schema import metadata
from tests.support.meetings import NOW
from tests.support.postgresql import shared_server

AT_ONCE = 3
"""So many of them stay as they are while the next is asked for: one test wants no more."""

_turn = count()

# much faster than TRUNCATE, which makes new files
_EMPTYING = "; ".join(
    [f'DELETE FROM "{table.name}"' for table in reversed(metadata.sorted_tables)]
    + [f"ALTER SEQUENCE {table.name}_id_seq RESTART" for table in metadata.sorted_tables if "id" in table.c]
)


def empty_database() -> str:
    """The address of a database that holds nothing yet but the tables."""
    name, admin = _database(next(_turn) % AT_ONCE)
    admin.execute(_EMPTYING)
    return shared_server().url(name)


@cache
def _template() -> str:
    server = shared_server()
    name = server.database()
    open_database(server.url(name), NOW, "default", for_copy=True).close()
    return name


@cache
def _database(number: int) -> tuple[str, psycopg.Connection]:
    del number
    server = shared_server()
    name = server.database(_template())
    admin = server.connect(name)
    atexit.register(admin.close)
    return name, admin
