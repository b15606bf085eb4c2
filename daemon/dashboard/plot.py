"""The last weeks as bars: how many meetings were held, missed or moved in each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from daemon import horizon
from daemon.config.settings import Settings
from daemon.dashboard.week import this_week
from daemon.decide import Decider
from daemon.store import agenda, tally
from rules.hours import zone
from rules.model import Held, Identity, Timing
from rules.people import required_people
from rules.view import View

WEEKS = 12
WORDS = ("held", "missed", "moved")

WIDTH, HEIGHT = 640, 168
LEFT, RIGHT, TOP, FOOT = 28, 4, 10, 24
GAP = 0.3
"""How much of a week's width stays free."""

_WORD = {Held.HELD: "held", Held.MISSED_BY_ATTENDEE: "missed", Held.MISSED_BY_ME: "missed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One piece of a week's bar."""

    word: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Week:
    """One week: the day it begins with, how many of each, and where its label stands."""

    day: str
    counts: dict[str, int]
    middle: float
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """Everything to draw: the weeks, the scale with its numbers, and the same in a sentence."""

    weeks: tuple[Week, ...]
    lines: tuple[tuple[float, int], ...]
    sentence: str
    width: int = WIDTH
    height: int = HEIGHT

    @property
    def is_empty(self) -> bool:
        """Whether nothing is known of any of these weeks."""
        return not any(count for week in self.weeks for count in week.counts.values())


def gather(conn: Connection, settings: Settings, decider: Decider, now: datetime) -> Plot:
    """The last :data:`WEEKS` weeks up to this one, in the owner's zone.

    What a meeting came to counts for the week in which it began; where the calendar no longer knows that,
    for the week in which it was said. A new time that was agreed on counts when it reached the calendar.
    """
    home = zone(settings.owner.zone)
    monday = this_week(now, home.key).start.astimezone(home).date()
    days = [monday - timedelta(weeks=back) for back in reversed(range(WEEKS))]
    since = this_week(now - timedelta(weeks=WEEKS - 1), home.key).start
    counts = {day: Counter[str]() for day in days}
    for at, word in (*_came_to(conn, settings, decider, since, now), *_moved(conn, since)):
        day = at.astimezone(home).date()
        begins = day - timedelta(days=day.weekday())
        if begins in counts:
            counts[begins][word] += 1
    return draw([(f"{day:%-d %b}", counts[day]) for day in days])


def _moved(conn: Connection, since: datetime) -> Iterator[tuple[datetime, str]]:
    for at in tally.moved(conn, since):
        yield at, "moved"


def _came_to(
    conn: Connection, settings: Settings, decider: Decider, since: datetime, now: datetime
) -> list[tuple[datetime, str]]:
    """When each meeting was of which it is known whether it took place, and the word for that."""
    found: dict[Identity, tuple[datetime, Held]] = {}
    for identity, held, at in (*tally.recorded(conn, since), *tally.marked(conn, since)):
        start = found[identity][0] if identity in found else at
        found[identity] = (start, held)
    past = agenda.between(conn, max(since, horizon.window(now).start), now)
    view = View(decider.frame(conn, [one for one in past if one.timing is Timing.TIMED]), now)
    for one in view.subjects:
        known = view.attendance(one)
        if known is not None and one.end_utc <= now and required_people(one, settings.owner):
            found[one.identity] = (one.start_utc, known.held)
    return [(at, _WORD[held]) for at, held in found.values() if held in _WORD]


def draw(weeks: Sequence[tuple[str, Counter[str]]]) -> Plot:
    """Bars for these weeks, each with its first day and its counts, oldest first."""
    most = max(1, *(sum(counts.values()) for _, counts in weeks))
    step = max(1, -(-most // 4))
    top = -(-most // step) * step
    room = HEIGHT - TOP - FOOT
    wide = (WIDTH - LEFT - RIGHT) / len(weeks)

    def height(count: int) -> float:
        return round(count / top * room, 1)

    drawn = []
    for number, (day, counts) in enumerate(weeks):
        x, y, bars = LEFT + wide * (number + GAP / 2), HEIGHT - FOOT * 1.0, []
        for word in WORDS:
            if counts[word]:
                y -= height(counts[word])
                width = round(wide * (1 - GAP), 1)
                bars.append(
                    Bar(word=word, x=round(x, 1), y=round(y, 1), width=width, height=height(counts[word]))
                )
        drawn.append(
            Week(
                day=day,
                counts={word: counts[word] for word in WORDS},
                middle=round(LEFT + wide * (number + 0.5), 1),
                bars=tuple(bars),
            )
        )
    sums = {word: sum(counts[word] for _, counts in weeks) for word in WORDS}
    return Plot(
        weeks=tuple(drawn),
        lines=tuple((round(HEIGHT - FOOT - height(count), 1), count) for count in range(0, top + 1, step)),
        sentence=(
            f"In the last {len(weeks)} weeks {sums['held']} meetings were held, {sums['missed']} missed and "
            f"{sums['moved']} moved, as far as it is known."
        ),
    )
