"""Two owners in one store: no function of it ever shows or changes the other's rows, whatever it is asked.

Every public function of every file of queries is called by its signature with values that both owners have in
common: the same meetings, people, calendars, and the numbers of the other's rows. A new one that cannot be
called so is named here.
"""

from __future__ import annotations

import importlib
import inspect
import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import NoResultFound

from connectors.base import ChangeSet, Cursor
from daemon.store import Store, contacts, deliveries, open_store
from daemon.store.agreements import Kind, Stage
from daemon.store.answers import Answer
from daemon.store.drafts import Draft
from daemon.store.replies import InboxRow
from daemon.store.schema import metadata
from rules.delivery import Event, ForbiddenMove, State
from rules.model import Attendance, Encounter, Held, Met, PartStat
from tests.support.databases import empty_database
from tests.support.meetings import JO, NOW, meeting
from tests.support.postgresql import SUPERUSER, shared_server
from tests.support.stores import ACME, HORIZON, info, intent, resource, span

MODULES = (
    "agenda",
    "agreements",
    "answers",
    "attendance",
    "calendars",
    "changes",
    "contacts",
    "deliveries",
    "demotions",
    "drafts",
    "graveyard",
    "history",
    "notes",
    "offered",
    "optouts",
    "past_deliveries",
    "records",
    "replies",
    "restored",
    "scratch",
    "set_back",
    "silences",
    "tally",
    "waking",
)

EXEMPT = {
    "changes.calendar_is",  # makes a condition
    "graveyard.bury",  # these five take rows that their caller found as its own
    "graveyard.prune",
    "history.keep",
    "history.keep_stored",
    "waking.wake",
    "notes.note_for_all",  # says to every owner that the file is a backup
    "restored.say_backup",  # the same
}

HREF = "/kickoff.ics"


def functions() -> dict[str, Callable[..., Any]]:
    """Everything that takes a connection."""
    found = {}
    for name in MODULES:
        module = importlib.import_module(f"daemon.store.{name}")
        for each, made in vars(module).items():
            is_ours = inspect.isfunction(made) and made.__module__ == module.__name__
            if (
                is_ours
                and not each.startswith("_")
                and next(iter(inspect.signature(made).parameters), "") == "conn"
            ):
                found[f"{name}.{each}"] = made
    return {name: made for name, made in found.items() if name not in EXEMPT}


def one_of(name: str, kind: str, word: str, ids: list[int], dice: random.Random) -> Any:
    """A value for a parameter; free text holds the ``word`` that tells whose it is."""
    mine = meeting("kickoff", title=f"{word} kickoff", href=HREF)
    slot = span(60)
    times = [NOW - timedelta(days=1), NOW, NOW + timedelta(hours=40), NOW + timedelta(days=2)]
    by_name: dict[str, Any] = {
        "limit": 100,
        "tries": 1,
        "by": timedelta(hours=1) if kind == "timedelta" else word,
        "id_": dice.choice(ids),
        "ids": ids,
        "uids": ["kickoff"],
        "text": "kickoff",
        "account": "acme",
        "names": ["acme"],
        "href": HREF,
        "key": mine.key if kind == "OccurrenceKey" else "colour",
        "beginning": "col",
        "match": {"title": word},
        "to": JO,
        "address": JO,
        "mine": [JO] if kind.startswith("Collection") else word,
        "service": "meet",
        "users": {word: JO},
        "some": [word],
        "rule": "confirm-acme",
        "digest": "d",
        "mode": "draft",
        "pattern": f"{word}@acme.example",
        "message_id": "<1@va.example>",
        "became": "reply",
        "name": "inbox",
        "subject_key": "k",
        "event": dice.choice(list(Event)),
        "delivery": dice.choice(ids) if kind.startswith("int") else None,
        "state": dice.choice(list(Stage if kind == "Stage" else State)),
        "states": list(State),
        "kind": Kind.MOVE if kind == "Kind" else "flood",
        "labels": ["away"],
        "lease": timedelta(minutes=5),
    }
    by_kind: dict[str, Any] = {
        "datetime": dice.choice(times),
        "CalendarRef": ACME,
        "Identity": mine.identity,
        "Iterable[Identity]": [mine.identity],
        "Collection[Identity]": [mine.identity],
        "Iterable[OccurrenceKey]": [mine.key],
        "Mapping[OccurrenceKey, datetime | None]": {mine.key: NOW},
        "Iterable[Address]": [JO],
        "Iterable[str]": [JO],
        "Collection[str]": [JO],
        "Iterable[Occurrence]": [mine],
        "Occurrence": mine,
        "Occurrence | None": mine,
        "Interval": slot,
        "Iterable[Interval]": [slot],
        "Sequence[Interval]": [slot],
        "Iterable[Intent]": [intent("kickoff", step=f"ask {dice.random()}", reason=word)],
        "Answer": Answer(
            identity=mine.identity,
            start=mine.start,
            address=JO,
            partstat=PartStat.ACCEPTED,
            source="page",
            at=NOW,
            words=word,
            picked=(slot,),
        ),
        "Encounter": Encounter(identity=mine.identity, at=NOW, met=Met.HELD),
        "Collection[Word]": [
            contacts.Word(JO, Encounter(identity=mine.identity, at=NOW, met=Met.HELD), mine),
        ],
        "Held": Held.HELD,
        "Attendance": Attendance(held=Held.HELD, source=word, at=NOW),
        "Draft": Draft(delivery=dice.choice(ids), message_id=word, laid=True),
        "InboxRow": InboxRow(name="inbox", error=word),
        "Resource | None": resource(mine),
        "Iterable[Resource]": [resource(mine)],
        "CalendarInfo": info(),
        "ChangeSet": ChangeSet(changed=(resource(mine),), cursor=Cursor(word), full=True),
    }
    if name in by_name:
        return by_name[name]
    if name == "horizon_end":
        return HORIZON
    kind = kind if kind in by_kind else kind.removesuffix(" | None")
    return (
        by_kind[kind]
        if kind in by_kind
        else {"str": word, "bool": True, "int": 1, "timedelta": timedelta()}[kind]
    )


def call(  # noqa: PLR0917 - all of it is drawn
    store: Store, name: str, made: Callable[..., Any], word: str, ids: list[int], dice: random.Random
) -> str:
    """What the function gave, in words."""
    given: dict[str, Any] = {}
    with store.write() as conn:
        for each in list(inspect.signature(made).parameters.values())[1:]:
            if each.kind is each.VAR_KEYWORD:
                given["reason"] = word
                continue
            if each.default is not each.empty and dice.random() < 0.5:
                continue
            if each.name == "delivery" and each.annotation == "Delivery":
                given[each.name] = deliveries.list_(conn)[0]
            else:
                given[each.name] = one_of(each.name, each.annotation, word, ids, dice)
        try:
            found = made(conn, **given)
            return str(list(found) if isinstance(found, Iterator) else found)
        except (ForbiddenMove, NoResultFound) as error:  # the calendar was forgotten
            return str(error)


@pytest.fixture(params=["sqlite", "postgresql", "postgresql without its fence"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[dict[str, Store], Any]]:
    """The same store as each of two owners sees it, and a way to look at all of it."""
    if request.param == "sqlite":
        place = str(tmp_path / "state.db")
        first = open_store(place, NOW, "dana")
        look = sqlite3.connect(place)
    else:
        place = empty_database()
        name = place.partition("@/")[2].partition("?")[0]
        look = shared_server().connect(name)
        if request.param != "postgresql":
            place = shared_server().url(name, SUPERUSER)
        first = open_store(place, NOW, "dana")
    with closing(first), closing(look):
        yield {"dana": first, "eve": first.of("eve")}, look


def rows_of(look: Any, owner: str) -> list[Any]:
    """Everything that is an owner's; of PostgreSQL's in one question, since it is asked so often."""
    if isinstance(look, sqlite3.Connection):
        asked = [f'SELECT * FROM "{name}" WHERE owner = ?' for name in metadata.tables]
        return [sorted(look.execute(one, (owner,)).fetchall(), key=str) for one in asked]
    rows = [f"SELECT '{name}', x::text FROM \"{name}\" x WHERE owner = '{owner}'" for name in metadata.tables]
    return sorted(look.execute(" UNION ALL ".join(rows)).fetchall())


def test_nothing_of_one_owner_is_shown_to_or_changed_for_the_other(
    house: tuple[dict[str, Store], Any],
) -> None:
    """Not by any function, on either kind of store, and not because of row-level security alone."""
    stores, look = house
    dice = random.Random(7)
    every = functions()
    first = ["changes.apply", "deliveries.add", "contacts.note", *every]
    words = {"dana": "DANAS", "eve": "EVES"}
    used: set[str] = set()
    for turn in range(2):
        names = first if turn == 0 else dice.sample(sorted(every), len(every))
        for name in names:
            for owner, other in (("dana", "eve"), ("eve", "dana")):
                ids = [row[0] for row in look.execute("SELECT id FROM deliveries").fetchall()] or [1]
                before = rows_of(look, other)
                said = call(stores[owner], name, every[name], words[owner], ids, dice)
                assert words[other] not in said, name
                assert rows_of(look, other) == before, name
                used.add(name)
    assert used == set(every)
    assert all(rows_of(look, owner) for owner in words)
