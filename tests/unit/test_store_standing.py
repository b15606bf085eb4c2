"""The owner's standing word: silences, opt-outs, verdicts on rules."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from daemon.store import Store, demotions, optouts, silences
from tests.support.meetings import NOW
from tests.support.stores import fresh_store

pytestmark = pytest.mark.usefixtures("dialect")

HOUR = timedelta(hours=1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    opened = fresh_store(tmp_path)
    yield opened
    opened.close()


def test_a_silence_holds_for_its_time(store: Store) -> None:
    """From its start until just before its end, or until it is expired; its words come back as written."""
    match = {"client": "Ümläut & Co", "any": [{"title": "x"}]}
    with store.write() as conn:
        one = silences.add(conn, match, starts_at=NOW, ends_at=NOW + HOUR, comment="calm", now=NOW)
        two = silences.add(conn, {}, starts_at=NOW + HOUR, ends_at=NOW + 2 * HOUR, comment="", now=NOW)
        assert [silence.id for silence in silences.active(conn, NOW)] == [one]
        assert [silence.id for silence in silences.active(conn, NOW + HOUR)] == [two]
        first, _ = silences.list_(conn)
        assert (first.match, first.comment, first.ends_at) == (match, "calm", NOW + HOUR)
        assert silences.expire(conn, one, NOW)
        assert not silences.expire(conn, one, NOW)
        assert not silences.expire(conn, 99, NOW)
        assert silences.active(conn, NOW) == []
        assert len(silences.list_(conn)) == 2


def test_an_opt_out_is_one_per_pattern(store: Store) -> None:
    """In any case; the first comment stays until it is removed."""
    with store.write() as conn:
        assert optouts.add(conn, "Jo@Acme.example", "asked by phone", NOW)
        assert not optouts.add(conn, "jo@acme.example", "", NOW + HOUR)
        assert optouts.add(conn, "*@initech.example", "", NOW)
        found = [(one.pattern, one.comment, one.created_at) for one in optouts.list_(conn)]
        assert found == [("*@initech.example", "", NOW), ("jo@acme.example", "asked by phone", NOW)]
        assert optouts.remove(conn, "JO@acme.example")
        assert not optouts.remove(conn, "jo@acme.example")


def test_rejections_in_a_row(store: Store) -> None:
    """An approval, a demotion or an edit of the rule starts the count anew; an edit undoes the demotion."""
    with store.write() as conn:
        assert [demotions.rejected(conn, "r", "d1", NOW) for _ in range(2)] == [1, 2]
        demotions.approved(conn, "r")
        assert demotions.rejected(conn, "r", "d1", NOW) == 1
        assert demotions.list_(conn) == []
        demotions.demote(conn, "r", "approve", "d1", NOW + HOUR)
        (one,) = demotions.list_(conn)
        assert (one.rule, one.mode, one.digest, one.rejections) == ("r", "approve", "d1", 0)
        assert one.changed_at == NOW + HOUR
        assert demotions.rejected(conn, "r", "d1", NOW) == 1
        assert [one.mode for one in demotions.list_(conn)] == ["approve"]
        assert demotions.rejected(conn, "r", "d2", NOW) == 1
        assert demotions.list_(conn) == []
        demotions.approved(conn, "never seen")
