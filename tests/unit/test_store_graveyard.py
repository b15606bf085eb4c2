"""Invitations that vanish without a word: which are remembered as cancelled, and for how long."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.base import ChangeSet, Cursor, Resource
from daemon.store import Store, agenda, calendars
from rules.model import CalendarRef, Occurrence, PartStat, Status, Timing
from tests.support.meetings import BO, JO, ME, NOW, meeting
from tests.support.stores import ACME, HORIZON, OWN, fresh_store, info, put, resource

pytestmark = pytest.mark.usefixtures("dialect")

LATER = NOW + timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    opened = fresh_store(tmp_path)
    yield opened
    opened.close()


def invited(uid: str = "theirs", **more: Any) -> Occurrence:
    """Jo's meeting, which I accepted."""
    fields: dict[str, Any] = {"organizer": JO, "people": {ME: PartStat.ACCEPTED, JO: PartStat.ACCEPTED}}
    return meeting(uid, **fields | more)


def series(*days: int, **more: Any) -> list[Occurrence]:
    """Instances of Jo's series, which I accepted."""
    found = []
    for day in days:
        one = invited("weekly", starts=50 + 24 * day, recurring=True, **more)
        found.append(replace(one, key=replace(one.key, recurrence_id=f"{one.start:%Y%m%dT%H%M%SZ}")))
    return found


def stored(store: Store) -> list[Occurrence]:
    """Everything stored, earliest first."""
    with store.read() as conn:
        return agenda.between(conn, NOW - 999 * DAY, NOW + 999 * DAY)


def remembered(store: Store) -> list[str]:
    """The UIDs, or original starts, of what vanished and is remembered."""
    return [one.key.recurrence_id or one.key.uid for one in stored(store) if one.removed_at]


def test_a_vanished_invitation_is_remembered_as_cancelled(store: Store) -> None:
    """It is found as before, and is looked at; nothing that counts resources sees it (RFC 5546 3.2.5)."""
    put(store, resource(invited()), resource(meeting("a")), full=True)
    with store.write() as conn:
        agenda.set_wake(conn, {one.key: None for one in stored(store)})
    applied = put(store, removed=["/theirs.ics"], now=LATER)
    assert ({key.uid for key in applied.removed_keys}, applied.events) == ({"theirs"}, 1)
    (one,) = [one for one in stored(store) if one.key.uid == "theirs"]
    assert (one.status, one.cancelled_at, one.removed_at) == (Status.CANCELLED, LATER, LATER)
    assert (one.href, one.etag, one.observed_at) == ("", "", LATER)
    with store.write() as conn:
        assert "theirs" in {one.key.uid for one in agenda.due(conn, LATER, 10)}
        assert one in agenda.with_people(conn, [JO], NOW)
        agenda.set_wake(conn, {one.key: None})
        assert [one.key.uid for one in agenda.due(conn, LATER, 10)] == ["a"]
        assert set(calendars.etags(conn, ACME)) == {"/a.ics"}
        assert [one.href for one in calendars.resources(conn, ACME)] == ["/a.ics"]
        assert calendars.resource(conn, ACME, "") is None
        assert calendars.calendars(conn)[0].events == 1
    again = put(store, kept=["/a.ics"], full=True, now=LATER + DAY)
    assert (again.removed_keys, again.events, remembered(store)) == (frozenset(), 1, ["theirs"])


def test_what_the_server_says_of_a_removal_is_believed(store: Store) -> None:
    """A cancellation it speaks of is one; what I took out of my calendar myself is not remembered at all."""
    put(store, resource(invited("a")), resource(invited("b")), resource(invited("c")), full=True)
    gone = ["/a.ics", "/b.ics", "/c.ics"]
    put(store, removed=gone, cancelled=["/a.ics"], dismissed=["/b.ics"], now=LATER)
    found = {one.key.uid: (one.status, one.cancelled_at, one.removed_at, one.href) for one in stored(store)}
    assert found == {
        "a": (Status.CANCELLED, LATER, None, ""),
        "c": (Status.CANCELLED, LATER, LATER, ""),
    }


def test_an_instance_that_leaves_its_series_is_remembered(store: Store) -> None:
    """An instance taken out of a series that stays (EXDATE, RFC 5545 section 3.8.5.1)."""
    one, two, three = series(0, 7, 14)
    put(store, resource(one, two, three, recurring=True), full=True)
    put(store, resource(one, three, recurring=True, etag="2"), now=LATER)
    assert remembered(store) == [two.key.recurrence_id]


ORDINARY: dict[str, Occurrence] = {
    "mine": invited(organizer=ME),
    "nobody's": invited(organizer=None),
    "over": invited(starts=-5),
    "not accepted": invited(people={ME: PartStat.TENTATIVE, JO: PartStat.ACCEPTED}),
    "not invited": invited(people={BO: PartStat.ACCEPTED}),
    "all day": invited(timing=Timing.ALL_DAY),
    "floating": invited(timing=Timing.FLOATING),
}


@pytest.mark.parametrize("one", ORDINARY.values(), ids=list(ORDINARY))
def test_other_removals_leave_nothing(store: Store, one: Occurrence) -> None:
    """Only what somebody else plans, what I accepted and what is still ahead may be a cancellation."""
    put(store, resource(one), full=True)
    put(store, removed=["/theirs.ics"], now=LATER)
    assert stored(store) == []


def test_nothing_is_remembered_unless_asked(store: Store) -> None:
    """Without the owner's addresses nobody knows whose meetings these are."""
    put(store, resource(invited()), full=True)
    put(store, removed=["/theirs.ics"], now=LATER, mine=())
    assert stored(store) == []


def still_there(*left: Occurrence, **more: Any) -> Resource:
    """The series' resource, changed, with these instances."""
    return replace(resource(*series(0), recurring=True, etag="2", **more), occurrences=left)


@pytest.mark.parametrize(
    "left",
    [
        still_there(*series(1, 8)),
        still_there(*series(0), broken="a line could not be read"),
        still_there(*series(0, 1, 7)),
    ],
    ids=["planned anew", "half read", "one moved to another day"],
)
def test_a_series_that_changed_is_not_cancelled(store: Store, left: Resource) -> None:
    """Instances replaced by others were moved, and what cannot be read proves nothing."""
    put(store, resource(*series(0, 7, 14), recurring=True), full=True)
    put(store, left, now=LATER)
    assert remembered(store) == []
    assert all(one.status is Status.CONFIRMED for one in stored(store))


def test_what_may_have_left_the_window_is_not_cancelled(store: Store) -> None:
    """A single meeting whose resource is still there, and an instance near the window's end, were moved."""
    far = series(0, 110)
    put(store, resource(invited()), resource(*far, recurring=True), full=True)
    put(
        store,
        replace(resource(invited(), etag="2"), occurrences=()),
        resource(far[0], recurring=True, etag="2"),
        now=LATER,
    )
    assert remembered(store) == []


def test_a_calendar_in_doubt_or_forgotten_leaves_nothing(store: Store) -> None:
    """When much vanished at once, or the whole calendar went, nobody cancelled."""
    put(store, resource(invited("a")), resource(invited("b")), full=True)
    put(store, resource(invited("c", account="own")), ref=OWN, full=True)
    with store.write() as conn:
        calendars.set_shrink(conn, ACME, "token")
        calendars.forget_calendar(conn, OWN)
    put(store, full=True, now=LATER)
    assert stored(store) == []


def test_rolling_remembers_nothing(store: Store) -> None:
    """What the window no longer shows is still in the calendar."""
    one, two = series(0, 7)
    put(store, resource(one, two, recurring=True), full=True)
    with store.write() as conn:
        calendars.roll(conn, ACME, [resource(two, recurring=True)], LATER, HORIZON + DAY)
    assert [one.key for one in stored(store)] == [two.key]


def test_a_move_is_no_removal(store: Store) -> None:
    """Another href, at once or later, or another calendar: the meeting lives on there, and only there."""
    put(store, resource(invited(), href="/1.ics"), full=True)
    put(store, resource(invited(), href="/2.ics"), removed=["/1.ics"], now=LATER)
    assert (remembered(store), len(stored(store))) == ([], 1)
    put(store, removed=["/2.ics"], now=LATER)
    assert remembered(store) == ["theirs"]
    put(store, resource(invited(account="own")), ref=OWN, now=LATER)
    assert [(one.key.calendar, one.status) for one in stored(store)] == [(OWN, Status.CONFIRMED)]
    put(store, resource(invited()), now=LATER)
    put(store, removed=["/theirs.ics"], ref=OWN, now=LATER)
    assert [(one.key.calendar, one.status) for one in stored(store)] == [(ACME, Status.CONFIRMED)]


def test_one_uid_twice_is_buried_once(store: Store) -> None:
    """Where a server keeps a meeting twice, losing both is one cancellation; it may return and go again."""
    for now in (LATER, LATER + DAY):
        put(store, resource(invited(), href="/1.ics"), resource(invited(), href="/2.ics"), now=now)
        assert remembered(store) == []
        put(store, removed=["/1.ics"], now=now)
        assert remembered(store) == []
        put(store, resource(invited(), href="/1.ics"), now=now)
        put(store, removed=["/1.ics", "/2.ics"], now=now)
        assert remembered(store) == ["theirs"]


def test_what_was_cancelled_before_it_vanished_keeps_its_date(store: Store) -> None:
    """The cancellation that was seen counts, not the tidying up after it."""
    put(store, resource(invited()), full=True)
    put(store, resource(invited(status=Status.CANCELLED), etag="2"), now=LATER)
    put(store, removed=["/theirs.ics"], now=LATER + DAY)
    (one,) = stored(store)
    assert (one.cancelled_at, one.removed_at) == (LATER, LATER + DAY)


@pytest.mark.parametrize(("days", "left"), [(31, ["theirs"]), (33, [])])
def test_the_dead_are_forgotten_in_time(store: Store, days: int, left: list[str]) -> None:
    """Thirty days after its end a vanished meeting is remembered no more."""
    put(store, resource(invited()), full=True)
    put(store, removed=["/theirs.ics"], now=LATER)
    with store.write() as conn:
        calendars.roll(conn, ACME, [], NOW + days * DAY, HORIZON + days * DAY)
        calendars.roll(conn, ACME, [], NOW + (days + 1) * DAY, HORIZON + (days + 1) * DAY)
    assert remembered(store) == left


def test_reading_one_meeting_again(store: Store) -> None:
    """An instance that the look before sending no longer finds is remembered, too."""
    one, two = series(0, 7)
    put(store, resource(one, two, recurring=True), full=True)
    with store.write() as conn:
        fresh = resource(one, recurring=True, etag="2")
        calendars.reread(conn, ACME, "/weekly.ics", fresh, LATER, mine=[ME])
    assert remembered(store) == [two.key.recurrence_id]


def test_graves_are_kept_apart_by_calendar(store: Store) -> None:
    """A calendar that is forgotten takes its graveyard along."""
    refs: tuple[CalendarRef, ...] = (ACME, OWN)
    for ref in refs:
        put(store, resource(invited(ref.account, account=ref.account)), ref=ref, full=True)
        put(store, removed=[f"/{ref.account}.ics"], ref=ref, now=LATER)
    assert sorted(remembered(store)) == ["acme", "own"]
    with store.write() as conn:
        calendars.apply(conn, info(), ChangeSet(cursor=Cursor("2"), full=True), LATER, HORIZON, mine=[ME])
        calendars.forget_calendar(conn, ACME)
    assert remembered(store) == ["own"]


@given(st.lists(st.tuples(st.booleans(), st.sampled_from("abc"), st.booleans(), st.booleans()), max_size=12))
@settings(max_examples=20, deadline=None)
def test_a_meeting_is_alive_or_remembered_never_both(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[bool, str, bool, bool]]
) -> None:
    """However copies come and go in two calendars, every meeting ever seen is in one, or remembered once."""
    store = fresh_store(tmp_path_factory.mktemp("graveyard"))
    alive: dict[CalendarRef, set[str]] = {ACME: set(), OWN: set()}
    ever: set[str] = set()
    for own, uid, comes, full in steps:
        ref = OWN if own else ACME
        there, href = alive[ref], f"/{uid}.ics"
        (there.add if comes else there.discard)(uid)
        ever |= there
        fresh = [resource(invited(uid, account=ref.account))] if comes else []
        kept = [f"/{one}.ics" for one in there if not (comes and one == uid)]
        if full:
            put(store, *fresh, kept=kept, full=True, ref=ref, now=LATER)
        else:
            put(store, *fresh, removed=[] if comes else [href], ref=ref, now=LATER)
        with store.read() as conn:
            assert set(calendars.etags(conn, ref)) == {f"/{one}.ics" for one in there}
            (row,) = calendars.calendars(conn, ref.account)
        assert row.events == len(there)
        assert sorted(remembered(store)) == sorted(ever - alive[ACME] - alive[OWN])
    store.close()
