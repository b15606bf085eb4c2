"""The one error that stops the daemon."""

from __future__ import annotations


class StoreError(Exception):
    """The state file cannot be trusted or written. The text is one sentence for the owner, with the cure."""
