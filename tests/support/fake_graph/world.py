"""Everything Graph knows: people, their calendars, mailboxes and calls; and what people do there by hand."""

from __future__ import annotations

import itertools
import threading
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.support.fake_graph import meetings
from tests.support.fake_graph.events import OWN, USUAL, Calendar, Guest, Item, instance_id, item_id
from tests.support.fake_graph.times import placed
from tests.support.faults import Effect, Fault
from tests.support.grants import Grants
from tests.support.wire import Request

if TYPE_CHECKING:
    from tests.support.fake_graph.delta import Round
    from tests.support.fake_graph.mailboxes import Box

Json = dict[str, Any]
Notice = meetings.Notice


@dataclass
class User:
    """A person with a mailbox. ``automatic_replies`` is what Graph shows of them, as it is.

    ``time_zone`` and ``working_hours`` belong to their mailbox settings.
    """

    graph: FakeGraph
    email: str
    name: str
    id: str
    aliases: tuple[str, ...] = ()
    personal: bool = False
    automatic_replies: Json = field(default_factory=dict)
    time_zone: str = "GMT Standard Time"
    calendars: list[Calendar] = field(default_factory=list)

    @property
    def addresses(self) -> frozenset[str]:
        """Every address that is theirs, in lower case."""
        return frozenset(each.lower() for each in (self.email, *self.aliases))

    @property
    def primary(self) -> Calendar:
        """Their default calendar."""
        return self.calendars[0]

    @property
    def mailbox(self) -> Box:
        """Their mail."""
        return self.graph.mail.box(self.email)

    def calendar(self, name: str, *, can_edit: bool = True, color: str = "auto") -> Calendar:
        """A further calendar of theirs."""
        number = self.graph.tick()
        made = Calendar(
            self.graph, self, item_id("calendar", number), name, not self.calendars, can_edit, color
        )
        self.calendars.append(made)
        self.graph.calendars[made.id] = made
        return made

    def away(
        self, start: datetime | None = None, end: datetime | None = None, message: str = "Away."
    ) -> None:
        """Answer by itself from now on, or between two moments."""
        self.automatic_replies |= {
            "status": "scheduled" if start and end else "alwaysEnabled",
            "internalReplyMessage": message,
            "externalReplyMessage": message,
        }
        for name, at in (("scheduledStartDateTime", start), ("scheduledEndDateTime", end)):
            if at is not None:
                wall = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.0000000")
                self.automatic_replies[name] = {"dateTime": wall, "timeZone": "UTC"}


@dataclass
class Limits:
    """What an application may ask of one mailbox: requests at once, and in ten minutes."""

    at_once: int = 4
    per_ten_minutes: int = 10_000
    retry_after: int = 7


class FakeGraph:
    """The state and its knobs.

    ``now`` is the server's clock, ``grants`` the tokens it believes. What real servers differ in:

    - ``tells_masters``: later rounds of changes name a series' master again when it changed.
    - ``masters_last``: a round names a series after its instances.
    - ``tells_vanished``: an instance taken out of a series comes as removed, not only with its series again.
    - ``tells_outside``: what changed outside the window of a round comes as removed, even what is new, as
      documented.
    - ``splits_series``: pages may end in the middle of a series.
    - ``resets_to``: what guests' answers become when the time changes; ``notResponded`` has been seen.
    - ``keeps_declined``: what a guest declines stays in their calendar.
    - ``guests_may_move``: another time on a guest's copy is accepted, and changes that copy alone.
    - ``gone``: status and code that answer a token of a round that is known no more.

    ``problems`` collects what must never happen; the context manager raises them at its end. ``by_hand``
    listens to ``/_fake/`` and does not mind requests without immutable ids.
    """

    def __init__(self, now: Callable[[], datetime] | None = None, grants: Grants | None = None) -> None:
        from tests.support.fake_graph.mailboxes import Mail
        from tests.support.fake_graph.teams import Teams

        self.root = ""
        self.now = now or (lambda: datetime.now(UTC))
        self.grants = grants or Grants()
        self.lock = threading.RLock()
        self.gate = threading.Lock()
        self.stopping = threading.Event()
        self.users: dict[str, User] = {}
        self.calendars: dict[str, Calendar] = {}
        self.instances: dict[str, tuple[Item, date]] = {}
        self.rounds: dict[str, Round] = {}
        self.requests: list[Request] = []
        self.faults: list[Fault] = []
        self.problems: list[str] = []
        self.notices: list[Notice] = []
        self.limits = Limits()
        self.most_at_once = 0
        self.clients: list[Any] = []
        self.under_way: Counter[str] = Counter()
        self.recent: dict[str, list[datetime]] = {}
        self.compress = True
        self.by_hand = False
        self.tells_masters = True
        self.masters_last = False
        self.tells_vanished = True
        self.tells_outside = True
        self.splits_series = True
        self.resets_to = "none"
        self.keeps_declined = False
        self.guests_may_move = False
        self.gone = (410, "SyncStateNotFound")
        self._ticks = itertools.count(1)
        self.mail = Mail(self)
        self.teams = Teams(self)

    def tick(self) -> int:
        """The next version of the world."""
        return next(self._ticks)

    def new_id(self) -> str:
        """A fresh immutable id."""
        return item_id("item", self.tick())

    def instance_id(self, master: Item, day: date) -> str:
        """The id of the instance of a day, known from now on."""
        made = instance_id(master.id, day)
        self.instances[made] = (master, day)
        return made

    def user(
        self, email: str, name: str = "", aliases: tuple[str, ...] = (), *, personal: bool = False
    ) -> User:
        """A person, with a calendar and a mailbox; ``personal`` is an outlook.com account."""
        number = str(uuid.uuid5(uuid.NAMESPACE_URL, email))
        made = User(self, email, name or email.partition("@")[0].title(), number, aliases, personal)
        made.automatic_replies = {"status": "disabled", "externalAudience": "all"}
        made.automatic_replies |= {"internalReplyMessage": "", "externalReplyMessage": ""}
        start = self.now().astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        for word, at in (("Start", start), ("End", start + timedelta(days=1))):
            wall = at.strftime("%Y-%m-%dT%H:%M:%S.0000000")
            made.automatic_replies[f"scheduled{word}DateTime"] = {"dateTime": wall, "timeZone": "UTC"}
        self.users[email] = made
        made.calendar("Calendar")
        return made

    def user_of(self, address: str) -> User | None:
        """Whose address it is."""
        wanted = address.lower()
        return next((each for each in self.users.values() if wanted in each.addresses), None)

    def person(self, address: str) -> Guest:
        """Somebody under the name they are known by."""
        user = self.user_of(address)
        return Guest(address, user.name if user else address)

    def fail(  # noqa: PLR0917 - as it is called
        self,
        route: str,
        effect: Effect,
        times: int | None = 1,
        after: int = 0,
        page: int | None = None,
        when: Callable[[Request], bool] | None = None,
    ) -> Fault:
        """Make a route (``calendarView.delta``, ``events.*``) go wrong; None times: for ever."""
        made = Fault(route, effect, times, after, page, when)
        self.faults.append(made)
        return made

    def heal(self) -> None:
        """No more faults."""
        self.faults.clear()

    def seen(self, route: str) -> list[Request]:
        """The requests of a route."""
        return [each for each in self.requests if each.route == route]

    def count(self, route: str) -> int:
        """How many requests a route had."""
        return len(self.seen(route))

    def forget_rounds(self) -> None:
        """Every link of a round given so far is answered 410."""
        self.rounds.clear()

    def find(self, event_id: str) -> Item:
        """A copy by its id, or an instance by its own. Raises KeyError."""
        for calendar in self.calendars.values():
            found = calendar.find(event_id)
            if found is not None:
                return found
        raise KeyError(event_id)

    def copy_of(self, event_id: str, who: str) -> Item:
        """Somebody's copy of an event that is known by anybody's id of it. Raises KeyError."""
        item = self.find(event_id)
        for each in (item, *meetings.copies(self, item)):
            if who.lower() in each.calendar.owner.addresses:
                return each
        raise KeyError((event_id, who))

    def instance(self, series_id: str, original_start: datetime | date) -> str:
        """The id of the instance of a series that was to start then."""
        return self._instance(self.find(series_id), original_start).id

    def _instance(self, master: Item, original_start: datetime | date) -> Item:
        day = placed(original_start, master.zone).date()
        if not master.has(day):
            raise KeyError((master.id, day))
        return master.instance(day)

    def _leading(self, item: Item) -> Item:
        """The copy that a change by the organiser begins at."""
        return next((each for each in meetings.copies(self, item) if each.mine and not item.mine), item)

    def answer(
        self,
        event_id: str,
        who: str,
        response: str,
        propose: tuple[datetime, datetime] | None = None,
        comment: str = "",
    ) -> None:
        """A guest answers, perhaps with another time; ``event_id`` may be an instance's."""
        with self.lock:
            item = self._leading(self.find(event_id))
            try:
                own = self.copy_of(event_id, who)
            except KeyError:
                told = Notice(item.organizer.address, "response", item.id, who, response, comment, propose)
                self.notices.append(told)
                meetings.record(self, item, frozenset({who.lower()}), response, propose)
            else:
                meetings.respond(self, own, response, comment=comment, proposed=propose)

    def move(self, event_id: str, start: datetime | date, end: datetime | date | None = None) -> None:
        """The organiser gives an event or one instance another time; without ``end`` it stays as long."""
        with self.lock:
            item = self._leading(self.find(event_id))
            begin = placed(start, item.zone)
            finish = begin + (item.end.astimezone(item.start.tzinfo) - item.start)
            if end is not None:
                finish = placed(end, item.end_zone)
            meetings.amend(self, item, {"start": begin, "end": finish})

    def move_instance(
        self, series_id: str, original_start: datetime | date, start: datetime, end: datetime | None = None
    ) -> str:
        """The organiser gives one instance another time; the id of it."""
        with self.lock:
            found = self.instance(series_id, original_start)
            self.move(found, start, end)
            return found

    def edit(self, event_id: str, **fields: Any) -> None:
        """Change other fields: the organiser those that all copies share, anybody their own copy's.

        ``attendees`` replaces all guests by ``{address: response}``; ``recurrence`` the rule of a series.
        """
        with self.lock:
            item = self.find(event_id)
            change: Json = {}
            if "attendees" in fields:
                known = {each.address: each for each in item.guests}
                change["guests"] = [
                    known.get(address) or Guest(address, self.person(address).name, response=response)
                    for address, response in fields.pop("attendees").items()
                ]
            if "recurrence" in fields:
                change["recurrence"] = fields.pop("recurrence")
            if set(fields) - set(USUAL):
                raise TypeError(f"no event has {', '.join(sorted(set(fields) - set(USUAL)))}")
            if fields:
                change["fields"] = fields
            shared = "fields" not in change or set(fields) - set(OWN)
            meetings.amend(self, self._leading(item) if shared else item, change)

    def cancel(self, event_id: str) -> None:
        """The organiser calls an event or one instance off: their copy goes, the guests' stay and say so."""
        with self.lock:
            meetings.cancel(self, self._leading(self.find(event_id)))

    def delete(self, event_id: str, who: str) -> None:
        """Somebody removes an event from their calendar; where it is theirs, that calls it off."""
        with self.lock:
            item = self.copy_of(event_id, who)
            if item.mine:
                meetings.cancel(self, item)
            else:
                item.leave()

    def delete_instance(self, series_id: str, original_start: datetime | date) -> None:
        """Whoever's copy it is takes one instance out of a series; the organiser calls it off by that."""
        with self.lock:
            item = self._instance(self.find(series_id), original_start)
            self.delete(item.id, item.calendar.owner.email)
