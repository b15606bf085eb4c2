"""Every iTIP message of ours against libical's restrictions (RFC 5546), where Debian's package is there."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from connectors import ical_make
from connectors.base import NewMeeting
from connectors.ical_write import itip_counter, itip_request, labelled, moved
from rules.model import Address, Attendee, Interval
from tests.support.ics import LISBON, event, occurrences

SYSTEM = "/usr/bin/python3"
ORACLE = Path(__file__).parents[1] / "support" / "itip_oracle.py"
NOW = datetime(2026, 2, 20, 12, tzinfo=UTC)
NEW = datetime(2026, 4, 1, 15, tzinfo=ZoneInfo(LISBON))
HOUR = timedelta(hours=1)
SLOT = Interval(NEW.astimezone(UTC), (NEW + HOUR).astimezone(UTC))
JO = Address("jo@acme.example")
LINES = (
    "SUMMARY:Kick-off",
    "SEQUENCE:4",
    "ORGANIZER;CN=Dana:mailto:dana@va.example",
    "ATTENDEE;PARTSTAT=ACCEPTED;CN=Dana:mailto:dana@va.example",
    "ATTENDEE;PARTSTAT=DECLINED;CN=Jo:mailto:jo@acme.example",
)
ALONE = event(*LINES)
SERIES = event("RRULE:FREQ=DAILY;COUNT=3", *LINES)
THIRD = occurrences(SERIES)[2]


def there() -> bool:
    """Whether the system's Python has libical."""
    asked = [SYSTEM, "-c", "import gi; gi.require_version('ICalGLib', '3.0')"]
    return Path(SYSTEM).exists() and subprocess.run(asked, capture_output=True, check=False).returncode == 0


pytestmark = pytest.mark.skipif(not there(), reason="gir1.2-ical-3.0 and python3-gi are not installed")


def verdicts(*texts: str) -> list[str]:
    """What libical says of each."""
    asked = subprocess.run(
        [SYSTEM, str(ORACLE)], input="\0".join(texts), capture_output=True, text=True, check=True
    )
    return asked.stdout.splitlines()


def test_the_oracle_has_an_opinion() -> None:
    """A message with neither organizer nor attendee, and one that is no iCalendar at all, are found out."""
    bare = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\nUID:1\r\n"
    bare += "DTSTAMP:20260101T000000Z\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    assert "ok" not in verdicts(bare, "nothing")


def messages() -> dict[str, str]:
    """One of each kind that leaves, of a meeting of its own and of one of a series."""
    key = THIRD.key.recurrence_id
    (single,) = occurrences(ALONE)
    new = NewMeeting(
        made_at=NOW,
        title="Kick-off",
        start=NEW,
        end=NEW + HOUR,
        organizer=Address("dana@va.example"),
        attendees=(Attendee(address=JO, name="Jo"),),
        related="kickoff",
        location="Room 2",
    )
    made = ical_make.new_meeting(new, ical_make.uid_for("once"), now=NOW)
    return {
        "request": itip_request(ALONE, None, now=NOW),
        "request of a series": itip_request(SERIES, None, now=NOW),
        "request of one of a series": itip_request(SERIES, key, now=NOW),
        "request after a move": itip_request(moved(ALONE, None, NEW, NEW + HOUR, now=NOW), None, now=NOW),
        "request after one of a series moved": itip_request(
            moved(SERIES, key, NEW, NEW + HOUR, now=NOW), key, now=NOW
        ),
        "request of a new meeting": itip_request(made, None, now=NOW),
        "request after a label": itip_request(labelled(ALONE, None, "no-show") or "", None, now=NOW),
        "counter": itip_counter(ALONE, None, NEW, NEW + HOUR, JO, now=NOW),
        "counter of one of a series": itip_counter(SERIES, key, NEW, NEW + HOUR, JO, now=NOW),
        "counter without a text": ical_make.counter(single, SLOT, JO, now=NOW),
        "counter without a text of one of a series": ical_make.counter(THIRD, SLOT, JO, now=NOW),
    }


def test_what_leaves_meets_every_restriction() -> None:
    """None breaks a rule that libical knows of its method."""
    sent = messages()
    assert dict(zip(sent, verdicts(*sent.values()), strict=True)) == dict.fromkeys(sent, "ok")


def test_a_declined_counter_follows_the_newer_table() -> None:
    """The oracle's is RFC 2446's, without ATTENDEE and SEQUENCE, which RFC 5546 section 3.2.8 wants."""
    (single,) = occurrences(ALONE)
    texts = [ical_make.declined_counter(one, JO, now=NOW) for one in (single, THIRD)]
    for verdict in verdicts(*texts):
        found = [each for each in verdict.split("; ") if "ATTENDEE" not in each and "SEQUENCE" not in each]
        assert found == []
