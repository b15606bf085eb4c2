"""Times as a mail says them: wall time, zone name and offset, in the reader's language."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from babel.dates import format_date

from rules.model import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """How one language writes dates (Unicode LDML patterns) and calls what has no title.

    ``our_meetings`` has a place for their ``count``; ``tell_me`` stands where no free time was found. The
    others are what a link to a page says: to confirm, to choose a time, to name one, to say what happened.
    """

    code: str
    locale: str
    day: str
    short_day: str
    our_meeting: str
    our_meetings: str
    tell_me: str
    answer: str
    choose: str
    say_when: str
    say_what: str


LANGUAGES = {
    "en": Language(
        code="en",
        locale="en_GB",
        day="EEE d MMMM y",
        short_day="EEE d MMMM",
        our_meeting="our meeting",
        our_meetings="our {count} meetings",
        tell_me="Tell me what would suit you.",
        answer="Answer",
        choose="Choose a time",
        say_when="Say when",
        say_what="Say what happened",
    ),
    "pt": Language(
        code="pt",
        locale="pt_PT",
        day="EEE, d 'de' MMMM 'de' y",
        short_day="EEE, d 'de' MMMM,",
        our_meeting="a nossa reunião",
        our_meetings="as nossas {count} reuniões",
        tell_me="Diga-me o que lhe convém.",
        answer="Responder",
        choose="Escolher uma hora",
        say_when="Dizer quando",
        say_what="Dizer o que aconteceu",
    ),
}


def language(tag: str) -> Language:
    """The language for a tag such as ``pt-BR`` (RFC 5646); English where we have no words for it."""
    return LANGUAGES.get(tag.replace("_", "-").split("-")[0].lower(), LANGUAGES["en"])


def zone(name: str, otherwise: str) -> ZoneInfo:
    """The zone of that IANA name, or of the other name where there is none such."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return ZoneInfo(otherwise)


def is_zone(name: str) -> bool:
    """Whether there is a zone of that name."""
    return name in _zones()


def zone_of(theirs: str | None, events: str | None, mine: str) -> str:
    """The zone to speak in: what is said of the reader, else that of the event if it has one, else mine."""
    return next((name for name in (theirs, events) if name and name != "UTC" and is_zone(name)), mine)


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def same_wall_time(interval: Interval, one: ZoneInfo, other: ZoneInfo) -> bool:
    """Whether clocks in both zones show the same at its start and at its end."""
    return all(
        at.astimezone(one).utcoffset() == at.astimezone(other).utcoffset()
        for at in (interval.start, interval.end)
    )


def spoken(interval: Interval, here: ZoneInfo, elsewhere: ZoneInfo | None, words: Language) -> dict[str, str]:
    """The parts of a time as templates use them.

    ``text`` is the whole (``Tue 3 March 2026, 15:00–15:30 Europe/Lisbon (UTC+00:00)``), ``day``,
    ``hours`` and ``zone`` its parts, ``short`` what fits a subject line, ``elsewhere`` the same time
    in the other zone or empty.
    """
    start = interval.start.astimezone(here)
    day = _day(start.date(), words)
    hours, zone_label = _hours(interval, here, words)
    return {
        "text": f"{day}, {hours} {zone_label}",
        "day": day,
        "hours": hours,
        "zone": zone_label,
        "short": f"{format_date(start.date(), words.short_day, words.locale)} {start:%H:%M}",
        "elsewhere": "" if elsewhere is None else _elsewhere(interval, start.date(), elsewhere, words),
    }


def _elsewhere(interval: Interval, shown: date, there: ZoneInfo, words: Language) -> str:
    start = interval.start.astimezone(there)
    hours, zone_label = _hours(interval, there, words)
    day = "" if start.date() == shown else f"{_day(start.date(), words)}, "
    return f"{day}{hours} {zone_label}"


def _hours(interval: Interval, here: ZoneInfo, words: Language) -> tuple[str, str]:
    start, end = interval.start.astimezone(here), interval.end.astimezone(here)
    if start.utcoffset() != end.utcoffset():  # the clocks change in between, so each needs its own
        until = f"{_end_day(start, end, words)}{end:%H:%M} ({_offset(end)})"
        return f"{start:%H:%M} ({_offset(start)}) – {until}", here.key
    label = "UTC" if here.key in {"UTC", "Etc/UTC"} else f"{here.key} ({_offset(start)})"
    if interval.start == interval.end:
        return f"{start:%H:%M}", label
    later = _end_day(start, end, words)
    return (f"{start:%H:%M} – {later}{end:%H:%M}" if later else f"{start:%H:%M}–{end:%H:%M}"), label


def _end_day(start: datetime, end: datetime, words: Language) -> str:
    """The end's date, unless it is the start's own or the midnight that closes it."""
    if end.date() == start.date() or (
        end.date() == start.date() + timedelta(days=1) and not (end.hour or end.minute)
    ):
        return ""
    return f"{_day(end.date(), words)}, "


def _day(day: date, words: Language) -> str:
    return format_date(day, words.day, words.locale)


def _offset(at: datetime) -> str:
    return f"UTC{at:%z}"[:6] + ":" + f"{at:%z}"[3:5]
