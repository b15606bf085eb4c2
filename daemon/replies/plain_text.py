"""What somebody wrote themselves: without what they quote, without their signature, HTML as plain lines."""

from __future__ import annotations

import re

from lxml import etree
from mailparser_reply import EmailReplyParser  # type: ignore[import-untyped]

LONGEST = 4000
"""Characters that are looked at for what was written; an answer stands at the top."""

LONGEST_LINE = 500

_LANGUAGES = ["en", "de", "es", "fr", "it", "nl"]
_BLOCKS = frozenset(
    {"p", "div", "li", "tr", "table", "ul", "ol", "h1", "h2", "h3", "h4", "blockquote", "pre"}
)
_UNSEEN = frozenset({"script", "style", "head", "title", "template", "blockquote"})
_QUOTING = re.compile(r"gmail_quote|yahoo_quoted|moz-cite-prefix|protonmail_quote|zmail_extra", re.IGNORECASE)
_ENDING = re.compile(r"divRplyFwdMsg|appendonsend|reply-intro|OLK_SRC_BODY_SECTION", re.IGNORECASE)

_HEADERS = re.compile(
    r"^(em|no dia|a)\b.{0,200}\b(escreveu|wrote)\s*:?\s*$"
    r"|^on\b.{0,200}\bwrote:\s*$"
    r"|^.{0,120}<[^<>\s]+@[^<>\s]+>.{0,60}\b(escreveu|wrote)(\s*\(.{0,80}\))?\s*:\s*$",
    re.IGNORECASE,
)
_BEGINS_HEADER = re.compile(r"^(on|em|no dia|a)\b.*(\d|<)", re.IGNORECASE)
_REST_IS_OLD = re.compile(
    r"^\s*-{2,}\s*(original message|mensagem original|forwarded message|mensagem encaminhada)\s*-{2,}"
    r"|^\s*_{20,}\s*$"
    r"|^[*\s]*(from|de|enviado por)\s*:[*\s]*\S.*$",
    re.IGNORECASE,
)
_FIELD = re.compile(r"^[*\s]*(sent|date|to|subject|enviada?( em)?|data|para|assunto|cc)\s*:", re.IGNORECASE)
_SIGNATURE = re.compile(r"^--\s*$")
_DEVICE = re.compile(
    r"^(sent from my|sent from|get outlook for|sent with"
    r"|enviado (do|a partir do|de) (m\w+|outlook|telem|iphone)|obter o outlook)\b.{0,80}$",
    re.IGNORECASE,
)


def newest(text: str) -> str:
    """What was written in this mail alone: no quoted lines, nothing after a quotation's head, no signature.

    What stands below quoted lines is kept, since an answer may.
    """
    lines = [line[:LONGEST_LINE].replace("\xa0", " ").rstrip() for line in text[: LONGEST * 4].split("\n")]
    own = "\n".join(_own(lines))[:LONGEST].strip()
    return _by_library(own)


def _own(lines: list[str]) -> list[str]:
    kept: list[str] = []
    at = 0
    while at < len(lines):
        line = lines[at].strip()
        if line.startswith((">", "|")):
            at += 1
            continue
        if heads := _head_of_quotation(lines, at):
            at += heads
            continue
        if _ends_here(lines, at) or _SIGNATURE.match(line):
            break
        if not _DEVICE.match(line):
            kept.append(line)
        at += 1
    return kept


def _head_of_quotation(lines: list[str], at: int) -> int:
    """How many lines from here say who wrote what is quoted below; 0 for none."""
    one = lines[at].strip()
    if _HEADERS.match(one):
        return 1
    # Mail programs break such a line where it is long.
    for more in (2, 3):
        joined = " ".join(line.strip() for line in lines[at : at + more])
        if len(joined) < 300 and _BEGINS_HEADER.match(one) and _HEADERS.match(joined):
            return more
    return 0


def _ends_here(lines: list[str], at: int) -> bool:
    """Whether all that follows is an older mail, by its head of several fields or its line."""
    line = lines[at]
    if not _REST_IS_OLD.match(line):
        return False
    if line.lstrip(" *").lower().startswith(("from", "de", "enviado por")):
        return any(_FIELD.match(one) for one in lines[at + 1 : at + 4])
    return True


def _by_library(own: str) -> str:
    """The same without a quotation whose head is in a language we have no words for.

    The library's own idea of a signature is not used: a line that begins with a hyphen would be one.
    """
    if not own:
        return ""
    replies = EmailReplyParser(languages=list(_LANGUAGES)).read(own).replies
    first = str(replies[0].content).strip() if replies else ""
    return first or own


def plain(html: str) -> str:
    """HTML as lines of text, without what it quotes."""
    try:
        reader = etree.HTMLParser(encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True)
        tree = etree.fromstring(html.encode("utf-8", "replace"), reader)
    except (etree.LxmlError, ValueError):
        return ""
    if tree is None:
        return ""
    text: list[str] = []
    hidden = 0
    for event, element in etree.iterwalk(tree, events=("start", "end")):
        tag = element.tag if isinstance(element.tag, str) else ""
        breaks = tag in _BLOCKS or tag == "br"
        names = f"{element.get('class', '')} {element.get('id', '')}"[:500]
        quoted = tag in _UNSEEN or bool(_QUOTING.search(names))
        if event == "start":
            if _ENDING.search(names):
                break
            text.append("\n" if breaks else "")
            hidden += quoted
            text.append("" if hidden else _flat(element.text))
        else:
            hidden -= quoted
            text.append("\n" if breaks and tag != "br" else "")
            text.append("" if hidden else _flat(element.tail))
    lines = [" ".join(line.split()) for line in "".join(text).split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _flat(text: str | None) -> str:
    return (text or "").replace("\n", " ")
