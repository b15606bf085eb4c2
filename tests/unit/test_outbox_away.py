"""A database that goes away while a message is on its way: what the server answered is not forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from daemon import ledger
from daemon.store import Store, deliveries
from daemon.store.errors import StoreAway
from rules.delivery import State
from tests.support.meetings import NOW
from tests.support.sending import SinkMailer, outbox
from tests.support.stores import fresh_store, intent


class Moody:
    """A store whose writes fail as often as was said: before they count, or after, which nobody can tell."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.faults: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """As the store, unless a fault is due."""
        fault = self.faults.pop(0) if self.faults else ""
        with self._store.write() as conn:
            yield conn
            if fault == "before":
                raise StoreAway("The database is away.")
        if fault == "after":
            raise StoreAway("The database is away.")


@pytest.fixture
def store(tmp_path: Path) -> Moody:
    """One message that is due."""
    made = fresh_store(tmp_path)
    with made.write() as conn:
        deliveries.add(conn, [intent("a")], NOW)
    return Moody(made)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was waited."""
    found: list[float] = []
    monkeypatch.setattr(ledger, "rest", found.append)
    return found


def _run(store: Moody, mailer: SinkMailer) -> State:
    outbox(store, mailer).run(NOW)  # type: ignore[arg-type]
    with store._store.read() as conn:
        (one,) = deliveries.list_(conn)
    return one.state


@pytest.mark.parametrize("faults", [["before"] * 3, ["after"]], ids=["not kept", "perhaps kept"])
def test_the_answer_is_written_when_the_database_is_back(
    store: Moody, pauses: list[float], faults: list[str]
) -> None:
    """A mail that the server took is sent, not unknown."""
    mailer = SinkMailer(after=[lambda: store.faults.extend(faults)])
    assert _run(store, mailer) is State.SENT
    assert pauses == list(ledger.PAUSES[: len(faults)])


@pytest.mark.parametrize("fault", ["before", "after"], ids=["not kept", "perhaps kept"])
def test_without_its_mark_nothing_leaves_and_nothing_is_in_doubt(
    store: Moody, pauses: list[float], fault: str
) -> None:
    """Where the mark before the final dot fails, no dot is sent, and the message waits for another try."""
    mailer = SinkMailer(before=[lambda: store.faults.append(fault)])
    assert _run(store, mailer) is State.RETRYING
    assert mailer.kept == []
    assert pauses == []


def test_a_database_that_stays_away_ends_the_run(store: Moody, pauses: list[float]) -> None:
    """Within the lease; then it is for the next who comes."""
    mailer = SinkMailer(after=[lambda: store.faults.extend(["before"] * 99)])
    with pytest.raises(StoreAway):
        _run(store, mailer)
    assert sum(pauses) == sum(ledger.PAUSES)
