"""What machines ask the dashboard: whether all is well, and numbers; and the weeks as bars."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from daemon.dashboard import plot
from daemon.store import attendance
from rules.model import Held, Identity
from tests.support.owner import Desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A meeting in every state, one message that is held and one that left."""
    made = Desk(tmp_path)
    yield made
    made.office.close()


def numbers(desk: Desk) -> dict[tuple[str, str], float]:
    """Every sample, by its name and its label values."""
    return {
        (one.name, ",".join(one.labels.values())): one.value
        for family in text_string_to_metric_families(desk.visit().get("/metrics").text)
        for one in family.samples
    }


def test_numbers_are_read_when_somebody_asks(desk: Desk) -> None:
    """Messages, accounts, calendars, parts and agreements; and the process itself."""
    desk.beats.beat("send", 60)
    desk.beats.beat("decide", -1)
    found = numbers(desk)
    assert found["rebookd_build_info", "0.1.0"] == 1
    assert (found["rebookd_deliveries", "held"], found["rebookd_deliveries", "refused"]) == (1, 0)
    assert found["rebookd_account_seen_timestamp_seconds", "acme"] == desk.clock.now().timestamp()
    assert (found["rebookd_account_failures", "own"], found["rebookd_account_stale", "own"]) == (0, 0)
    assert found["rebookd_calendar_events", "acme,calendar"] == 8
    assert (found["rebookd_part_stuck", "send"], found["rebookd_part_stuck", "decide"]) == (0, 1)
    assert (found["rebookd_agreements", "done"], found["rebookd_answers_total", ""]) == (1, 0)
    assert found["process_resident_memory_bytes", ""] > 0
    desk.clock.at += timedelta(hours=2)
    assert numbers(desk)["rebookd_account_stale", "acme"] == 1


def test_numbers_name_nobody(desk: Desk) -> None:
    """No title and no address, not even of a calendar that is named by one."""
    from sqlalchemy import text

    with desk.store.write() as conn:
        conn.execute(text("UPDATE calendars SET name='dana@acme.example' WHERE account='acme'"))
    shown = desk.visit().get("/metrics").text
    assert "@" not in shown
    assert "Kickoff" not in shown
    assert 'rebookd_calendar_events{account="acme",calendar="calendar-' in shown


def test_whether_all_is_well(desk: Desk) -> None:
    """Well, well enough, or not: only a part that no longer moves, or no state, is an error."""
    owner = desk.visit()
    assert (owner.get("/healthz").status, health(desk)["status"]) == (200, "ok")
    desk.clock.at += timedelta(hours=2)
    assert (owner.get("/healthz").status, health(desk)["status"]) == (200, "degraded")
    desk.beats.beat("poll acme", -1)
    assert (owner.get("/healthz").status, health(desk)["status"]) == (503, "stuck")
    assert "acme" not in owner.get("/healthz").text
    assert "Stuck: poll acme." in owner.get("/").words
    desk.store.close()
    Path(desk.store.path).write_bytes(b"not a database")
    for more in ("-wal", "-shm"):
        Path(desk.store.path + more).unlink(missing_ok=True)
    assert (owner.get("/healthz").status, health(desk)["status"]) == (503, "unreadable")
    page = owner.get("/")
    assert (page.status, "The state cannot be read now" in page.words) == (503, True)


def test_the_weeks_are_counted_where_they_belong(desk: Desk) -> None:
    """By the week a meeting began in; what lies too far back is left out."""
    with desk.store.write() as conn:
        for weeks, held in ((1, Held.HELD), (3, Held.MISSED_BY_ATTENDEE), (11, Held.HELD), (12, Held.HELD)):
            told = desk.clock.now() - timedelta(weeks=weeks)
            attendance.mark(conn, Identity(uid=f"old-{weeks}", recurrence_id=None), held, "you", told)
        drawn = plot.gather(conn, desk.settings, desk.office.decider, desk.clock.now())
    counts = [tuple(week.counts.values()) for week in drawn.weeks]
    assert len(counts) == 12
    assert counts[-1] == (1, 2, 1)
    assert (counts[-2], counts[-4], counts[0]) == ((1, 0, 0), (0, 1, 0), (1, 0, 0))
    assert sum(map(sum, counts)) == 7
    page = desk.visit().get("/").text
    assert "In the last 12 weeks 3 meetings were held, 3 missed and 1 moved" in page
    assert '<th scope="row">2 Mar</th><td>1</td><td>2</td><td>1</td>' in page


@pytest.mark.parametrize("most", [0, 1, 4, 5, 9, 250])
def test_bars_stay_in_their_frame(most: int) -> None:
    """However many there were, none is taller than the plot, and they stack without gaps."""
    weeks = [(str(number), Counter(held=most, missed=number, moved=1)) for number in range(12)]
    drawn = plot.draw(weeks)
    for week in drawn.weeks:
        floor = drawn.height - plot.FOOT
        for bar in week.bars:
            assert bar.y >= plot.TOP - 1
            assert abs(bar.y + bar.height - floor) < 0.3
            assert 0 <= bar.x <= bar.x + bar.width <= drawn.width
            floor = bar.y
    assert 2 <= len(drawn.lines) <= 6


def health(desk: Desk) -> dict[str, object]:
    """What is told to whoever asks for it."""
    found: dict[str, object] = json.loads(desk.visit().get("/healthz").text)
    return found
