"""What the sink's log and the outbox say together: the judgement of all experiments on P1 and P2."""

from __future__ import annotations

import contextlib
import email
import email.policy
import json
import sqlite3
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Protocol

from rules.delivery import State
from tests.support.house import House

OWNER = "dana@va.example"
MINUTE = 60.0


@dataclass(frozen=True)
class Arrival:
    """One message that the sink took: when, for whom, and what it says."""

    at: float
    to: tuple[str, ...]
    message_id: str
    text: str


@dataclass(frozen=True)
class Verdict:
    """How many mails to others ended in each state."""

    states: Counter[str]
    kept: int

    @property
    def unknown(self) -> int:
        """How many are in doubt."""
        return self.states[State.UNKNOWN]

    def __str__(self) -> str:
        said = f"{self.kept} mails arrived, 0 twice, 0 lost, {self.unknown} unknown, each told"
        refused = self.states[State.REFUSED]
        return said + (f", {refused} refused, each told" if refused else "")


class Place(Protocol):
    """Where mails were to be sent."""

    @property
    def log(self) -> Path:
        """What the sink took."""


def arrivals(place: Place) -> list[Arrival]:
    """Everything the sink took, in order."""
    if not place.log.exists():
        return []
    found = []
    for line in place.log.read_text().splitlines():
        entry = json.loads(line)
        message = email.message_from_string(entry["data"], policy=email.policy.default)
        body = message.get_body(("plain",))
        text = " ".join(str(body.get_content()).split()) if body else ""
        found.append(Arrival(entry["at"], tuple(entry["recipients"]), entry["message_id"], text))
    return found


@dataclass(frozen=True)
class Row:
    """What the outbox says of one message."""

    id: int
    state: str
    rule: str
    step: str
    uid: str
    to: str
    message_id: str
    error: str


_COLUMNS = ", ".join(f'"{field.name}"' for field in fields(Row))
QUERY = f"SELECT {_COLUMNS} FROM deliveries ORDER BY id"
"""Asks for the whole outbox."""


def rows(place: House) -> list[Row]:
    """The whole outbox, read as another program would read it."""
    with contextlib.closing(sqlite3.connect(f"file:{place.state}?mode=ro", uri=True, timeout=60)) as conn:
        return [Row(*values) for values in conn.execute(QUERY)]


def judge(place: House, wanted: Collection[tuple[str, str]], restarts: Sequence[float]) -> Verdict:
    """Make sure of P1 and P2 in a house; what was to be told was told within a minute of a restart."""
    return judge_outbox(place, rows(place), wanted, restarts)


def judge_outbox(
    place: Place, outbox: Sequence[Row], wanted: Collection[tuple[str, str]], restarts: Sequence[float] = ()
) -> Verdict:
    """Make sure of P1 and P2; ``wanted`` are the UID and address of every mail that was due.

    Nobody was mailed twice. Each mail has one row, in a final state that the sink agrees with. Whatever is
    unknown or refused was told to the owner: that mail arrived, soon after one of the ``restarts`` if there
    are any.
    """
    taken = arrivals(place)
    kept = Counter(one.message_id for one in taken)
    assert max(kept.values(), default=0) <= 1, "somebody was mailed twice"
    asked = {(one.uid, one.to): one for one in outbox if one.rule == "confirm"}
    addressed = Counter(address for one in taken for address in one.to if address != OWNER)
    due = Counter(address for _, address in wanted)
    assert all(count <= due[address] for address, count in addressed.items()), "more mails than were due"
    assert set(asked) == set(wanted), "a mail that was due is in no state at all"
    for one in asked.values():
        assert one.state in {State.SENT, State.UNKNOWN, State.REFUSED}, (
            f"{one.to} is {one.state}: {one.error}"
        )
        if one.state == State.SENT:
            assert kept[one.message_id] == 1, f"the mail to {one.to} is said to be sent and never arrived"
        elif one.state == State.REFUSED:
            assert kept[one.message_id] == 0, f"the mail to {one.to} is said to be refused and did arrive"
        if one.state != State.SENT:
            _make_sure_it_was_told(one, taken, restarts)
    sent = sum(kept[one.message_id] for one in asked.values())
    return Verdict(Counter(one.state for one in asked.values()), sent)


def _make_sure_it_was_told(one: Row, taken: Sequence[Arrival], restarts: Sequence[float]) -> None:
    about = f"`rebookd outbox retry {one.id}`"
    told = next((each for each in taken if each.to == (OWNER,) and about in each.text), None)
    assert told is not None, f"the mail to {one.to} is {one.state}, and the owner was never told"
    if not restarts:
        return
    since = told.at - max(at for at in restarts if at <= told.at)
    assert since < MINUTE, f"the owner was told {since:.0f} s after the start"
