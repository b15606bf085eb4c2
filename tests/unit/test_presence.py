"""What the records of a call say of a meeting: the four values, and nobody accused without proof."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.model import (
    Address,
    Attendee,
    Call,
    CuType,
    Held,
    Interval,
    Occurrence,
    PartStat,
    Party,
    Role,
)
from rules.presence import FOR_EVER, Judgement, Known, Terms, judge
from tests.support.meetings import AL, BO, JO, ME, NOW, meeting, owner

MINUTE = timedelta(minutes=1)
ME_IN = Party(user="users/1", name="Dana Reyes")
JO_IN = Party(user="users/2", name="Jo Winter")
AL_IN = Party(user="users/3", name="Al Okafor")
DI_IN = Party(user="users/9", name="Di Marsh")
NAMES = {JO: "Jo Winter", AL: "Al Okafor", BO: "Bo Larsen"}
MET = {"users/1": frozenset({ME})}


def spans(*minutes: tuple[float, float]) -> tuple[Interval, ...]:
    """Times in a call, in minutes from the start of the meeting."""
    return tuple(Interval(NOW + a * MINUTE, NOW + b * MINUTE) for a, b in minutes)


def there(who: Party, *minutes: tuple[float, float]) -> Party:
    """A party that was there at these times; all the time without any."""
    return replace(who, spans=spans(*(minutes or ((0, 30),))))


def call(*parties: Party, begin: float = -5, end: float | None = 35) -> Call:
    """One call around the meeting."""
    return Call(start=NOW + begin * MINUTE, end=None if end is None else NOW + end * MINUTE, parties=parties)


def invited(*people: Address, **more: object) -> Occurrence:
    """Half an hour from NOW with these people, whose names the event shows."""
    some = tuple(Attendee(address=one, name=NAMES[one], partstat=PartStat.ACCEPTED) for one in people)
    return replace(meeting(starts=0, lasts=0.5), **{"attendees": some} | more)  # type: ignore[arg-type]


def of(*calls: Call, one: Occurrence | None = None, known: Known | None = None) -> Judgement:
    """What these calls say of a meeting with Jo."""
    return judge(one or invited(JO), calls, owner(), known or Known(), Terms())


def test_both_there_is_held() -> None:
    """I and Jo at the same time: held, and nothing more is to be found out."""
    found = of(call(there(ME_IN), there(JO_IN, (9, 12))))
    assert (found.held, found.final, found.why) == (Held.HELD, True, "")


def test_a_mail_address_is_as_good_as_a_name() -> None:
    """Teams tells the addresses of who signed in; whoever signed in under another could be anybody."""
    me, jo, other = (
        Party(user=f"users/{number}", address=address, name="?")
        for number, address in enumerate((ME, JO, Address("jo.winter@elsewhere.example")))
    )
    assert of(call(there(me), there(jo))).held is Held.HELD
    assert of(call(there(me))).held is Held.MISSED_BY_ATTENDEE
    assert of(call(there(me), there(other))).why == "1 party in the call could have been anybody"
    assert of(call(there(replace(me, user="")), there(jo))).learned == {"users/1": JO}


def test_stayed_long_enough_is_held() -> None:
    """Whoever comes after the grace but stays five minutes was there."""
    assert of(call(there(ME_IN), there(JO_IN, (12, 17)))).held is Held.HELD


def test_alone_is_missed_by_them() -> None:
    """I waited, nobody else was in the call: they missed it."""
    assert of(call(there(ME_IN, (-3, 14)))).held is Held.MISSED_BY_ATTENDEE


def test_too_late_and_too_short_is_missed() -> None:
    """They looked in after the grace while I still waited, for less than five minutes."""
    assert of(call(there(ME_IN), there(JO_IN, (12, 14)))).held is Held.MISSED_BY_ATTENDEE


def test_missed_by_me_needs_my_account_to_be_known() -> None:
    """They waited without me; where I could have been recognised, it is my fault, else unknown."""
    waiting = call(there(JO_IN, (-1, 15)))
    assert of(waiting, known=Known(users=MET)).held is Held.MISSED_BY_ME
    assert of(waiting).held is Held.UNKNOWN


@pytest.mark.parametrize(
    ("calls", "why"),
    [
        ((), "no call at its time is on record"),
        ((call(there(ME_IN), begin=-90, end=-5),), "no call at its time is on record"),
        ((call(there(ME_IN), there(DI_IN)),), "1 party in the call could have been anybody"),
        (
            (call(there(ME_IN), there(Party(name="Jo Winter"))),),
            "1 party in the call could have been anybody",
        ),
        ((call(there(ME_IN), there(Party(name="•••12"))),), "1 party in the call could have been anybody"),
        ((call(there(ME_IN, (0, 2))),), "nobody was there for long enough in the beginning"),
        ((call(there(ME_IN, (9, 25))),), "nobody was there for long enough in the beginning"),
        ((call(there(ME_IN, (0, 8)), there(JO_IN, (12, 14))),), "they came, but not at the same time"),
        ((call(there(ME_IN, (0, 8)), there(JO_IN, (12, 25))),), "it is not clear who was there when"),
        ((call(there(ME_IN), there(JO_IN, (-5, -1))),), "somebody was there only before or after"),
        ((call(there(ME_IN), JO_IN),), "somebody was there only before or after"),
        ((call(),), "it is not clear who was there when"),
    ],
)
def test_doubt_is_unknown_and_said(calls: tuple[Call, ...], why: str) -> None:
    """Every doubt leaves it unknown, with the reason in words."""
    found = of(*calls)
    assert (found.held, found.why) == (Held.UNKNOWN, why)


def test_a_call_that_goes_on_is_looked_at_again() -> None:
    """Until it ended nobody is missing; held is held at once."""
    found = of(call(there(ME_IN, (0, 9e6)), end=None))
    assert (found.held, found.final) == (Held.UNKNOWN, False)
    both = call(
        replace(ME_IN, spans=(Interval(NOW, FOR_EVER),)),
        replace(JO_IN, spans=(Interval(NOW, FOR_EVER),)),
        end=None,
    )
    assert of(both).held is Held.HELD


def test_only_calls_of_its_time_count() -> None:
    """A code used before and after: what happened there says nothing of this meeting."""
    before, after = call(there(DI_IN, (-60, -40)), begin=-60, end=-40), call(begin=31, end=60)
    assert of(before, call(there(ME_IN)), after).held is Held.MISSED_BY_ATTENDEE
    assert of(before, call(there(ME_IN, (0, 9)), end=9), call(there(JO_IN, (12, 30)), begin=11)).held is (
        Held.UNKNOWN
    )


def test_one_of_those_required_is_enough() -> None:
    """With Jo there and Al not, it was held; with neither, both missed it."""
    two = invited(JO, AL)
    assert of(call(there(ME_IN), there(JO_IN)), one=two).held is Held.HELD
    assert of(call(there(ME_IN)), one=two).held is Held.MISSED_BY_ATTENDEE


def test_whoever_said_no_missed_nothing() -> None:
    """A no is an answer: alone it leaves nobody to be missed, and beside others it does not count."""
    no = Attendee(address=JO, name="Jo Winter", partstat=PartStat.DECLINED)
    yes = Attendee(address=AL, name="Al Okafor", partstat=PartStat.ACCEPTED)
    assert of(call(there(ME_IN)), one=invited(attendees=(no,))).why == "everybody required had said no"
    assert of(call(there(ME_IN)), one=invited(attendees=(no, yes))).held is Held.MISSED_BY_ATTENDEE
    assert of(call(there(ME_IN), there(JO_IN)), one=invited(attendees=(no, yes))).held is Held.HELD


def test_who_is_not_required_makes_it_doubtful() -> None:
    """An optional guest came instead: perhaps they stood in."""
    guest = Attendee(address=AL, name="Al Okafor", role=Role.OPTIONAL)
    one = replace(invited(JO), attendees=(*invited(JO).attendees, guest))
    assert of(call(there(ME_IN), there(AL_IN)), one=one).why == "somebody came who was not required"


def test_a_room_may_hold_anybody() -> None:
    """The device of an invited room is not a person who was matched."""
    room = Attendee(address=Address("room@acme.example"), name="Room 4", cutype=CuType.RESOURCE)
    one = replace(invited(JO), attendees=(*invited(JO).attendees, room))
    assert of(call(there(ME_IN), there(Party(user="users/7", name="Room 4"))), one=one).held is Held.UNKNOWN


def test_hidden_guests_accuse_nobody() -> None:
    """Where not all who were invited can be seen, nobody is called missing."""
    assert of(call(there(ME_IN)), one=invited(JO, guests_hidden=True)).held is Held.UNKNOWN


def test_names_are_compared_without_case_and_accents() -> None:
    """José Núñez is JOSE NUNEZ; a name known from elsewhere counts like the event's own."""
    nameless = replace(invited(JO), attendees=(Attendee(address=JO),))
    party = there(Party(user="users/5", name="JOSÉ  NÚÑEZ"))
    known = Known(names={JO: ("Jose Nunez",)})
    assert of(call(there(ME_IN), party), one=nameless, known=known).held is Held.HELD
    assert of(call(there(ME_IN), party), one=nameless).held is Held.UNKNOWN


def test_accounts_are_learned_where_nothing_is_doubtful() -> None:
    """From a call without strangers each account is known afterwards, whatever name it shows."""
    learned = of(call(there(ME_IN), there(JO_IN))).learned
    assert learned == {"users/1": ME, "users/2": JO}
    assert of(call(there(ME_IN), there(JO_IN), there(DI_IN))).learned == {}
    known = Known(users={user: frozenset({who}) for user, who in learned.items()})
    renamed = call(there(ME_IN), there(replace(JO_IN, name="J. W. (Acme)")))
    assert of(renamed, known=known).held is Held.HELD


def test_one_name_with_two_accounts_is_doubtful() -> None:
    """Two accounts of one name may be two people."""
    twice = call(there(ME_IN), there(replace(ME_IN, user="users/8")))
    assert of(twice).why == "1 party in the call could have been anybody"


def test_namesakes_are_strangers() -> None:
    """A name that two of the invited bear tells neither."""
    two = replace(
        invited(JO, AL), attendees=tuple(Attendee(address=one, name="Jo Winter") for one in (JO, AL))
    )
    assert of(call(there(ME_IN), there(JO_IN)), one=two).held is Held.UNKNOWN


def test_my_own_other_address_is_me() -> None:
    """I was invited under one address and organise under another: I am one person."""
    other = Address("dana@acme.example")
    both = replace(owner(), addresses=(ME, other))
    one = replace(invited(JO), attendees=(*invited(JO).attendees, Attendee(address=other, name="D. Reyes")))
    calls = [call(there(replace(ME_IN, name="D. Reyes")))]
    assert judge(one, calls, both, Known(), Terms()).held is Held.MISSED_BY_ATTENDEE


_TIMES = st.lists(
    st.tuples(st.integers(-20, 40), st.integers(1, 30)).map(lambda pair: (pair[0], pair[0] + pair[1])),
    min_size=1,
    max_size=3,
)
_SEATS = st.tuples(st.sampled_from([ME_IN, JO_IN, AL_IN]), _TIMES).map(lambda seat: there(seat[0], *seat[1]))
_STRANGERS = st.tuples(
    st.sampled_from(
        [DI_IN, Party(name="Jo Winter"), Party(name="+351 ••• 12"), Party(user="users/4"), Party()]
    ),
    _TIMES,
).map(lambda seat: there(seat[0], *seat[1]))
_USERS = st.sampled_from([{}, MET, MET | {"users/2": frozenset({JO}), "users/4": frozenset({BO})}])


@given(st.lists(_SEATS, max_size=4), _STRANGERS, _USERS, st.booleans(), st.randoms())
@settings(max_examples=150, deadline=None)
def test_nobody_is_accused_beside_a_stranger(
    seats: list[Party],
    stranger: Party,
    users: dict[str, frozenset[Address]],
    split: bool,
    random: object,
) -> None:
    """As long as one party of an overlapping call is unmatched, nobody missed anything."""
    parties = [*seats, stranger]
    random.shuffle(parties)  # type: ignore[attr-defined]
    calls = [call(*parties[:1], begin=-20, end=70), call(*parties[1:], begin=-20, end=70)]
    found = of(*(calls if split else [call(*parties)]), one=invited(JO, AL), known=Known(users=users))
    assert found.held in {Held.HELD, Held.UNKNOWN}


@given(st.lists(_SEATS, max_size=5), _USERS)
@settings(max_examples=150, deadline=None)
def test_whoever_is_accused_was_not_there(seats: list[Party], users: dict[str, frozenset[Address]]) -> None:
    """Who missed it never joined in time, and who waited did."""
    found = of(call(*seats, begin=-20, end=70), one=invited(JO, AL), known=Known(users=users)).held
    early = {
        seat.user for seat in seats for one in seat.spans if one.start < NOW + 10 * MINUTE and one.end > NOW
    }
    if found is Held.MISSED_BY_ATTENDEE:
        assert not early & {JO_IN.user, AL_IN.user}
        assert ME_IN.user in early
    if found is Held.MISSED_BY_ME:
        assert ME_IN.user not in early
        assert early & {JO_IN.user, AL_IN.user}
