"""What records of calls say is kept beside the owner's word, and whose their accounts are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from daemon.store import attendance, records
from daemon.store.engine import Store
from daemon.store.scratch import every_mark
from rules.model import Attendance, CalendarRef, Held, Identity, Occurrence, OccurrenceKey
from tests.support.meetings import AL, JO, ME, NOW, meeting
from tests.support.stores import fresh_store

pytestmark = pytest.mark.usefixtures("dialect")

ONE = replace(meeting(starts=-2), conference="abc-mnop-xyz")
HELD = Attendance(held=Held.HELD, source="Google Meet", at=NOW)
MISSED = replace(HELD, held=Held.MISSED_BY_ATTENDEE)
UNKNOWN = replace(HELD, held=Held.UNKNOWN, source="Google Meet: nobody knows")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A new store."""
    made = fresh_store(tmp_path)
    yield made
    made.close()


def in_account(name: str) -> Occurrence:
    """The same meeting in another account."""
    key = OccurrenceKey(calendar=CalendarRef(account=name, id="c"), uid=ONE.key.uid)
    return replace(ONE, key=key)


@pytest.mark.parametrize(
    ("acme", "own", "held"),
    [
        (UNKNOWN, HELD, Held.HELD),
        (HELD, UNKNOWN, Held.HELD),
        (MISSED, MISSED, Held.MISSED_BY_ATTENDEE),
        (HELD, MISSED, Held.UNKNOWN),
        (UNKNOWN, UNKNOWN, Held.UNKNOWN),
    ],
)
def test_accounts_that_disagree_know_nothing(
    store: Store, acme: Attendance, own: Attendance, held: Held
) -> None:
    """One meeting in two accounts: what one knows counts, unless the other knows otherwise."""
    with store.write() as conn:
        records.keep(conn, in_account("acme"), acme)
        records.keep(conn, in_account("own"), own)
        found = records.of(conn, [ONE.identity, Identity(uid="other")])
    assert {identity: one.held for identity, one in found.items()} == {"kickoff": held}


def test_tries_count_for_one_time_of_the_meeting(store: Store) -> None:
    """A meeting that moved begins anew."""
    with store.write() as conn:
        records.keep(conn, ONE, UNKNOWN, tries=3, next_at=NOW)
        assert records.tries(conn, ONE) == 3
        assert records.tries(conn, replace(ONE, start=ONE.start + timedelta(hours=1))) == 0
        assert records.tries(conn, in_account("own")) == 0


def test_accounts_of_people_are_learned(store: Store) -> None:
    """Whose an account is stays known, apart for each service; mine are always told."""
    with store.write() as conn:
        records.learn(conn, "Google Meet", {"users/1": ME, "users/2": JO}, NOW)
        records.learn(conn, "Google Meet", {"users/2": AL}, NOW)
        records.learn(conn, "Google Meet", {}, NOW)
        records.learn(conn, "Another", {"users/3": JO}, NOW)
        found = records.users(conn, "Google Meet", {"users/2", "users/3"}, [ME])
    assert found == {"users/1": frozenset({ME}), "users/2": frozenset({JO, AL})}


def test_the_past_is_replayed_with_what_records_said(store: Store) -> None:
    """A replay hears the owner's word, and of other meetings what records knew."""
    word = Identity(uid="kickoff")
    with store.write() as conn:
        attendance.mark(conn, word, Held.HELD, "the owner's word", NOW)
        records.keep(conn, ONE, MISSED)
        for uid, known in (("review", MISSED), ("demo", UNKNOWN)):
            records.keep(conn, replace(ONE, key=replace(ONE.key, uid=uid)), known)
        found = dict(every_mark(conn))
    assert {str(identity): one.held for identity, one in found.items()} == {
        "kickoff": Held.HELD,
        "review": Held.MISSED_BY_ATTENDEE,
    }
