"""INSERT … ON CONFLICT, in the words that SQLite and PostgreSQL share.

SQLAlchemy has an insert for each dialect. This is SQLite's, which PostgreSQL is taught to read: its own would
cost every start on SQLite the import of all that is PostgreSQL's.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.dialects.sqlite.dml import OnConflictDoNothing, OnConflictDoUpdate
from sqlalchemy.ext.compiler import compiles

__all__ = ["insert"]


@compiles(OnConflictDoNothing, "postgresql")
def _do_nothing(clause: Any, compiler: Any, **more: Any) -> str:
    clause.constraint_target = None  # it names columns, never a constraint
    said: str = compiler.visit_on_conflict_do_nothing(clause, **more)
    return said


@compiles(OnConflictDoUpdate, "postgresql")
def _do_update(clause: Any, compiler: Any, **more: Any) -> str:
    clause.constraint_target = None
    said: str = compiler.visit_on_conflict_do_update(clause, **more)
    return said
