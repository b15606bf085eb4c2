"""What one resource may say at most; and no database stumbles over what somebody else wrote too long."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from connectors import bounds
from connectors.base import Resource
from connectors.bounds import bounded
from connectors.caldav import CalDavConnector
from rules.model import Address, Attendee, Occurrence, Timing
from tests.support import hostile
from tests.support.bombs import LONG
from tests.support.fake_dav import fake_dav
from tests.support.meetings import meeting
from tests.support.offices import World, at
from tests.support.stores import stores_on
from tests.support.visitor import RULES


def _resource(*occurrences: Occurrence, uid: str = "kickoff") -> Resource:
    return Resource(href="/kickoff.ics", etag="1", uid=uid, raw="", occurrences=occurrences)


def test_what_is_usual_is_not_touched() -> None:
    """The very same comes back."""
    found = _resource(meeting())
    assert bounded(found) is found


def test_long_texts_are_cut() -> None:
    """Titles, places, names and labels, and there are not too many of these."""
    who = Attendee(address=Address("jo@acme.example"), name=LONG)
    one = replace(
        meeting(),
        title=LONG,
        location=LONG,
        organizer_name=LONG,
        categories=(LONG,) * 1000,
        attendees=(who,),
    )
    found = bounded(_resource(one))
    (cut,) = found.occurrences
    texts = (cut.title, cut.location, cut.organizer_name, cut.attendees[0].name, *cut.categories)
    assert set(map(len, texts)) == {bounds.LONGEST_TEXT}
    assert {text[-1] for text in texts} == {"…"}
    assert len(cut.categories) == bounds.MOST_CATEGORIES
    assert found.broken == ""


@pytest.mark.parametrize("uid", ["x" * 1001, "é" * 501])
def test_a_long_uid_is_left_out(uid: str) -> None:
    """Whether it is that of the resource or of one in it; bytes count."""
    one = meeting()
    inside = _resource(replace(one, key=replace(one.key, uid=uid)))
    for found in (bounded(inside), bounded(_resource(one, uid=uid))):
        assert found.occurrences == ()
        assert found.uid in {"", "kickoff"}
        assert found.broken == "Its UID is longer than 1000 bytes, so that it was left out."


@pytest.mark.parametrize("field", ["attendees", "organizer"])
def test_a_long_address_is_left_out(field: str) -> None:
    """Nobody has one."""
    address = Address("x" * 310 + "@acme.example")
    value = (Attendee(address=address),) if field == "attendees" else address
    found = bounded(_resource(replace(meeting(), **{field: value})))
    assert found.occurrences == ()
    assert found.broken == "Somebody's address is longer than 320 bytes, so that it was left out."


def test_a_crowd_that_meets_often_is_not_followed() -> None:
    """Some occurrences are kept, to be explained; none is acted on."""
    people = tuple(Attendee(address=Address(f"guest{number}@acme.example")) for number in range(10_000))
    many = [replace(meeting(starts=24 * day), attendees=people) for day in range(50)]
    found = bounded(_resource(*many))
    assert len(found.occurrences) == bounds.MOST_PEOPLE // len(people)
    assert {one.timing for one in found.occurrences} == {Timing.UNFOLLOWED}
    assert "only its first 3 occurrences were read" in found.broken


def test_what_says_too_much_is_left_out() -> None:
    """One occurrence alone may say more than is kept."""
    one = replace(meeting(), conference="x" * (bounds.MOST_LETTERS + 1))
    found = bounded(_resource(one))
    assert found.occurrences == ()
    assert found.broken == "It says more than is kept, so that it was left out."


@pytest.mark.parametrize("where", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
@pytest.mark.parametrize("what", ["UID:bad", "bo@", "Jo", "SUMMARY:Kickoff"])
def test_no_database_stumbles_over_what_is_long(tmp_path: Path, where: str, what: str) -> None:
    """An invitation with a UID, an address, a name or a title of thousands of letters stops nobody."""
    with stores_on(where):
        world = World(tmp_path, RULES)
    world.round()
    good, bad = (
        hostile.meeting(uid, at(40), {f"{who}@acme.example": "NEEDS-ACTION"}, title="Kickoff", name="Jo")
        for uid, who in (("good", "al"), ("bad", "bo"))
    )
    world.put("acme", "bad", bad.replace(what, what.replace("bad", "").replace("@", "") + LONG + what[-1], 1))
    world.put("acme", "good", good)
    world.round(0.01)
    world.round(1)
    assert world.states()["good", "al@acme.example"] == "sent"
    world.office.close()


def test_an_object_with_a_long_address_is_left_out_and_told(tmp_path: Path) -> None:
    """It is not asked for; the owner hears of it once, and its neighbour is asked about."""
    world = World(tmp_path, RULES)
    with fake_dav() as dav:
        world.calendars["acme"] = CalDavConnector(  # type: ignore[assignment]
            "acme", dav.url, username="dana", password="secret", home_zone="Europe/Lisbon"
        )
        for name, uid in ((LONG, "bad"), ("good", "good")):
            text = hostile.meeting(
                uid, at(40), {"jo@acme.example": "NEEDS-ACTION"}, title="Kickoff", name="Jo"
            )
            dav.put(f"{name}.ics", text)
        world.round()
        world.round(0.01)
        world.round(1)
        world.office.close()
    assert world.states()["good", "jo@acme.example"] == "sent"
    (told,) = [mail for to, mail in world.mailer.kept if to == "dana@va.example"]
    assert "Its address on the server is longer than 1000 letters" in told.get_body(("plain",)).get_content()
