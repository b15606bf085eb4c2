"""The small languages of the owner's files: what they accept, what they mean, what they refuse."""

from __future__ import annotations

from contextlib import suppress
from datetime import time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.faults import Faults
from rules.fields import Moment, Pattern, Span, address
from rules.matchers import TextMatch
from rules.timetable import DayPart, WeeklyHours


@pytest.mark.parametrize(
    ("text", "delta", "business_days"),
    [
        ("48h", timedelta(hours=48), 0),
        ("15m", timedelta(minutes=15), 0),
        ("1h30m", timedelta(minutes=90), 0),
        ("1 h 30 min", timedelta(minutes=90), 0),
        ("90 minutes", timedelta(minutes=90), 0),
        ("7d", timedelta(days=7), 0),
        ("2 days", timedelta(days=2), 0),
        ("1 week", timedelta(days=7), 0),
        ("30s", timedelta(seconds=30), 0),
        ("366d", timedelta(days=366), 0),
        ("0m", timedelta(0), 0),
        ("5 business days", timedelta(0), 5),
        ("1 Business Day", timedelta(0), 1),
    ],
)
def test_a_span_means_what_it_says(text: str, delta: timedelta, business_days: int) -> None:
    """Every spelling the manual shows gives its length."""
    span = Span.parse(text)
    assert (span.delta, span.business_days) == (delta, business_days)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("48", "write a unit, such as 48h"),
        ("1.5", "write a unit, such as 48h"),
        ("-2h", "a length of time cannot be negative"),
        ("2 moons", "'moons' is not a unit of time"),
        ("soon", "'soon' is not a length of time"),
        ("", "nothing is written here"),
        ("367d", "366 days is the longest allowed"),
        ("300d 300d", "366 days is the longest allowed"),
        ("99999999w", "366 days is the longest allowed"),
        ("261 business days", "260 business days is the longest allowed"),
        ("1h 2 business days", "'business' is not a unit of time"),
        ("1.5h", "'1.5h' is not a length of time"),
        ("9" * 5000 + "h", "is not a length of time"),
    ],
)
def test_a_wrong_span_is_refused_in_a_sentence(text: str, message: str) -> None:
    """What is not a length of time says why."""
    with pytest.raises(Faults, match=message.replace(".", r"\.")):
        Span.parse(text)


@pytest.mark.parametrize(
    ("text", "before", "after", "anchor"),
    [
        ("48h before start", True, False, "start"),
        ("15m after end", False, True, "end"),
        ("1 business day after end", False, True, "end"),
        ("2  Days  BEFORE  Start", True, False, "start"),
        ("at start", False, False, "start"),
        ("at end", False, False, "end"),
    ],
)
def test_a_moment_has_a_side_and_an_anchor(text: str, before: bool, after: bool, anchor: str) -> None:
    """A moment lies before, after or at the meeting's start or end."""
    moment = Moment.parse(text)
    assert (moment.is_before, moment.is_after, moment.anchor) == (before, after, anchor)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("48h befor start", "'befor' is not one of before, after", "did you mean 'before'?"),
        ("48h before strat", "'strat' is not one of start, end", "did you mean 'start'?"),
        ("before start", "say how long before the start", "write it like 48h before start"),
        ("48 before start", "write a unit, such as 48h", "s, m, h, d, w and business days are units"),
        ("start", "'start' is not a moment before or after the meeting's start or end", "write it like"),
    ],
)
def test_a_wrong_moment_says_which_word(text: str, message: str, hint: str) -> None:
    """The word that is wrong is named, and the nearest right one."""
    with pytest.raises(Faults) as raised:
        Moment.parse(text)
    (fault,) = raised.value.faults
    assert fault.message == message
    assert fault.help.startswith(hint)


@given(st.text(max_size=40))
@settings(max_examples=200, deadline=None)
def test_any_text_is_parsed_or_refused(text: str) -> None:
    """No text makes a parser fail in another way than with a sentence."""
    for parse in (Span.parse, Moment.parse, DayPart.parse, Pattern.parse, address, WeeklyHours.parse):
        with suppress(Faults):
            parse(text)


@given(st.timedeltas(timedelta(0), timedelta(days=366)))
@settings(max_examples=50, deadline=None)
def test_a_span_survives_being_written(delta: timedelta) -> None:
    """Seconds written out are read back as the same length."""
    whole = timedelta(seconds=int(delta.total_seconds()))
    assert (
        Span.parse(f"{int(whole.total_seconds()) // 3600}h {int(whole.total_seconds()) % 3600}s").delta
        == whole
    )


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("acme", "ACME", True),
        ("acme", "acme2", False),
        ("*@acme.example", "Jo@Acme.example", True),
        ("*@acme.example", "jo@acme.example.net", False),
        ("jo@*.example", "jo@a.b.example", True),
        ("client-?", "client-7", True),
        ("client-?", "client-", False),
        ("*review*", "the review", True),
        ("a*b*c", "aXbYbZc", True),
        ("a*b*c", "aXcYb", False),
        ("*ab", "aab", True),
        ("*", "", True),
        ("[no-show] *", "[No-Show] Kickoff", True),
        ("a.c", "abc", False),
        ("straße", "STRASSE", True),
    ],
)
def test_a_pattern_fits_whole_texts_in_any_case(pattern: str, text: str, fits: bool) -> None:
    """A star is any text, a question mark one character, everything else itself."""
    assert Pattern.parse(pattern).matches(text) is fits


@given(st.text("ab*?", min_size=1, max_size=8), st.text("ab", max_size=10))
@settings(max_examples=300, deadline=None)
def test_a_pattern_agrees_with_the_definition(pattern: str, text: str) -> None:
    """The fast matcher says what trying every possibility says."""
    assert Pattern(pattern).matches(text) is _by_trying(pattern, text)


def _by_trying(pattern: str, text: str) -> bool:
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(_by_trying(pattern[1:], text[cut:]) for cut in range(len(text) + 1))
    return bool(text) and pattern[0] in {"?", text[0]} and _by_trying(pattern[1:], text[1:])


def test_a_hostile_pattern_does_not_hang() -> None:
    """Many stars against a long text that almost fits end at once, since no star is tried twice."""
    assert not Pattern.parse("*a" * 99 + "b").matches("a" * 20_000)
    assert not Pattern.parse("*a?" * 60).matches("a" * 5_000 + "b" * 100)


def test_words_and_patterns_of_a_text_must_both_fit() -> None:
    """Any one of the words is enough, and any one of the patterns, but both keys count."""
    match = TextMatch.model_validate({"contains": ["Kickoff", "review"], "glob": "* acme"})
    fits = match.tester()
    assert fits("REVIEW with Acme".casefold())
    assert not fits("review with initech")
    assert not fits("lunch acme")
    assert str(match) == "contains Kickoff, review and glob * acme"


def test_quiet_hours_go_past_midnight() -> None:
    """20:00-08:00 is the night, its end not included."""
    night = DayPart.parse("20:00-08:00")
    assert [night.covers(time(hour)) for hour in (19, 20, 23, 0, 7, 8)] == [
        False,
        True,
        True,
        True,
        True,
        False,
    ]
    noon = DayPart.parse("12:00 – 13:00")
    assert [noon.covers(time(hour)) for hour in (11, 12, 13)] == [False, True, False]


@pytest.mark.parametrize("text", ["8-9", "25:00-08:00", "08:00-24:30", "08:60-09:00", "08:00", "08:00-08:00"])
def test_wrong_quiet_hours_are_refused(text: str) -> None:
    """Only spans of a real day are quiet hours."""
    with pytest.raises(Faults):
        DayPart.parse(text)


def test_weekly_hours_name_days_and_spans() -> None:
    """Ranges, lists of days and several spans a day all work; days not named are off."""
    week = WeeklyHours.parse(
        {
            "mon-wed": "09:00-17:30",
            "thu,Saturday": ["13:00-17:00", "09:00-12:00"],
            "fri": "18:00-24:00",
            "sun": "off",
        }
    )
    office = ((time(9), time(17, 30)),)
    split = ((time(9), time(12)), (time(13), time(17)))
    assert week.days == (office, office, office, split, ((time(18), time(0)),), split, ())


@pytest.mark.parametrize(
    ("value", "loc", "message"),
    [
        ({"mno": "09:00-17:00"}, ("mno",), "'mno' is not a day of the week"),
        ({"mon-wed": "09:00-17:00", "tue": "09:00-10:00"}, ("tue",), "tue already has its hours"),
        ({"mon": "17:00-09:00"}, ("mon",), "'17:00-09:00' ends before it starts"),
        ({"mon": ["09:00-12:00", "11:00-13:00"]}, ("mon", 1), "'11:00-13:00' overlaps another span"),
        ({"mon": ["18:00-24:00", "20:00-21:00"]}, ("mon", 1), "'20:00-21:00' overlaps another span"),
        ({"mon": 9}, ("mon",), "a span of the day is expected here, not 9"),
        ({"mon": ["09:00-12:00", 3]}, ("mon", 1), "a span of the day is expected here, not 3"),
        ({"mon": "off"}, (), "no day has working hours"),
        ({}, (), "working hours by weekday are expected here"),
        ("9-5", (), "working hours by weekday are expected here, not '9-5'"),
    ],
)
def test_wrong_weekly_hours_are_refused_at_their_day(
    value: object, loc: tuple[object, ...], message: str
) -> None:
    """The day or span that is wrong is the one pointed at."""
    with pytest.raises(Faults) as raised:
        WeeklyHours.parse(value)
    (fault,) = raised.value.faults
    assert fault.loc == loc
    assert fault.message.startswith(message)


def test_an_address_is_kept_in_lower_case() -> None:
    """A prefix of any case is taken off whole, never letter by letter."""
    assert address(" MAILTO:Alice@Example.net ") == "alice@example.net"
    assert address("malto@example.net") == "malto@example.net"


@pytest.mark.parametrize(
    "text", ["jo", "jo@", "@x", "a b@x.example", "a@b@c", "a@x\r\nBcc: b@x", "a@x\u202e", 5, None]
)
def test_what_is_not_an_address_is_refused(text: object) -> None:
    """Line breaks, invisible characters and second addresses never pass."""
    with pytest.raises(Faults):
        address(text)
