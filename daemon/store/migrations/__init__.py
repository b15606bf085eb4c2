"""Alembic's scripts; :mod:`daemon.store.migrate` runs them."""
