"""A state that moves from a file to a database and back: nobody is mailed again, nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import Connection, select

from daemon.__main__ import main
from daemon.clock import SetClock
from daemon.store import Store, StoreError, agenda, answers, copying, deliveries, notes, open_store
from daemon.store.copying import copy_state
from daemon.store.database import open_database
from daemon.store.lock import lock
from daemon.store.schema import metadata
from rules.delivery import Event, State
from rules.model import Address, PartStat
from tests.support.databases import empty_database
from tests.support.meetings import JO, NOW, meeting
from tests.support.sending import SinkMailer, outbox
from tests.support.stores import intent, put, resource

pytestmark = pytest.mark.postgresql

LATER = NOW + timedelta(minutes=10)


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A state file in the middle of its story, of two owners."""
    path = str(tmp_path / "state.db")
    with closing(open_store(path, NOW)) as store:
        fill(store)
        with closing(open_store(path, NOW, "eve")) as eve, eve.write() as conn:
            notes.note(conn, "colour", "red")
    return path


def fill(store: Store) -> None:
    """A meeting, an answer, a message that left, and one in every stage in which a process may die."""
    put(store, resource(meeting("kickoff", title="Straße\0 nach São Paulo")))
    with store.write() as conn:
        one = meeting("kickoff")
        said = {"address": JO, "partstat": PartStat.ACCEPTED, "source": "page", "at": NOW}
        answers.add(conn, answers.Answer(identity=one.identity, start=one.start, **said))
        until = NOW + timedelta(days=1)
        made = [intent(name, to=Address(f"{name}@acme.example"), until=until) for name in STAGES]
        ids = dict(zip(STAGES, deliveries.add(conn, made, NOW), strict=True))
        for name, id_ in ids.items():
            for event in STAGES[name]:
                deliveries.move(conn, id_, event, NOW, lease_by="elsewhere:1:x", lease_until=LATER)
        deliveries.move(conn, ids["sent"], Event.ACCEPT, NOW, sent_at=NOW, raw=b"\xfe\xff")


STAGES: dict[str, tuple[Event, ...]] = {
    "sent": (Event.CLAIM, Event.COMMIT),
    "waiting": (),
    "claimed": (Event.CLAIM,),
    "committing": (Event.CLAIM, Event.COMMIT),
}


def everything(conn: Connection) -> dict[str, list[object]]:
    """Every row the store shows, but for what says where it was and what a dead sender held."""
    found: dict[str, list[object]] = {}
    for table in metadata.sorted_tables:
        columns = [c for c in table.c if c.name != "lease_until"]
        rows = [tuple(row) for row in conn.execute(select(*columns))]
        mine = [row for row in rows if "default" in row and "came from" not in row]
        found[table.name] = sorted(mine, key=str)
    return found


def test_a_story_goes_on_in_the_database_and_back(file: str, tmp_path: Path) -> None:
    """Every row comes over as it was: what left is not sent again, what waits is."""
    with closing(open_store(file, NOW)) as store, store.read() as conn:
        before = everything(conn)
    url = empty_database()
    assert copy_state(file, url, LATER).owners == 2
    mailer = SinkMailer()
    with closing(open_store(url, LATER)) as store:
        with store.read() as conn:
            after = everything(conn)
        for name, rows in before.items():
            assert [str(row).replace("\\x00", "\ufffd") for row in rows] == [str(row) for row in after[name]]
        run(store, mailer)
        assert left(mailer) == ["claimed@acme.example", "waiting@acme.example"]
        with store.write() as conn:  # ids go on where they were
            (more,) = deliveries.add(conn, [intent("more")], LATER)
            states = {one.to: one.state for one in deliveries.list_(conn)}
            assert more == max(one.id for one in deliveries.list_(conn))
        assert states[Address("committing@acme.example")] is State.UNKNOWN
        assert put(store, resource(meeting("second"), href="/2.ics")).changed_keys
    back = str(tmp_path / "back.db")
    copy_state(url, back, LATER)
    with closing(open_store(back, LATER)) as store:
        run(store, mailer)
        assert len(left(mailer)) == len(set(left(mailer)))
        with store.read() as conn:
            assert len(agenda.by_uids(conn, ["kickoff", "second"])) == 2
    with closing(open_store(back, LATER, "eve")) as eve, eve.read() as conn:
        assert notes.noted(conn, "colour") == "red"


def run(store: Store, mailer: SinkMailer) -> None:
    """What the daemon does first, and then."""
    outbox(store, mailer, SetClock(LATER)).run(LATER)


def left(mailer: SinkMailer) -> list[str]:
    """To whom messages about meetings left."""
    return sorted(key.rpartition("\x1f")[2] for key in mailer.kept if not key.startswith("rebookd"))


def test_what_moved_is_used_no_more(file: str) -> None:
    """Whoever starts on the old place, file or database, is told where the state is now."""
    url = empty_database()
    copy_state(file, url, LATER)
    when = "on 2026-03-02 at 09:10 UTC"
    with pytest.raises(StoreError, match=rf"was moved to postgresql://rebookd@/\w+ {when}"):
        open_store(file, LATER)
    with pytest.raises(StoreError, match="was moved to"):
        copy_state(file, empty_database(), LATER)
    copy_state(url, file + "2", LATER)
    with pytest.raises(StoreError, match=r"was moved to .*state\.db2"):
        open_store(url, LATER, "eve")


def test_a_target_that_holds_something_is_refused(file: str, tmp_path: Path) -> None:
    """Nothing is ever written over; the source stays where it was."""
    url = empty_database()
    with closing(open_store(url, NOW)) as store, store.write() as conn:
        notes.note(conn, "colour", "blue")
    other = str(tmp_path / "other.db")
    with closing(open_store(other, NOW)) as store:
        put(store, resource(meeting("kickoff")))
    for target in (url, other):
        with pytest.raises(StoreError, match="is not empty"):
            copy_state(file, target, LATER)
    open_store(file, LATER).close()


def test_nothing_is_copied_while_anybody_works_on_it(file: str) -> None:
    """A daemon holds the lock; a worker, which holds none, is connected."""
    url = empty_database()
    with lock(file), pytest.raises(StoreError, match="already running"):
        copy_state(file, url, LATER)
    with lock(url), pytest.raises(StoreError, match="already running"):
        copy_state(file, url, LATER)
    copy_state(file, url, LATER)
    with closing(open_database(url, LATER, "default")) as worker, worker.read() as conn:
        conn.execute(select(1))
        with pytest.raises(StoreError, match="in use over 1 other connection"):
            copy_state(url, file + "2", LATER)
    open_store(url, LATER).close()


def test_nowhere_is_no_state(tmp_path: Path) -> None:
    """A misspelt path makes no file."""
    with pytest.raises(StoreError, match="There is no state at"):
        copy_state(str(tmp_path / "stat.db"), empty_database(), NOW)
    assert list(tmp_path.iterdir()) == []


class Killed(BaseException):
    """The process dies: no clean-up runs."""


def dies(monkeypatch: pytest.MonkeyPatch, name: str, *, after: bool) -> None:
    """Have the process die before or after one step."""
    real: Callable[..., object] = getattr(copying, name)

    def step(*args: object) -> object:
        found = real(*args) if after else None
        raise Killed(found)

    monkeypatch.setattr(copying, name, step)
    monkeypatch.setattr(copying.moved, "unsay", lambda *_: None)


def test_a_failure_leaves_the_state_where_it_is(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes wrong while rows are copied leaves the target empty and the source in use."""
    url = empty_database()
    with monkeypatch.context() as patch:
        patch.setattr(copying, "_settle", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            copy_state(file, url, LATER)
    open_store(file, LATER).close()
    assert copy_state(file, url, LATER).rows > 0


def test_a_copy_that_was_killed_is_finished_by_the_same_command(
    file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until then nobody works on the old place, and no third one is begun."""
    url = empty_database()
    with monkeypatch.context() as patch:
        dies(patch, "_settle", after=True)
        with pytest.raises(Killed):
            copy_state(file, url, NOW)
    with pytest.raises(StoreError, match=r"that was broken off; finish it with: rebookd state copy"):
        open_store(file, LATER)
    with pytest.raises(StoreError, match="that was broken off"):
        copy_state(file, empty_database(), LATER)
    assert copy_state(file, url, LATER).rows > 0
    with pytest.raises(StoreError, match="was moved to"):
        open_store(file, LATER)
    open_store(url, LATER).close()


def test_a_copy_killed_at_its_very_end_is_only_marked(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows are there already; the same command says so of the source and copies nothing twice."""
    url = empty_database()
    said: list[bool] = []
    real = copying.moved.say

    def say(*args: object, done: bool) -> None:
        said.append(done)
        if done:
            raise Killed
        real(*args, done=done)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(copying.moved, "say", say)
        with pytest.raises(Killed):
            copy_state(file, url, NOW)
    assert copy_state(file, url, LATER).rows == 0
    with pytest.raises(StoreError, match="was moved to"):
        open_store(file, LATER)
    with closing(open_store(url, LATER)) as store, store.read() as conn:
        assert len(deliveries.list_(conn)) == len(STAGES)


def test_the_command_says_what_it_did(file: str) -> None:
    """And what to do next."""
    done = CliRunner().invoke(main, ["state", "copy", file, empty_database()])
    assert done.exit_code == 0, done.output
    assert "rows of 2 owners were copied" in done.stdout
    assert "after 'state:'" in done.stderr
    again = CliRunner().invoke(main, ["state", "copy", file, empty_database()])
    assert again.exit_code == 1
    assert "was moved to" in again.stderr
