"""What people write in reply, and what it comes to: exactly that, or nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from daemon.replies.meaning import Asked, Meaning, Says, understood
from daemon.replies.vocabulary import COURTESY, FILLERS, IDIOMS, NEGATIONS, YES
from rules.model import Interval


def at(day: int, hour: int, minute: int = 0) -> Interval:
    """Half an hour in March 2026, UTC as in Lisbon."""
    start = datetime(2026, 3, day, hour, minute, tzinfo=UTC)
    return Interval(start, start + timedelta(minutes=30))


TUESDAY = at(3, 15)
OFFER = Asked(
    offered=(at(5, 10), at(5, 14, 30), at(6, 10), at(9, 16)),
    meetings=(TUESDAY,),
    zones=("Europe/Lisbon", "America/New_York"),
    names=frozenset({"dana", "reyes", "jo"}),
)
"""Thursday 10:00 and 14:30, Friday 10:00, Monday 16:00; in New York five hours earlier."""

CONFIRM = Asked(meetings=(TUESDAY,), zones=("Europe/Lisbon",), names=OFFER.names)
SEVERAL = Asked(meetings=(TUESDAY, at(4, 15)), zones=("Europe/Lisbon",), names=OFFER.names)
CHECK_IN = Asked(meetings=(TUESDAY,), check_in=True)
PORTUGUESE = Asked(
    offered=OFFER.offered,
    meetings=OFFER.meetings,
    zones=("Europe/Lisbon",),
    names=OFFER.names,
    language="pt",
)

YES_ = [
    "yes",
    "Yes!",
    "Yes, that works for me.",
    "Hi Dana,\n\nyes, I can make it.\n\nBest regards,\nJo Miller\nHead of Things\n+44 20 7946 0000",
    "Works for me",
    "Sounds good, see you then!",
    "OK",
    "Confirmed, thanks.",
    "Sure, see you Tuesday at 15:00",
    "Tuesday 3pm works.",
    "I'll be there",
    "no problem, I'll be there",
    "👍",
    "Sim",
    "Olá Dana, sim, confirmo. Obrigada!",
    "Por mim tudo bem",
    "Pode ser!",
    "Claro, lá estarei.",
    "Yes\nJo",
    "that's fine with me, thank you very much",
]
NO_ = [
    "no",
    "No, sorry.",
    "Sorry, I can't make it.",
    "Unfortunately I cannot make it on that day.",
    "I won't be able to attend",
    "Hi Dana, that time doesn’t work for me, sorry. Best, Jo",
    "I'm not available then",
    "Não posso.",
    "Não, infelizmente não consigo.",
    "Infelizmente não vou poder estar presente",
    "I can't make it. My daughter is ill.",
    "not possible, sorry",
]
PICKS = {
    "2": (1,),
    "2.": (1,),
    "#3": (2,),
    "2 works": (1,),
    "Number two works for me": (1,),
    "option 2 please": (1,),
    "Option 4, thanks!\n\nJo": (3,),
    "the second": (1,),
    "The second one would be great.": (1,),
    "2nd": (1,),
    "the last one": (3,),
    "2 or 3": (1, 2),
    "2, 3": (1, 2),
    "2 and 4 work": (1, 3),
    "Either 2 or 3 is fine": (1, 2),
    "first or third": (0, 2),
    "all of them work": (0, 1, 2, 3),
    "Any of these is fine": (0, 1, 2, 3),
    "yes, 2 works": (1,),
    "Yes. Number 3 please.": (2,),
    "No problem, 2 is fine": (1,),
    "Thursday 14:30": (1,),
    "Thursday, 14:30 works": (1,),
    "Thursday at 2:30 pm": (1,),
    "Thursday at 2.30pm would be perfect": (1,),
    "Friday works for me": (2,),
    "Monday": (3,),
    "monday or friday": (2, 3),
    "Let's do Friday at 10": (2,),
    "5 March at 10:00": (0,),
    "March 6th": (2,),
    "the 9th": (3,),
    "I'm free Monday at 4pm": (3,),
    "Monday 12:00 works": (3,),  # as New York's clocks show it
    "Hi Dana, can we do 2? Thanks, Jo": (1,),
    "A segunda": (),  # Monday, or the second
    "a terceira": (2,),
    "a segunda opção": (1,),
    "segunda": (3,),
    "2ª feira": (3,),
    "na sexta": (2,),
    "opção 2": (1,),
    "A 2ª, por favor": (1,),
    "quinta às 14h30": (1,),
    "quinta-feira às 10h": (0,),
    "sexta-feira serve": (2,),
    "segunda-feira": (3,),
    "dia 9": (3,),
    "6 de março às 10:00": (2,),
    "pode ser a primeira": (0,),
    "2 ou 3": (1, 2),
    "qualquer uma serve": (0, 1, 2, 3),
}
OTHER_ = [
    "None of these work for me.",
    "None of these work. How about Wednesday at 11?",
    "Could we do Friday afternoon instead?",
    "How about next week?",
    "No, sorry. Could we do Wednesday at 9:00?",
    "I'd prefer another day.",
    "I'm at the dentist then. Could we meet on Wednesday?",
    "Would Wednesday at noon suit you?",
    "Nenhuma destas horas me serve",
    "Que tal quarta-feira às 11h?",
    "Podemos adiar para a próxima semana?",
]
STOP_ = [
    "stop",
    "STOP",
    "Stop.",
    "Please stop",
    "unsubscribe",
    "Please stop emailing me.",
    "parar",
    "No, stop.",
    "yes, please stop",
    "stop it",
    "please remove me from this list",
    "Do not write to me again",
]
NOTHING = [
    "no, 2 does not work",
    "yes but not 2",
    "not 2",
    "2 is too early",
    "I prefer 2 to 3",
    "2 if Sam can come, otherwise 3",
    "anything but 2",
    "Thursday",  # there are two
    "10:00",  # on two days
    "5",
    "0",
    "99",
    "quarta",
    "yes, all good",
    "do you prefer 2?",
    "2 people will join me",
    "Can you call me at 2?",
    "after 2",
    "1-3",
    "Yes?",
    "Is that ok?",
    "Could you send me the agenda before Tuesday?",
    "Who is this?",
    "Great, thanks!",
    "Thanks",
    "I'll check and get back to you",
    "Maybe",
    "yes and no",
    "No, I can make it",
    "not bad",
    "I don't mind",
    "yes, only I will be late",
    "Não sei ainda",
    "sim, mas mais tarde",
    "2 works, 3 does not",
    "Wednesday 10:00",
    "2 works. Could we do Wednesday instead?",
    "stop by my office at 2",
    "Please do not stop",
    "don't stop believing",
    "To get no more mails like this one, reply with the word “stop”.",
    "",
    "   \n ",
    "?" * 200,
    "yes " * 2000,
]


def says(text: str, asked: Asked) -> Says | None:
    """The kind of what was understood."""
    found = understood(text, asked)
    return found.says if found else None


@pytest.mark.parametrize("text", YES_)
def test_a_yes(text: str) -> None:
    """In the words people use, to a question and to an offer."""
    assert says(text, CONFIRM) is Says.YES
    assert says(text, OFFER) is Says.YES


@pytest.mark.parametrize("text", NO_)
def test_a_no(text: str) -> None:
    """With its reason or without."""
    assert says(text, CONFIRM) is Says.NO


@pytest.mark.parametrize("text", PICKS)
def test_a_picked_time(text: str) -> None:
    """By its number, its place, or its day and hour where that fits exactly one."""
    found = understood(text, OFFER)
    wanted = PICKS[text]
    assert found == (Meaning(says=Says.PICK, picks=wanted) if wanted else None)


@pytest.mark.parametrize("text", OTHER_)
def test_a_wish_for_another_time(text: str) -> None:
    """It is a wish; no time is guessed from it."""
    assert understood(text, OFFER) == Meaning(says=Says.OTHER)


@pytest.mark.parametrize("text", STOP_)
def test_stop(text: str) -> None:
    """Whatever was asked."""
    assert says(text, CONFIRM) is says(text, OFFER) is Says.STOP


@pytest.mark.parametrize("text", NOTHING)
def test_what_is_left_to_the_owner(text: str) -> None:
    """Doubt, conditions, questions, two meanings at once."""
    assert understood(text, OFFER) is None


def test_portuguese_has_its_own_no() -> None:
    """“no dia 9” is on the ninth; elsewhere it is a no with something behind it."""
    assert understood("no dia 9", PORTUGUESE) == Meaning(says=Says.PICK, picks=(3,))
    assert understood("no dia 9", OFFER) is None


def test_yes_to_several_meetings_says_so() -> None:
    """A bare yes does not say to which."""
    assert understood("Yes to all", SEVERAL) == Meaning(says=Says.YES, all=True)
    assert understood("yes, both work", SEVERAL) == Meaning(says=Says.YES, all=True)
    assert understood("yes", SEVERAL) == Meaning(says=Says.YES)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("held", Says.HELD),
        ("Yes, it took place", Says.HELD),
        ("sim", Says.HELD),
        ("they missed it", Says.MISSED),
        ("missed", Says.MISSED),
        ("They did not come.", Says.MISSED),
        ("no-show", Says.MISSED),
        ("faltaram", Says.MISSED),
        ("I missed it", Says.MISSED_BY_ME),
        ("faltei", Says.MISSED_BY_ME),
        ("no", None),
        ("held, I think", None),
        ("we moved it", None),
    ],
)
def test_the_owner_says_whether_it_took_place(text: str, wanted: Says | None) -> None:
    """In the words of the check-in, and some more."""
    assert says(text, CHECK_IN) is wanted


def test_a_check_in_word_of_others_is_no_answer() -> None:
    """Only the owner is asked that."""
    assert understood("held", CONFIRM) is None


_SAID = st.sampled_from(sorted({*NEGATIONS, *FILLERS, *YES, *COURTESY, "2", "3", "10:00", "thursday", "n't"}))
_MARKS = st.sampled_from([" ", " ", " ", ", ", ". ", "\n", "? ", " - "])


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.tuples(_SAID, _MARKS), max_size=12), st.sampled_from([OFFER, CONFIRM, SEVERAL, PORTUGUESE])
)
@example([("not", " "), ("2", " ")], OFFER)
@example([("yes", ", "), ("never", " ")], CONFIRM)
def test_a_negation_is_never_a_yes(words: list[tuple[str, str]], asked: Asked) -> None:
    """Whatever stands around it, but for idioms such as “no problem”, and Portuguese “no dia”."""
    text = "".join(word + mark for word, mark in words)
    found = understood(text, asked)
    bare = IDIOMS.sub(" ", text.replace("no dia", "em dia")).replace(",", " ").replace(".", " ")
    if asked.language != "pt" and {*bare.replace("?", " ").split()} & NEGATIONS:
        assert found is None or found.says not in {Says.YES, Says.PICK}


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=300), st.sampled_from([OFFER, CONFIRM, CHECK_IN, PORTUGUESE]))
def test_no_text_is_too_odd(text: str, asked: Asked) -> None:
    """Every text has a meaning or none; picks are of what was offered."""
    found = understood(text, asked)
    assert found is None or set(found.picks) <= set(range(len(asked.offered)))
