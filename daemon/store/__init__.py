"""What rebookd remembers: SQLAlchemy Core on SQLite, one file of queries per noun."""

from daemon.store.engine import Store
from daemon.store.errors import StoreError
from daemon.store.opening import open_store

__all__ = ["Store", "StoreError", "open_store"]
