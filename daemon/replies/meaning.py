"""What somebody says in a reply, where it is beyond doubt; else nothing. No input, no output, no clock.

Every sentence must be understood to its last word. What is not goes to the owner, who reads better.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from zoneinfo import ZoneInfo

from daemon.replies import vocabulary as v
from daemon.replies.named_times import meant, named_in
from rules.model import Interval

LONGEST = 1500
"""Characters beyond which nobody only answers a question."""

_CLOSING = re.compile(
    r"(with )?(best|kind|warm|many)?( |^)?(regards|wishes)|best|cheers|sincerely|yours( sincerely)?|"
    r"(com os )?(melhores )?cumprimentos|abracos?|atenciosamente|cordialmente"
)
_GREETING = re.compile(
    r"(hi|hello|hey|dear|ola|oi|viva|caro|cara|bom dia|boa tarde|boa noite|good (morning|afternoon|evening))"
    r"( [a-z.'-]{1,20}){0,3}"
)
_TOKEN = re.compile(
    r"#?\d{1,2}(?:[:.h]\d{2}h?)?(?:am|pm|st|[nr]d|th|h|a|o)?(?![\w])|[^\W\d_]+(?:['-][^\W\d_]+)*|[,/&+]|\S"
)

_ASKING = frozenset({"is", "are", "do", "does", "will", "would", "should", "e", "seria"})


class Says(StrEnum):
    """What a reply comes to."""

    YES = "yes"
    NO = "no"
    PICK = "pick"
    OTHER = "other"
    """Another time, in words of theirs."""
    STOP = "stop"
    HELD = "held"
    MISSED = "missed"
    MISSED_BY_ME = "missed by me"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was asked: the times as they were numbered in the mail, and those of its meetings.

    ``zones`` are those in which the mail said them. ``names`` are words that are nobody's answer: those of
    the people who write to each other. ``check_in`` asks the owner whether it took place.
    """

    offered: tuple[Interval, ...] = ()
    meetings: tuple[Interval, ...] = ()
    zones: tuple[str, ...] = ("UTC",)
    names: frozenset[str] = frozenset()
    language: str = "en"
    check_in: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What they say: ``picks`` are places among the offered times, from 0, ``all`` is about all meetings."""

    says: Says
    picks: tuple[int, ...] = ()
    all: bool = False


def understood(text: str, asked: Asked) -> Meaning | None:
    """What a reply says; None where that is not beyond doubt."""
    if not text.strip() or len(text) > LONGEST:
        return None
    plain = _simple(text, asked)
    sentences = _without_closing(_sentences(plain))
    if asked.check_in:
        return _of_owner(sentences)
    read = [_sentence(one, asked) for one in sentences]
    kinds = [one for one in read if not isinstance(one, _Nothing)]
    found = _together([one for one in kinds if one is not None])
    if found is None:
        return None
    unknown = [sentences[at] for at, one in enumerate(read) if one is None]
    if unknown and not (
        found.says is Says.OTHER or (found.says is Says.NO and all(map(_changes_nothing, unknown)))
    ):
        return None
    if found.says in {Says.YES, Says.PICK} and any(map(_negates, sentences)):
        return None
    return found


class _Nothing:
    """A sentence that is polite and says nothing."""


_COURTESY = _Nothing()


@dataclass(frozen=True, slots=True)
class _Sentence:
    """Its words in order, and whether it asks."""

    tokens: tuple[str, ...]
    asks: bool

    @property
    def text(self) -> str:
        """Its words without commas."""
        return " ".join(one for one in self.tokens if one != ",")


def _simple(text: str, asked: Asked) -> str:
    """Small letters without accents, every quotation mark and dash alike."""
    told = text.casefold().replace("👍", " yes ").replace("✅", " yes ")
    flat = "".join(c for c in unicodedata.normalize("NFKD", told) if not unicodedata.combining(c))
    flat = re.sub(r"[’‘`´]", "'", flat)
    flat = re.sub(r"[“”\"«»*]", " ", flat)
    flat = re.sub(r"\s[-–—]+\s|[–—]", ", ", flat)
    flat = re.sub(r"\b(a|p)\.m\b\.?", r"\1m", flat)
    if asked.language == "pt":
        flat = re.sub(r"\bno (?=(dia|primeiro|segundo|terceiro|quarto|quinto|horario)\b)", "em ", flat)
    return v.IDIOMS.sub(" thanks ", flat)


def _sentences(text: str) -> list[_Sentence]:
    found = []
    for piece in re.split(r"\n+|(?<=[.!?;])\s+|[!?;]+(?=\w)|[:](?=\s|$)", text):
        if piece is None:
            continue
        asks = "?" in piece
        tokens = tuple(_TOKEN.findall(piece.strip().strip(".!?; ,-)(:")))
        tokens = tuple(one for one in tokens if one not in {".", "!", "?", ";", "(", ")", ":"})
        if tokens:
            found.append(_Sentence(tokens, asks))
    return found


def _without_closing(sentences: list[_Sentence]) -> list[_Sentence]:
    """Without what follows a formal closing, unless that might be an answer, too."""
    for at, one in enumerate(sentences):
        if _CLOSING.fullmatch(one.text):
            rest = sentences[at + 1 :]
            words = {word for each in rest for word in each.tokens}
            wishes = {"would", "better", "please", "could", "can", "works", "work", "yes", "sim"}
            if len(rest) <= 8 and not words & (v.CONTRASTS | wishes) and not any(map(_negates, rest)):
                return sentences[:at]
    return sentences


def _negates(sentence: _Sentence) -> bool:
    return any(one in v.NEGATIONS or "n't" in one for one in sentence.tokens)


def _changes_nothing(sentence: _Sentence) -> bool:
    """Whether a sentence nobody understood can only be the reason of a no."""
    words = set(sentence.tokens)
    timely = v.TIMELY.search(sentence.text)
    return not (sentence.asks or timely or words & (v.CONTRASTS | v.YES)) and not v.YES_PHRASES.search(
        sentence.text
    )


def _sentence(sentence: _Sentence, asked: Asked) -> Meaning | _Nothing | None:
    """What one sentence says; None where it is not understood."""
    words = [one for one in sentence.tokens if one not in asked.names]
    bare = " ".join(one for one in words if one != ",")
    if v.STOP.fullmatch(bare):
        return Meaning(says=Says.STOP)
    timely = v.TIMELY.search(sentence.text) and not _compares(words)
    wishes = bool(timely and v.WISHES.search(sentence.text))
    if _negates(sentence):
        if v.NONE_OF_THESE.fullmatch(bare):
            return Meaning(says=Says.OTHER)
        if _is_no(words):
            return Meaning(says=Says.NO)
        return Meaning(says=Says.OTHER) if wishes and not set(words) & v.YES else None
    greets = _GREETING.fullmatch(bare) and not set(words) & (
        v.YES | v.ALL | v.SUITING | {*v.DAYS, *v.DAYS_OR_PLACES}
    )
    if not words or greets or set(words) - {","} <= v.COURTESY:
        return _COURTESY
    if not set(words) & v.CONTRASTS:
        asks_back = sentence.asks and (words[0] in _ASKING or "you" in words)
        found = (None if asks_back else _pick(words, asked)) or _yes(words, bare, sentence, asked)
        if found is not None:
            return found
        if set(words) - {","} <= v.FILLERS | v.COURTESY and not sentence.asks:
            return _COURTESY
    return Meaning(says=Says.OTHER) if wishes and not set(words) & v.YES else None


def _is_no(words: Sequence[str]) -> bool:
    """Whether its clauses are a no and politeness."""
    clauses = [part.strip() for part in " ".join(words).split(",") if part.strip()]
    if v.NO.fullmatch(" ".join(clauses)):
        return True
    polite = v.COURTESY | {"sorry", "desculpe", "desculpa", "lamento", "but"}
    nos = [v.NO.fullmatch(one) is not None for one in clauses]
    return any(nos) and all(no or set(one.split()) <= polite for no, one in zip(nos, clauses, strict=True))


def _pick(words: Sequence[str], asked: Asked) -> Meaning | None:
    """The offered times that a sentence names, or the time of the meeting itself."""
    known = v.FILLERS | v.YES | v.COURTESY
    everything = set(words) & v.ALL
    named = named_in(words, known | everything, len(asked.offered))
    if named is None or _compares(words):
        return None
    if everything and not named:
        pair = bool(everything & v.PAIRS) and len(asked.offered) != 2
        if pair or not asked.offered or not set(words) & v.SUITING:
            return None
        return Meaning(says=Says.PICK, picks=tuple(range(len(asked.offered))))
    if not named or everything - v.PAIRS:
        return None
    zones = [ZoneInfo(one) for one in asked.zones]
    picks: dict[int, None] = {}
    present = 0
    for one in named:
        fits = meant(one, asked.offered, zones)
        if len(fits) == 1:
            picks[fits.pop()] = None
        elif not fits and len(meant(one, asked.meetings, zones, numbered=False)) == 1:
            present += 1
        else:
            return None
    if picks and not present:
        return Meaning(says=Says.PICK, picks=tuple(sorted(picks)))
    positive = set(words) & (v.YES | {"works", "fine", "good", "suits", "serve", "there"})
    return Meaning(says=Says.YES) if present and not picks and positive and len(asked.meetings) == 1 else None


def _compares(words: Sequence[str]) -> bool:
    """Whether times stand beside each other that are not both meant: a range, or one before the other."""
    text = " ".join(words)
    if re.search(r"\ball (good|fine|set|ok|great)\b", text):
        return True  # all is well, or all of them are: nobody knows
    return bool(re.search(r"\d\S* (to|a|ate) \S*\d|\b(prefer|prefiro)\b.* (to|a) ", text))


def _yes(words: Sequence[str], bare: str, sentence: _Sentence, asked: Asked) -> Meaning | None:
    if sentence.asks or (asked.offered and _compares(words)):
        return None
    if set(words) - {","} - v.FILLERS - v.YES - v.COURTESY - v.ALL:
        return None
    if set(words) & v.YES or v.YES_PHRASES.search(bare):
        return Meaning(says=Says.YES, all=len(asked.meetings) > 1 and bool(set(words) & v.ALL))
    return None


def _together(kinds: Sequence[Meaning]) -> Meaning | None:
    """What the sentences say together."""
    says = {one.says for one in kinds}
    if says in ({Says.STOP}, {Says.STOP, Says.NO}):
        return Meaning(says=Says.STOP)
    if says in ({Says.OTHER}, {Says.OTHER, Says.NO}):
        return Meaning(says=Says.OTHER)
    if says == {Says.NO}:
        return Meaning(says=Says.NO)
    if says == {Says.YES}:
        return Meaning(says=Says.YES, all=any(one.all for one in kinds))
    if says in ({Says.PICK}, {Says.PICK, Says.YES}):
        return Meaning(says=Says.PICK, picks=tuple(sorted({pick for one in kinds for pick in one.picks})))
    return None


def _of_owner(sentences: Sequence[_Sentence]) -> Meaning | None:
    """What the owner says of whether a meeting took place."""
    said = [one for one in sentences if not set(one.tokens) - {","} <= v.COURTESY]
    if len(said) != 1:
        return None
    text = said[0].text
    whole = bool(set(said[0].tokens) & v.ALL)
    for says, pattern in ((Says.HELD, v.HELD), (Says.MISSED_BY_ME, v.MISSED_BY_ME), (Says.MISSED, v.MISSED)):
        if pattern.fullmatch(text):
            return Meaning(says=says, all=whole)
    return None


__all__ = ["Asked", "Meaning", "Says", "understood"]
