"""From a delivery to its letter: everything the words need, gathered from the store at the last moment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from connectors.base import Rejected
from daemon.clock import Clock
from daemon.config.settings import Settings
from daemon.links import Links, Purpose, example, purpose_of
from daemon.mail.colleagues import Colleagues
from daemon.mail.compose import TemplateError, UnsafeMail, compose, compose_notice
from daemon.mail.invitation import calendar_part
from daemon.mail.letter import FOR_OWNER, Letter
from daemon.mail.message import Mail
from daemon.mail.offers import offers, reach
from daemon.mail.spoken_time import zone_of
from daemon.store import agenda, agreements, answers, departures
from daemon.store.deliveries import NOTICE, Delivery
from daemon.store.engine import Store
from rules.delivery import AGAIN, COUNTER, step_behind
from rules.model import Account, Address, Intent, Interval, Occurrence
from rules.people import organized_by_me, required_people, wish
from rules.policy import Do

_Addresses = tuple[str, str]


_OFFER = frozenset({Do.RESCHEDULE.value, AGAIN})
"""What offers times."""


class Scribe:
    """Writes the mail for a delivery, or for an intent that is only being shown.

    With ``colleagues`` no time is offered at which the others are known to be busy. ``links`` gives who makes
    the addresses of answer pages; without it, and for an intent, they only look like some.
    """

    def __init__(
        self,
        store: Store,
        settings: Settings,
        clock: Clock,
        colleagues: Colleagues | None = None,
        links: Callable[[], Links | None] = lambda: None,
    ) -> None:
        self._colleagues = colleagues
        self._links = links
        self._store = store
        self._settings = settings
        self._clock = clock
        self._accounts = settings.seen_accounts()
        self._steps = {(rule.name, step.step): step for rule in settings.policy.rules for step in rule.then}

    def compose(self, delivery: Delivery, companions: Sequence[Delivery] = ()) -> Mail:
        """The mail for a delivery, and for those that go along. Raises :class:`Rejected`."""
        now = self._clock.now()
        if delivery.do == NOTICE:
            return compose_notice(
                self._settings.owner,
                str(self._settings.config.mail.sender),
                delivery.subject,
                delivery.reason,
                key=self._settings.outward(delivery.intent_key),
                now=now,
            )
        party = (delivery, *companions)
        return self.write(
            delivery.intent,
            now,
            companions=[one.intent for one in companions],
            addresses=[self._addresses(one.do, one) for one in party],
        )

    def write(
        self,
        intent: Intent,
        now: datetime,
        promised: Sequence[Interval] = (),
        companions: Sequence[Intent] = (),
        addresses: Sequence[_Addresses] = (),
    ) -> Mail:
        """The mail an intent asks for at ``now`` (UTC), its companions in the same. Raises :class:`Rejected`.

        ``promised`` are times offered in mails to others that are only being shown, too; ``addresses`` are
        those of the pages for each, in order.
        """
        if len({self._wall(one) for one in (intent, *companions)}) > 1:
            raise Rejected("messages of different clients would share a mail, so it was not made")
        busy = [self._busy(one, now) for one in (intent, *companions)]
        with self._store.read() as conn:
            letter = self._letter(conn, intent, now, [*promised, *busy[0]])
            others: list[Letter] = []
            taken = [*promised, *letter.slots]
            for one, theirs in zip(companions, busy[1:], strict=True):
                others.append(self._letter(conn, one, now, [*taken, *theirs], zone=letter.zone))
                taken += others[-1].slots
        where = addresses or [self._addresses(one.do) for one in (intent, *companions)]
        letter, *others = (
            replace(one, link=page, stop=stop)
            for one, (page, stop) in zip((letter, *others), where, strict=True)
        )
        try:
            return compose(replace(letter, companions=tuple(others)), templates_dir(self._settings))
        except (TemplateError, UnsafeMail) as error:
            raise Rejected(str(error)) from error

    def _addresses(self, do: str, delivery: Delivery | None = None) -> _Addresses:
        """Where a message is answered, and where such messages are stopped; empty where it is nowhere."""
        configured = self._settings.config.answers
        if configured is None:
            return "", ""
        links = self._links() if delivery is not None else None
        purpose = purpose_of(do)

        def at(one: Purpose) -> str:
            if links is None or delivery is None:
                return example(configured.public_url, one)
            return links.address(one, delivery)

        return at(purpose) if purpose else "", "" if do in FOR_OWNER else at(Purpose.STOP)

    def _busy(self, intent: Intent, now: datetime) -> list[Interval]:
        """When the others of the meeting are busy where new times may lie; asked of their calendar server."""
        step = self._steps.get((intent.rule, step_behind(intent.step)))
        if self._colleagues is None or intent.do not in _OFFER or step is None:
            return []
        owner = self._settings.owner
        with self._store.read() as conn:
            occurrence = agenda.meeting(conn, intent.key, intent.people)
            if occurrence is None:
                return []
            span = reach(conn, occurrence, step, owner, now=now, detector=intent.detector)
        people = [one.address for one in required_people(occurrence, owner)]
        if span.end <= span.start:
            return []
        return self._colleagues.busy(intent.key.calendar.account, people, span)

    def _letter(
        self,
        conn: Connection,
        intent: Intent,
        now: datetime,
        promised: Sequence[Interval],
        zone: str | None = None,
    ) -> Letter:
        """What to write of one meeting; in ``zone``, or in the recipient's."""
        occurrence = agenda.meeting(conn, intent.key, intent.people)
        if occurrence is None:
            raise Rejected("the meeting is no longer in the calendar")
        [occurrence] = answers.told(conn, [occurrence])
        owner = self._settings.owner
        account = self._account(intent)
        for_owner = intent.do in FOR_OWNER
        zone = zone or (owner.zone if for_owner else zone_of(account.time_zone, occurrence.tzid, owner.zone))
        step = self._steps.get((intent.rule, step_behind(intent.step)))
        slots: tuple[Interval, ...] = ()
        if intent.do == COUNTER:
            agreed = agreements.of(conn, intent.identity, intent.start)
            slots = (agreed.slot,) if agreed is not None else ()
        elif intent.do in _OFFER and step is not None:
            slots = offers(
                conn,
                occurrence,
                step,
                owner,
                now=now,
                recipient_zone=zone,
                detector=intent.detector,
                promised=promised,
            )
        return Letter(
            do=intent.do,
            detector=intent.detector,
            tone=intent.tone,
            template=intent.template,
            owner=owner,
            sender=str(self._settings.config.mail.sender),
            plus=self._settings.config.mail.plus_address,
            to=intent.to,
            to_name=owner.name if for_owner else _name_of(intent.to, occurrence),
            language=owner.language if for_owner else account.language or owner.language,
            zone=zone,
            occurrence=occurrence,
            people=intent.people,
            organized_by_me=organized_by_me(occurrence, owner),
            slots=slots,
            reason=intent.reason,
            intent_key=self._settings.outward(intent.intent_key),
            earlier=departures.ladder(conn, intent.identity, intent.to),
            now=now,
            calendar_part=calendar_part(conn, intent, occurrence, owner, slots=slots, now=now),
            rule=intent.rule,
            step=intent.step,
            wish=next((one for one in _wishes_of(intent.to, occurrence) if one in slots), None),
        )

    def _account(self, intent: Intent) -> Account:
        name = intent.key.calendar.account
        return self._accounts.get(name) or Account(name=name)

    def _wall(self, intent: Intent) -> str:
        """The client, or the account without one, behind whose wall a meeting lies."""
        account = self._account(intent)
        return account.client or account.name


def templates_dir(settings: Settings) -> Path:
    """Where the owner's own templates lie: beside the first rules file."""
    return settings.files[min(1, len(settings.files) - 1)].parent


def _wishes_of(address: Address, occurrence: Occurrence) -> list[Interval]:
    found = [wish(one, occurrence) for one in occurrence.attendees if one.address == address]
    return [one for one in found if one is not None]


def _name_of(address: Address, occurrence: Occurrence) -> str:
    if address == occurrence.organizer and occurrence.organizer_name:
        return occurrence.organizer_name
    return next((one.name for one in occurrence.attendees if one.address == address), "")
