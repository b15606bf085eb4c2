"""What an answer to one of our messages means, wherever it was given: on a page, by mail, by the owner.

Every answer is kept first. A new time is taken in the same transaction that finds it free, so that of two
people who want one hour exactly one gets it; carrying it out is the outbox's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

import structlog
from sqlalchemy import Connection

from daemon import agreeing, notices
from daemon.clock import Clock
from daemon.config.settings import Settings
from daemon.mail.offers import offers
from daemon.store import agenda, agreements, answers, attendance, deliveries, optouts, restored
from daemon.store.agreements import Agreement, Kind, Stage
from daemon.store.answers import Answer
from daemon.store.deliveries import Delivery
from daemon.store.engine import Store
from rules.delivery import PERHAPS_SENT, State, step_behind
from rules.model import Address, Held, Interval, Occurrence, PartStat, Status
from rules.people import required_people
from rules.policy import Cancelled, Step

log = structlog.get_logger()

LONGEST_WORDS = 2000
"""Characters of somebody's own words that are kept."""

MOST_TIMES = 3
"""Times that somebody may ask for at once."""

_LEFT = (State.SENT, State.UNKNOWN, State.COMMITTING)


class Standing(StrEnum):
    """Whether a message can still be answered."""

    OPEN = "open"
    AGREED = "agreed"
    """A new time was found."""
    MOVED = "moved"
    """The meeting has another time by now."""
    GONE = "gone"
    """It was called off, or is in no calendar any more."""
    OVER = "over"
    """The time to answer has passed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A message that left, and how things stand with what it asks.

    ``slots`` are its offered times that are still free, in the order they were offered. ``agreed`` is the new
    time where one was found, ``own`` what its recipient answered last, ``waiting`` who else has to pick.
    """

    delivery: Delivery
    standing: Standing
    occurrence: Occurrence | None
    slots: tuple[Interval, ...] = ()
    agreed: Agreement | None = None
    own: Answer | None = None
    waiting: tuple[Address, ...] = ()


class Became(StrEnum):
    """What became of an answer."""

    NOTED = "noted"
    """It is kept, and there is nothing more to do."""
    AGREED = "agreed"
    """A new time is taken for the meeting."""
    WAITING = "waiting"
    """Others have to pick, too."""
    TAKEN = "taken"
    """The times that were picked are gone; there may be others in the question."""
    LATER = "later"
    """A calendar cannot be seen just now; the times are looked at as soon as it can."""
    CLOSED = "closed"
    """It can no longer be answered: see the question's standing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of an answer, and how things stand with the question now."""

    became: Became
    question: Question
    agreed: Agreement | None = None


@dataclass(slots=True, kw_only=True)
class Answering:
    """Takes answers for one configuration. Safe to share between threads.

    ``refresh`` reads every calendar anew and says whether all of them could be; ``nudge`` has what was
    queued looked at at once.
    """

    store: Store
    settings: Settings
    clock: Clock
    refresh: Callable[[], bool] = field(default=lambda: True)
    nudge: Callable[[], None] = field(default=lambda: None)

    def question(self, delivery_id: int) -> Question | None:
        """How things stand with a message; None for one that never was, or is about no meeting."""
        with self.store.read() as conn:
            return self._question(conn, delivery_id, self.clock.now())

    def confirm(self, delivery_id: int, partstat: PartStat, source: str, words: str = "") -> Outcome | None:
        """Yes or no to the time as it is. None as :meth:`question`."""
        return self._take(delivery_id, source, partstat, words=words)

    def pick(
        self, delivery_id: int, picked: Sequence[Interval], source: str, words: str = ""
    ) -> Outcome | None:
        """These offered times suit them; the first that suits all is taken. None as :meth:`question`."""
        asked = self.question(delivery_id)
        if asked is None or asked.standing is not Standing.OPEN:
            return None if asked is None else Outcome(became=Became.CLOSED, question=asked)
        fresh = self.refresh()
        offered = [one for one in picked if one in asked.delivery.offered]
        return self._take(
            delivery_id, source, PartStat.TENTATIVE, picked=offered, words=words, settle=True, fresh=fresh
        )

    def offer_again(self, delivery_id: int) -> bool:
        """Write to somebody who does not see the page that shows other times; whether it can be done."""
        now = self.clock.now()
        with self.store.write() as conn:
            asked = self._question(conn, delivery_id, now)
            if asked is None or asked.occurrence is None or asked.standing is not Standing.OPEN:
                return False
            agreeing.offer_again(conn, asked.delivery, asked.occurrence, now)
        self.nudge()
        return True

    def propose(
        self,
        delivery_id: int,
        times: Sequence[Interval],
        source: str,
        words: str = "",
        *,
        counter: bool = False,
    ) -> Outcome | None:
        """None of the offered times, but these, or what they say in words. None as :meth:`question`.

        A ``counter`` is a proposal of their calendar program, which is told at once when none can be (RFC
        5546 section 3.2.8); else the next offer has those first that can.
        """
        done = self._take(delivery_id, source, PartStat.TENTATIVE, proposed=times[:MOST_TIMES], words=words)
        asked = done.question if done is not None else None
        if counter and asked is not None and asked.occurrence is not None and asked.standing is Standing.OPEN:
            now, delivery, about = self.clock.now(), asked.delivery, asked.occurrence
            with self.store.write() as conn:
                agreeing.decline(conn, delivery, about, times, owner=self.settings.owner, now=now)
            self.nudge()
        return done

    def held(self, delivery_id: int, held: Held, source: str) -> Outcome | None:
        """The owner says whether it took place. None as :meth:`question`."""
        now = self.clock.now()
        with self.store.write() as conn:
            asked = self._question(conn, delivery_id, now)
            if asked is None or asked.delivery.identity is None:
                return None
            attendance.mark(conn, asked.delivery.identity, held, source, now)
            self._wake(conn, asked, now)
        self.nudge()
        return Outcome(became=Became.NOTED, question=asked)

    def stop(self, delivery_id: int, source: str) -> Address | None:
        """Write to its recipient no more; who that is, None for no message or one to the owner."""
        now = self.clock.now()
        with self.store.write() as conn:
            found = deliveries.get(conn, delivery_id)
            if found is None or found.to in self.settings.owner.addresses:
                return None
            optouts.add(conn, str(found.to), source, now)
        self.nudge()
        return found.to

    def settle(self, now: datetime) -> int:
        """Look again at times that were picked while a calendar could not be seen; how many were settled.

        The owner is told of those that were settled and did not reach the calendar.
        """
        settled = 0
        with self.store.read() as conn:
            overdue = agreements.overdue(conn, now - agreeing.CARRY_OUT_WITHIN)
        for late in overdue:
            with self.store.write() as conn:
                if agreements.settle(conn, late.id, Stage.FAILED, now, "not in the calendar in time"):
                    notices.tell_of_undone(conn, late, self.settings.owner, now)
        with self.store.read() as conn:
            waiting = {one.delivery for one in answers.since(conn, now - agreeing.PATIENCE) if one.picked}
        for delivery_id in sorted(each for each in waiting if each is not None):
            with self.store.write() as conn:
                asked = self._question(conn, delivery_id, now)
                if asked is not None and asked.standing is Standing.OPEN:
                    settled += self._agree(conn, asked, now) is not None
        return settled

    def _take(
        self,
        delivery_id: int,
        source: str,
        partstat: PartStat,
        *,
        picked: Sequence[Interval] = (),
        proposed: Sequence[Interval] = (),
        words: str = "",
        settle: bool = False,
        fresh: bool = True,
    ) -> Outcome | None:
        """Keep an answer, and act on it, in one transaction."""
        now = self.clock.now()
        with self.store.write() as conn:
            asked = self._question(conn, delivery_id, now)
            if asked is None or asked.delivery.identity is None or asked.delivery.start is None:
                return None
            if asked.standing is not Standing.OPEN:
                return Outcome(became=Became.CLOSED, question=asked)
            answers.add(
                conn,
                Answer(
                    identity=asked.delivery.identity,
                    start=asked.delivery.start,
                    address=asked.delivery.to,
                    partstat=partstat,
                    source=source,
                    at=now,
                    picked=tuple(picked),
                    proposed=tuple(proposed),
                    words=words[:LONGEST_WORDS],
                    delivery=delivery_id,
                ),
            )
            agreed = self._agree(conn, asked, now) if settle and fresh else None
            self._wake(conn, asked, now)
            became = Became.NOTED
            if settle:
                became = self._became(conn, asked, picked, agreed, fresh=fresh)
            if became is Became.TAKEN:
                self._offer_others(conn, asked, now)
            after = self._question(conn, delivery_id, now)
        log.info("answered", id=delivery_id, to=asked.delivery.to, partstat=partstat, became=became)
        self.nudge()
        return Outcome(became=became, question=after or asked, agreed=agreed)

    def _became(
        self,
        conn: Connection,
        asked: Question,
        picked: Sequence[Interval],
        agreed: Agreement | None,
        *,
        fresh: bool,
    ) -> Became:
        if agreed is not None:
            return Became.AGREED
        if not fresh:
            return Became.LATER
        free = agreeing.still_free(conn, picked, asked.occurrence, self.settings.owner, self.clock.now())
        return Became.WAITING if free else Became.TAKEN

    def _agree(self, conn: Connection, asked: Question, now: datetime) -> Agreement | None:
        """Take the first time that suits everybody who is needed, where there is one that is free."""
        occurrence, start = asked.occurrence, asked.delivery.start
        if occurrence is None or start is None:
            return None
        owner = self.settings.owner
        said = answers.latest(conn, occurrence.identity, start)
        needed = [one.address for one in required_people(occurrence, owner)]
        common = agreeing.common(said, needed)
        put_back = restored.of(conn)
        is_old = put_back is not None and all(said[one].at <= put_back.at for one in needed if one in said)
        for slot in agreeing.still_free(conn, common, occurrence, owner, now):
            account = self.settings.accounts.get(occurrence.key.calendar.account)
            proposes = account is not None and account.outlook is not None
            step = self._step(asked.delivery)
            return agreeing.take(
                conn,
                asked.delivery,
                occurrence,
                slot,
                owner=owner,
                now=now,
                proposes=proposes,
                moves=step is not None and step.when_over == "move",
                hold=PERHAPS_SENT if is_old else "",
            )
        return None

    def _offer_others(self, conn: Connection, asked: Question, now: datetime) -> None:
        """Fresh times beside those that are gone, which the message's link then offers."""
        delivery, occurrence, step = asked.delivery, asked.occurrence, self._step(asked.delivery)
        if occurrence is None or step is None:
            return  # what the rules no longer have says nothing of how far other times may lie
        found = offers(
            conn,
            occurrence,
            step,
            self.settings.owner,
            now=now,
            recipient_zone=occurrence.tzid,
            detector=delivery.detector,
        )
        more = [one for one in found if one not in delivery.offered]
        deliveries.offer_more(conn, delivery.id, [*delivery.offered, *more])

    def _step(self, delivery: Delivery) -> Step | None:
        name = step_behind(delivery.step)
        rules = [one for one in self.settings.policy.rules if one.name == delivery.rule]
        return next((step for rule in rules for step in rule.then if step.step == name), None)

    def _question(self, conn: Connection, delivery_id: int, now: datetime) -> Question | None:
        delivery = deliveries.get(conn, delivery_id)
        if delivery is None or delivery.key is None or delivery.start is None:
            return None
        occurrence = agenda.meeting(conn, delivery.key, delivery.people)
        identity = delivery.key.identity
        agreed = agreements.of(conn, identity, delivery.start)
        said = answers.latest(conn, identity, delivery.start)
        standing = self._standing(delivery, occurrence, agreed, now)
        slots: tuple[Interval, ...] = ()
        waiting: tuple[Address, ...] = ()
        if standing is Standing.OPEN and occurrence is not None:
            owner = self.settings.owner
            slots = tuple(agreeing.still_free(conn, delivery.offered, occurrence, owner, now))
            waiting = tuple(
                one.address
                for one in required_people(occurrence, owner)
                if one.address != delivery.to and not (one.address in said and said[one.address].picked)
            )
        return Question(
            delivery=delivery,
            standing=standing,
            occurrence=occurrence,
            slots=slots,
            agreed=agreed,
            own=said.get(delivery.to),
            waiting=waiting,
        )

    def _standing(
        self, delivery: Delivery, occurrence: Occurrence | None, agreed: Agreement | None, now: datetime
    ) -> Standing:
        if agreed is not None:
            return Standing.AGREED
        called_off = occurrence is None or occurrence.status is Status.CANCELLED
        if occurrence is None or (called_off and delivery.detector != Cancelled.word):
            return Standing.GONE
        if not (occurrence.guests_hidden or delivery.to in self._people(occurrence)):
            return Standing.GONE  # they are no longer invited
        if occurrence.start_utc != delivery.start:
            return Standing.MOVED
        if delivery.state not in _LEFT or now >= delivery.until:
            return Standing.OVER
        return Standing.OPEN

    def _people(self, occurrence: Occurrence) -> set[Address]:
        """Who may answer: its people, and its owner, who is asked about it."""
        invited = {one.address for one in occurrence.attendees}
        organizer = {occurrence.organizer} if occurrence.organizer else set()
        return {*invited, *organizer, *self.settings.owner.addresses}

    def _wake(self, conn: Connection, asked: Question, now: datetime) -> None:
        if asked.delivery.key is not None:
            agenda.wake(conn, [copy.key for copy in agenda.copies(conn, [asked.delivery.key])], now)


__all__ = ["Answering", "Became", "Kind", "Outcome", "Question", "Standing"]
