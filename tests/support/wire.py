"""What comes in to a fake of a service, and what goes out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Request:
    """One request as it was logged; header names are in lower case.

    ``route`` is the name of what was asked for, as the service's documents call it
    (``calendar.events.list``, ``calendarView.delta``); empty for what they do not know. ``status`` is what
    was answered, 0 where nothing was. ``user`` is whose data it asked for, or whose token it carried.
    """

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes = b""
    route: str = ""
    batched: bool = False
    status: int = 0
    user: str = ""
    page: int = 1
    repeat_page: bool = False

    def one(self, name: str) -> str | None:
        """A query parameter's value."""
        return self.query.get(name, [None])[0]

    @property
    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body or b"null")


@dataclass
class Answer:
    """What goes back. ``chunks`` is written piece by piece; ``dropped`` closes without a word.

    ``promised`` is a Content-Length that the body does not keep. ``coded`` says that the body carries
    its Content-Encoding already.
    """

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    chunks: Iterator[bytes] | None = None
    dropped: bool = False
    promised: int | None = None
    coded: bool = False

    @classmethod
    def of(cls, status: int, value: Any, headers: dict[str, str] | None = None) -> Answer:
        """JSON."""
        usual = {"Content-Type": "application/json; charset=UTF-8", "Cache-Control": "private"}
        return cls(status, json.dumps(value).encode(), usual | (headers or {}))
