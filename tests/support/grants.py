"""Access tokens that a fake identity platform gives out and a fake of its services believes."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Grant:
    """What a token allows: ``user``'s data by delegation, or any mailbox's where ``app`` is true.

    ``scopes`` are short names, ``Calendars.Read``; for an app they are its application permissions.
    """

    user: str
    scopes: frozenset[str]
    app: bool = False


@dataclass
class Grants:
    """The tokens that are valid now."""

    valid: dict[str, Grant] = field(default_factory=dict)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def mint(self, user: str, *scopes: str, app: bool = False) -> str:
        """A new token."""
        token = f"token-{next(self._numbers)}-{'app' if app else user}"
        self.valid[token] = Grant(user, frozenset(scopes), app)
        return token

    def whose(self, header: str | None) -> Grant | None:
        """What an Authorization header allows; None for nothing."""
        kind, _, token = (header or "").partition(" ")
        return self.valid.get(token) if kind == "Bearer" else None

    def revoke(self, token: str) -> None:
        """Believe it no more."""
        self.valid.pop(token, None)
