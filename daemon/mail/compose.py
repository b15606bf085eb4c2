"""A letter becomes a mail: words, then text and HTML, then headers and bytes."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from markupsafe import Markup

from daemon.mail import html as mail_html
from daemon.mail.foreign_text import clean_lines
from daemon.mail.headers import Envelope
from daemon.mail.letter import Letter, values_of
from daemon.mail.message import Mail
from daemon.mail.mime import Content, UnsafeMail, header_text, mailbox, parse_mailbox, write
from daemon.mail.spoken_time import language, zone
from daemon.mail.template_files import Found, check_template, find_template, shipped
from daemon.mail.template_language import TemplateError
from rules.detectors.missed import BY_ME, PRESUMED
from rules.model import Interval, Owner

__all__ = ["Letter", "TemplateError", "UnsafeMail", "check_template", "compose", "compose_notice"]

_WIDTH = 72
_SIGNATURE_MARK = "-- "
_WHEN, _PROPOSALS = "\x02when\x03", "\x02proposals\x03"  # no text of ours or theirs holds controls

_BY_FINDING = {
    ("reschedule", "unconfirmed", ""): "another-time",
    ("reschedule", "conflict", ""): "something-came-up",
    ("reschedule", "missed", ""): "sorry-we-missed-you",
    ("reschedule", "missed", PRESUMED): "missed-each-other",
    ("reschedule", "missed", BY_ME): "sorry-i-missed-it",
}
_BY_ACTION = {"confirm": "confirm", "check_in": "check-in", "notify": "notify"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Words:
    """A filled-in template; ``text`` still holds the marks of its blocks."""

    subject: str
    text: str
    html: Markup | None = None


def compose(letter: Letter, templates_dir: Path | None = None) -> Mail:
    """The mail for one letter, always the same bytes for the same letter.

    Raises :class:`TemplateError` for a template of the owner's that cannot be used, and
    :class:`UnsafeMail` where the letter cannot become a mail.
    """
    if letter.for_owner and letter.to not in letter.owner.addresses:
        raise UnsafeMail("what is for the owner alone would go to somebody else, so it was not made")
    values, tag = values_of(letter), language(letter.language).code
    blocks = {
        _WHEN: mail_html.block("when", values),
        _PROPOSALS: mail_html.block("proposals", values) if letter.slots else Markup(""),
    }
    own = templates_dir if letter.template else None
    found = find_template(_name_of(letter), letter.do, tag, own)
    words = _fill_in(found, values, blocks)
    footer = shipped(f"{tag}/footer-{'owner' if letter.for_owner else 'others'}.txt").render(values)
    text = words.text.replace(_WHEN, _when_text(values)).replace(_PROPOSALS, _proposals_text(values))
    body = mail_html.paragraphs(words.text, blocks) if words.html is None else words.html
    envelope = Envelope(
        sender=parse_mailbox(letter.sender),
        to=mailbox(letter.to, letter.to_name),
        subject=words.subject,
        sent=letter.now.astimezone(zone(letter.owner.zone, "UTC")),
        key=letter.intent_key,
        language=tag,
        earlier=letter.earlier,
        can_stop=not letter.for_owner,
    )
    content = Content(
        text=_page_of_text(text, footer),
        html=mail_html.page(body, footer, tag),
        calendar=None if letter.veiled else letter.calendar_part,
    )
    return _mail(envelope, content, letter.slots)


def compose_notice(owner: Owner, sender: str, subject: str, body: str, *, key: str, now: datetime) -> Mail:
    """Plain words from rebookd to its owner. Raises :class:`UnsafeMail`."""
    tag, text = language(owner.language).code, clean_lines(body)
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
    return _mail(envelope, Content(text=_page_of_text(text, footer), html=html), ())


def _name_of(letter: Letter) -> str:
    by_finding = _BY_FINDING.get((letter.do, letter.detector, letter.tone))
    name = letter.template or _BY_ACTION.get(letter.do) or by_finding
    if name is None:
        raise UnsafeMail(f"there are no words for '{letter.do}' after '{letter.detector}'; name a template")
    return name


def _fill_in(found: Found, values: Mapping[str, Any], blocks: Mapping[str, Markup]) -> _Words:
    marked = {**values, "when": _WHEN, "proposals": _PROPOSALS if values["slots"] else ""}
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
        drawn = {**values, "when": blocks[_WHEN], "proposals": blocks[_PROPOSALS]}
        html = Markup(found.html.render(drawn))  # noqa: S704 - rendered with escaping on
    return _Words(subject=subject, text=re.sub(r"\n{3,}", "\n\n", lines), html=html)


def _when_text(values: Mapping[str, Any]) -> str:
    meeting = values["meeting"]
    lines = (meeting["title"], meeting["text"], meeting["elsewhere"] and f"= {meeting['elsewhere']}")
    return "\n".join(f"  {line}" for line in lines if line)


def _proposals_text(values: Mapping[str, Any]) -> str:
    lines: list[str] = []
    for slot in values["slots"]:
        lines.append(f"  {slot['number']}. {slot['text']}")
        if slot["elsewhere"]:
            lines.append(f"     = {slot['elsewhere']}")
    return "\n".join(lines)


def _page_of_text(text: str, footer: str) -> str:
    """Text no wider than a terminal, the footer below the usual signature mark."""
    return f"{_wrapped(text)}\n\n{_SIGNATURE_MARK}\n{_wrapped(footer.strip())}\n"


def _wrapped(text: str) -> str:
    """Long lines broken between words; a line that starts with a space stays as it is."""
    return "\n".join(
        line
        if len(line) <= _WIDTH or line.startswith(" ")
        else textwrap.fill(line, _WIDTH, break_long_words=False, break_on_hyphens=False)
        for line in text.split("\n")
    )


def _mail(envelope: Envelope, content: Content, offered: tuple[Interval, ...]) -> Mail:
    return Mail(
        sender=envelope.sender.address,
        recipients=(envelope.to.address,),
        subject=envelope.subject,
        message_id=envelope.message_id,
        raw=write(envelope.headers(), content, envelope.digest),
        text=content.text,
        offered=offered,
    )
