"""INSERT … ON CONFLICT, in the words that SQLite and PostgreSQL share.

SQLAlchemy has an insert for each; both compile to the same clauses, and the one for SQLite compiles for
PostgreSQL, too. The tests of every query hold that.
"""

from __future__ import annotations

from sqlalchemy.dialects.sqlite import insert

__all__ = ["insert"]
