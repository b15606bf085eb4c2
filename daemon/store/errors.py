"""The errors that stop the daemon."""

from __future__ import annotations


class StoreError(Exception):
    """The state cannot be trusted or written. The text is one sentence for the owner, with the cure."""


class StoreAway(StoreError):
    """The database cannot be reached now: nothing of the transaction is kept, and it may be tried again.

    One exception: where the connection broke during a commit, nobody knows.
    """
