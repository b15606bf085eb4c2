"""A letter becomes a mail: words, then text and HTML, then headers and bytes."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from markupsafe import Markup

from daemon.mail import html as mail_html
from daemon.mail.foreign_text import clean_lines
from daemon.mail.headers import Envelope
from daemon.mail.letter import Letter, values_of
from daemon.mail.message import Mail
from daemon.mail.mime import Content, UnsafeMail, header_text, mailbox, parse_mailbox, write
from daemon.mail.spoken_time import Language, language, zone
from daemon.mail.template_files import Found, check_template, find_template, shipped
from daemon.mail.template_language import TemplateError
from rules.delivery import AGAIN, COUNTER, INVITE, STAYS
from rules.detectors.missed import BY_ME, PRESUMED
from rules.model import Interval, Owner
from rules.policy import Do

__all__ = ["Letter", "TemplateError", "UnsafeMail", "check_template", "compose", "compose_notice"]

_WIDTH = 72
_LONGEST_NOTICE = 32_000
_SIGNATURE_MARK = "-- "
_BLOCK = "\x02{}{}\x03"  # stands for a drawn part; no text of ours or theirs holds controls

_BY_FINDING = {
    ("reschedule", "unconfirmed", ""): "another-time",
    ("reschedule", "conflict", ""): "something-came-up",
    ("reschedule", "missed", ""): "sorry-we-missed-you",
    ("reschedule", "missed", PRESUMED): "missed-each-other",
    ("reschedule", "missed", BY_ME): "sorry-i-missed-it",
    ("reschedule", "declined", ""): "you-cannot-make-it",
    ("reschedule", "cancelled", ""): "it-was-cancelled",
    ("reschedule", "away", ""): "not-available",
    ("reschedule", "silent", ""): "it-has-been-a-while",
    ("reschedule", "ending", ""): "our-last-meeting",
}
_BY_ACTION = {
    "confirm": "confirm",
    "check_in": "check-in",
    "notify": "notify",
    INVITE: "new-time",
    COUNTER: "please-move-it",
    STAYS: "not-at-that-time",
    AGAIN: "that-time-is-gone",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Words:
    """A filled-in template; ``text`` still holds the marks of its blocks."""

    subject: str
    text: str
    html: Markup | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Block:
    """One drawn part of a mail, by the mark that stands for it in the text."""

    mark: str
    text: str
    html: Markup


@dataclass(frozen=True, slots=True)
class _Blocks:
    """The drawn parts for each meeting; ``headed`` are the links below the names of their meetings."""

    when: Sequence[_Block]
    proposals: Sequence[_Block]
    links: Sequence[_Block]
    headed: Sequence[_Block]

    @property
    def all(self) -> Sequence[_Block]:
        """Every one."""
        return (*self.when, *self.proposals, *self.links, *self.headed)


def compose(letter: Letter, templates_dir: Path | None = None) -> Mail:
    """The mail for one letter and its companions, always the same bytes for the same letter.

    Raises :class:`TemplateError` for a template of the owner's that cannot be used, and
    :class:`UnsafeMail` where the letter cannot become a mail.
    """
    if letter.for_owner and letter.to not in letter.owner.addresses:
        raise UnsafeMail("what is for the owner alone would go to somebody else, so it was not made")
    if any(_kind(one) != _kind(letter) for one in letter.companions):
        raise UnsafeMail("messages of different kinds or to different people would share a mail")
    values, tag = values_of(letter), language(letter.language).code
    blocks = _Blocks(_when(values), _proposals(letter, values), *_links(letter, values))
    own = templates_dir if letter.template else None
    found = find_template(_name_of(letter), letter.do, tag, own)
    words = _fill_in(found, values, blocks)
    footer = shipped(f"{tag}/footer-{'owner' if letter.for_owner else 'others'}.txt").render(values)
    text = words.text
    for block in blocks.all:
        text = text.replace(block.mark, block.text)
    drawn = {block.mark: block.html for block in blocks.all}
    body = mail_html.paragraphs(words.text, drawn) if words.html is None else words.html
    envelope = Envelope(
        sender=parse_mailbox(letter.sender),
        to=mailbox(letter.to, letter.to_name),
        subject=words.subject,
        sent=letter.now.astimezone(zone(letter.owner.zone, "UTC")),
        key=letter.intent_key,
        language=tag,
        earlier=letter.earlier,
        can_stop=not letter.for_owner,
        stop=letter.stop,
        plus=letter.plus,
    )
    content = Content(
        text=_page_of_text(text, footer),
        html=mail_html.page(body, footer, tag, letter.stop),
        calendar=letter.enclosed,
    )
    return _mail(envelope, content, tuple(one.slots for one in letter.topics))


def compose_notice(owner: Owner, sender: str, subject: str, body: str, *, key: str, now: datetime) -> Mail:
    """Plain words from rebookd to its owner. Raises :class:`UnsafeMail`."""
    tag, text = language(owner.language).code, clean_lines(body, _LONGEST_NOTICE)
    footer = shipped(f"{tag}/footer-notice.txt").render({})
    envelope = Envelope(
        sender=parse_mailbox(sender),
        to=mailbox(owner.addresses[0], owner.name),
        subject=header_text(subject),
        sent=now.astimezone(zone(owner.zone, "UTC")),
        key=key,
        language=tag,
    )
    html = mail_html.page(mail_html.paragraphs(text, {}), footer, tag)
    return _mail(envelope, Content(text=_page_of_text(text, footer), html=html), ((),))


def _kind(letter: Letter) -> tuple[str | None, ...]:
    """What letters of one mail have in common."""
    return letter.do, letter.detector, letter.rule, letter.step, letter.template, letter.to


def _name_of(letter: Letter) -> str:
    by_finding = _BY_FINDING.get((letter.do, letter.detector, letter.manner))
    name = letter.template or _BY_ACTION.get(letter.do) or by_finding
    if name is None:
        raise UnsafeMail(f"there are no words for '{letter.do}' after '{letter.detector}'; name a template")
    return name


def _fill_in(found: Found, values: Mapping[str, Any], blocks: _Blocks) -> _Words:
    marked = _placed(values, blocks, lambda one: one.mark, "\n\n")
    path = found.text.path
    first, _, text = found.text.render(marked).partition("\n")
    word, _, rest = first.partition(":")
    subject = header_text(rest)
    if word.strip().lower() != "subject" or not subject:
        raise TemplateError(path, 1, "the first line must be 'Subject: ' and the mail's subject")
    if "\x02" in rest:
        raise TemplateError(path, 1, "a subject is one line; use {{ meeting.short }} for the time")
    apart = re.sub(r"\s*(\x02\w+\x03)\s*", r"\n\n\1\n\n", text)
    lines = "\n".join(line.rstrip() for line in apart.split("\n")).strip("\n")
    if not lines:
        raise TemplateError(path, 1, "the mail would be empty; write its text below the subject")
    html = None
    if found.html is not None:
        drawn = _placed(values, blocks, lambda one: one.html, Markup(""))
        html = Markup(found.html.render(drawn))  # nosec B704 # noqa: S704 - rendered with escaping on
    return _Words(subject=subject, text=re.sub(r"\n{3,}", "\n\n", lines), html=html)


def _placed(
    values: Mapping[str, Any], blocks: _Blocks, face: Callable[[_Block], str], between: str
) -> dict[str, Any]:
    """The values with one face of their blocks, all in one and apart for each meeting."""
    when, proposals = [face(one) for one in blocks.when], [face(one) for one in blocks.proposals]
    links = [face(one) if one.text else "" for one in blocks.links]
    headed = [face(one) for one in blocks.headed if one.text]
    return {
        **values,
        "when": between.join(when),
        "proposals": between.join(proposals) if values["slots"] else "",
        "link": between.join(headed),
        "meetings": [
            {**meeting, "when": one, "proposals": other, "link": link}
            for meeting, one, other, link in zip(values["meetings"], when, proposals, links, strict=True)
        ],
    }


def _when(values: Mapping[str, Any]) -> list[_Block]:
    """Title and time of each meeting."""
    return [
        _Block(
            mark=_BLOCK.format("when", place),
            text=_when_text(meeting),
            html=mail_html.block("when", {"meeting": meeting}),
        )
        for place, meeting in enumerate(values["meetings"])
    ]


def _when_text(meeting: Mapping[str, str]) -> str:
    lines = (meeting["title"], meeting["text"], meeting["elsewhere"] and f"= {meeting['elsewhere']}")
    return "\n".join(f"  {line}" for line in lines if line)


def _proposals(letter: Letter, values: Mapping[str, Any]) -> list[_Block]:
    """The times offered for each meeting; where there are several meetings, under its name."""
    words, rest = language(letter.language), iter(values["slots"])
    blocks: list[_Block] = []
    for place, (topic, meeting) in enumerate(zip(letter.topics, values["meetings"], strict=True)):
        slots = list(islice(rest, len(topic.slots)))
        heading = f"{meeting['title'] or words.our_meeting}, {meeting['short']}" if letter.companions else ""
        drawn = {"slots": slots, "heading": heading, "tell_me": "" if slots else words.tell_me}
        blocks.append(
            _Block(
                mark=_BLOCK.format("proposals", place),
                text=_proposals_text(drawn),
                html=mail_html.block("proposals", drawn),
            )
        )
    return blocks


def _links(letter: Letter, values: Mapping[str, Any]) -> tuple[list[_Block], list[_Block]]:
    """Where each meeting is answered: alone, and below its name where there are several."""
    words = language(letter.language)
    alone: list[_Block] = []
    headed: list[_Block] = []
    for place, (topic, meeting) in enumerate(zip(letter.topics, values["meetings"], strict=True)):
        name = f"{meeting['title'] or words.our_meeting}, {meeting['short']}" if letter.companions else ""
        for blocks, mark, heading in ((alone, "link", ""), (headed, "headed", name)):
            drawn = {"address": topic.link, "label": _label(topic, words), "heading": heading}
            lines = [f"{heading}:"] if heading else []
            blocks.append(
                _Block(
                    mark=_BLOCK.format(mark, place),
                    text="\n".join([*lines, f"  {topic.link}"]) if topic.link else "",
                    html=mail_html.block("link", drawn) if topic.link else Markup(""),
                )
            )
    return alone, headed


def _label(topic: Letter, words: Language) -> str:
    """What the link to a page says."""
    if topic.do == Do.CHECK_IN:
        return words.say_what
    if topic.do == Do.CONFIRM:
        return words.answer
    return words.choose if topic.slots else words.say_when


def _proposals_text(drawn: Mapping[str, Any]) -> str:
    lines = [f"{drawn['heading']}:"] if drawn["heading"] else []
    for slot in drawn["slots"]:
        lines.append(f"  {slot['number']}. {slot['text']}")
        if slot["elsewhere"]:
            lines.append(f"     = {slot['elsewhere']}")
    return "\n".join(lines) if drawn["slots"] else "\n".join([*lines, f"  {drawn['tell_me']}"])


def _page_of_text(text: str, footer: str) -> str:
    """Text no wider than a terminal, the footer below the usual signature mark."""
    return f"{_wrapped(text)}\n\n{_SIGNATURE_MARK}\n{_wrapped(footer.strip())}\n"


def _wrapped(text: str) -> str:
    """Long lines broken between words; a line that starts with a space stays as it is."""
    return "\n".join(
        line
        if len(line) <= _WIDTH or line.startswith(" ")
        else textwrap.fill(
            line,
            _WIDTH,
            subsequent_indent="  " if line.startswith("- ") else "",
            break_long_words=False,
            break_on_hyphens=False,
        )
        for line in text.split("\n")
    )


def _mail(envelope: Envelope, content: Content, offered_for: tuple[tuple[Interval, ...], ...]) -> Mail:
    return Mail(
        sender=envelope.sender.address,
        recipients=(envelope.to.address,),
        subject=envelope.subject,
        message_id=envelope.message_id,
        raw=write(envelope.headers(), content, envelope.digest),
        text=content.text,
        offered=tuple(slot for some in offered_for for slot in some),
        offered_for=offered_for,
    )
