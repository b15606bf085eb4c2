"""What an outbox needs around it, in memory: a mailer whose server remembers, a clock, plain mails."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from connectors.base import Receipt
from daemon.clock import SetClock
from daemon.mail.message import Mail
from daemon.outbox import Decision, Outbox
from daemon.store import Store
from daemon.store.deliveries import Delivery
from rules.policy import Guard
from tests.support.meetings import NOW, owner

Fault = Callable[[], None]


class Crash(BaseException):
    """The process is gone."""


@dataclass
class CrashingStore:
    """A store whose process dies at its n-th write, before or after the commit."""

    real: Store
    writes_left: int
    after: bool

    def __getattr__(self, name: str) -> Any:
        """Whatever else is asked, as ever."""
        return getattr(self.real, name)

    def read(self) -> AbstractContextManager[Connection]:
        """As ever."""
        return self.real.read()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """As ever, until the last one."""
        self.writes_left -= 1
        with self.real.write() as conn:
            yield conn
            if self.writes_left == 0 and not self.after:
                raise Crash
        if self.writes_left == 0:
            raise Crash


@dataclass
class SinkMailer:
    """A mailer and its server in one. ``kept`` is what the server took responsibility for.

    A fault may be planned before the mark, between mark and keeping, and after keeping.
    """

    kept: list[str] = field(default_factory=list)
    before: list[Fault | None] = field(default_factory=list)
    between: list[Fault | None] = field(default_factory=list)
    after: list[Fault | None] = field(default_factory=list)
    sessions: int = 0

    @contextmanager
    def session(self) -> Iterator[None]:
        """Count the bursts."""
        self.sessions += 1
        yield

    def send(
        self, sender: str, recipients: Sequence[str], message: bytes, committing: Callable[[], None]
    ) -> Receipt:
        """Take the message, unless a fault is planned."""
        _strike(self.before)
        committing()
        _strike(self.between)
        self.kept += message.decode().split("\n")
        _strike(self.after)
        return Receipt(response="250 kept")

    def check(self) -> None:
        """All is well."""


def _strike(planned: list[Fault | None]) -> None:
    fault = planned.pop(0) if planned else None
    if fault is not None:
        fault()


def raising(error: BaseException) -> Fault:
    """A fault that raises."""

    def fault() -> None:
        raise error

    return fault


def write(delivery: Delivery, companions: Sequence[Delivery] = ()) -> Mail:
    """A mail that says which deliveries it is for."""
    return Mail(
        sender="dana@va.example",
        recipients=(delivery.to,),
        subject=delivery.subject or f"About {delivery.step}",
        message_id=f"<{delivery.id}@va.example>",
        raw="\n".join(one.intent_key for one in (delivery, *companions)).encode(),
        text="",
    )


def outbox(
    store: Store,
    mailer: SinkMailer | None = None,
    clock: SetClock | None = None,
    guard: dict[str, Any] | None = None,
    **more: Any,
) -> Outbox:
    """An outbox that sends whatever is due."""
    usual: dict[str, Any] = {"recheck": lambda _: Decision.go(), "compose": write, "owner": owner()}
    return Outbox(
        store,
        mailer or SinkMailer(),
        clock or SetClock(NOW + timedelta(minutes=1)),
        guard=Guard(**(guard or {})),
        **(usual | more),
    )
