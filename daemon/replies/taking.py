"""What somebody's reply means for the message it answers, taken as an answer or handed to the owner."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from zoneinfo import available_timezones

from daemon.answers import Answering, Became, Outcome, Question, Standing
from daemon.config.settings import Settings
from daemon.replies import vocabulary
from daemon.replies.letter_in import LetterIn
from daemon.replies.mail_parts import leaves, parsed, text_of
from daemon.replies.meaning import Asked, Meaning, Says, understood
from daemon.store.deliveries import Delivery
from rules.delivery import AGAIN
from rules.model import Held, Interval, PartStat
from rules.policy import Do, Unconfirmed

SOURCE = "mail"
"""Where such answers come from."""

UNCLEAR = "I could not make a clear answer of this, so I did nothing with it."
WISH = "I noted that another time is wanted, and picked none: that is yours to do."
GONE = "The times that were picked are taken by now, so nothing was changed. Please offer others."
ANSWERED_LATE = {
    Standing.AGREED: "A new time was already found for this meeting, so nothing was changed.",
    Standing.MOVED: "The meeting has another time by now, so nothing was changed.",
    Standing.GONE: "The meeting is no longer in your calendar, so nothing was changed.",
    Standing.OVER: "It came after the time to answer had passed, so nothing was changed.",
}

_HELD = {
    Says.HELD: Held.HELD,
    Says.MISSED: Held.MISSED_BY_ATTENDEE,
    Says.MISSED_BY_ME: Held.MISSED_BY_ME,
}
_NO_NAMES = frozenset().union(
    vocabulary.NEGATIONS,
    vocabulary.CONTRASTS,
    vocabulary.YES,
    vocabulary.ALL,
    vocabulary.DAYS,
    vocabulary.DAYS_OR_PLACES,
    vocabulary.PLACES,
    vocabulary.COUNTS,
    vocabulary.MONTHS,
    vocabulary.LAST,
    {"stop", "held", "missed", "parar"},
)
"""Words that stay what they are even where somebody is called so."""

_NUMBERED = re.compile(r"^ *(\d{1,3})\. \S", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What became of a reply: a word for it, and what the owner is to be told with it, if anything."""

    became: str
    tell: str = ""


class Taker:
    """Takes the replies to one configuration's messages."""

    def __init__(self, answering: Answering, settings: Settings) -> None:
        self._answering = answering
        self._settings = settings

    def take(self, letter: LetterIn, party: Sequence[Delivery]) -> Taken:
        """Act on what the recipient of these deliveries, which left as one mail, replied."""
        questions = [self._answering.question(one.id) for one in party]
        open_ = [one for one in questions if one is not None]
        if not open_ or not letter.whole:
            return _to_owner(UNCLEAR)
        asked = self._asked(open_)
        meaning = understood(letter.text, asked)
        if meaning is None or not _is_numbered_so(party, meaning):
            return _to_owner(UNCLEAR)
        return self._act(meaning, letter, open_)

    def question(self, delivery: Delivery) -> Question | None:
        """How things stand with a message."""
        return self._answering.question(delivery.id)

    def stop(self, delivery: Delivery) -> Taken:
        """They want no more mails."""
        self._answering.stop(delivery.id, "asked for by mail")
        return Taken(became="stopped")

    def answer(self, delivery: Delivery, partstat: PartStat) -> Taken:
        """A yes, no or maybe from their calendar program."""
        return _of(self._answering.confirm(delivery.id, partstat, SOURCE))

    def counter(self, delivery: Delivery, span: Interval, words: str) -> Taken:
        """Another time that their calendar program asks for."""
        return _of(self._answering.propose(delivery.id, [span], SOURCE, words, counter=True))

    def _asked(self, questions: Sequence[Question]) -> Asked:
        owner = self._settings.owner
        first = questions[0]
        zones, names, language = [owner.zone], [owner.name], owner.language
        for one in questions:
            account = (
                self._settings.accounts.get(one.delivery.key.calendar.account) if one.delivery.key else None
            )
            if account is not None:
                zones += [account.time_zone or ""]
                language = account.language or language
            if one.occurrence is not None:
                zones.append(one.occurrence.tzid)
                names += [each.name for each in one.occurrence.attendees if each.address == first.delivery.to]
                names += [one.occurrence.organizer_name]
        names.append(first.delivery.to.partition("@")[0])
        return Asked(
            offered=tuple(slot for one in questions for slot in one.delivery.offered),
            meetings=tuple(
                Interval(one.occurrence.start_utc, one.occurrence.end_utc)
                for one in questions
                if one.occurrence
            ),
            zones=tuple(dict.fromkeys(name for name in zones if name in available_timezones())),
            names=_words(names),
            language=language,
            check_in=first.delivery.do == Do.CHECK_IN,
        )

    def _act(self, meaning: Meaning, letter: LetterIn, questions: Sequence[Question]) -> Taken:
        single = len(questions) == 1
        if meaning.says is Says.STOP:
            return self.stop(questions[0].delivery)
        if meaning.says is Says.PICK:
            return self._pick(meaning, letter, questions)
        if not single and not meaning.all:
            return _to_owner(UNCLEAR)
        return _worst([self._act_on(meaning, letter, one.delivery) for one in questions])

    def _act_on(self, meaning: Meaning, letter: LetterIn, delivery: Delivery) -> Taken:
        """What is said of one meeting."""
        does, words = self._answering, letter.text
        if meaning.says in _HELD:
            if delivery.do != Do.CHECK_IN:
                return _to_owner(UNCLEAR)
            return _of(does.held(delivery.id, _HELD[meaning.says], "you, by mail"))
        if delivery.do not in {Do.CONFIRM, Do.RESCHEDULE, AGAIN}:
            return _to_owner(UNCLEAR)
        offers = delivery.do != Do.CONFIRM
        if meaning.says is Says.YES:
            # Only these mails say that a yes keeps the time as it is.
            if offers and delivery.detector != Unconfirmed.word:
                return _to_owner(UNCLEAR)
            return _of(does.confirm(delivery.id, PartStat.ACCEPTED, SOURCE, words))
        if meaning.says is Says.NO and not offers:
            return _of(does.confirm(delivery.id, PartStat.DECLINED, SOURCE, words))
        return _of(does.propose(delivery.id, (), SOURCE, words), noted=WISH)

    def _pick(self, meaning: Meaning, letter: LetterIn, questions: Sequence[Question]) -> Taken:
        """Each number is one of one meeting's times."""
        numbered = [(at, slot) for at, one in enumerate(questions) for slot in one.delivery.offered]
        done = []
        for at, picked in groupby((numbered[pick] for pick in meaning.picks), key=lambda one: one[0]):
            slots = [slot for _, slot in picked]
            asked = questions[at].delivery.id
            outcome = self._answering.pick(asked, slots, SOURCE, letter.text)
            if outcome is not None and outcome.became is Became.TAKEN and self._answering.offer_again(asked):
                done.append(Taken(became=Became.TAKEN.value))
            else:
                done.append(_of(outcome, gone=GONE))
        return _worst(done)


def _to_owner(why: str) -> Taken:
    return Taken(became="told", tell=why)


def _of(outcome: Outcome | None, *, noted: str = "", gone: str = "") -> Taken:
    """What became of one answer."""
    if outcome is None:
        return _to_owner(UNCLEAR)
    if outcome.became is Became.CLOSED:
        return _to_owner(ANSWERED_LATE.get(outcome.question.standing, UNCLEAR))
    if outcome.became is Became.TAKEN and gone:
        return _to_owner(gone)
    return Taken(became=outcome.became.value, tell=noted)


def _worst(done: Sequence[Taken]) -> Taken:
    """One word for several: what the owner must be told comes first."""
    return next((one for one in done if one.tell), done[0] if done else _to_owner(UNCLEAR))


def _words(names: Sequence[str]) -> frozenset[str]:
    """The words of names as replies are compared."""
    flat = unicodedata.normalize("NFKD", " ".join(names).casefold())
    plain = "".join(c for c in flat if not unicodedata.combining(c))
    return frozenset(re.findall(r"[^\W\d_]{2,}", plain)) - _NO_NAMES


def _is_numbered_so(party: Sequence[Delivery], meaning: Meaning) -> bool:
    """Whether the numbers of a mail about several meetings are those that their times have now.

    A message may offer more times than when it left; behind those the numbers of the next would shift.
    """
    if meaning.says is not Says.PICK or len(party) == 1:
        return True
    mail, _ = parsed(party[0].raw or b"")
    text = next((text_of(part) for part in leaves(mail) if part.get_content_type() == "text/plain"), "")
    numbers = [int(found[1]) for found in _NUMBERED.finditer(text)]
    return max(numbers, default=0) == sum(len(one.offered) for one in party)


__all__ = ["Taken", "Taker"]
