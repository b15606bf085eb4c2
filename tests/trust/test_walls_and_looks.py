"""P10 and P11 over whole offices: three clients side by side, every mail and page that comes of them."""

from __future__ import annotations

import random
import re
import sqlite3
from datetime import timedelta
from html import unescape
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from daemon.store import deliveries
from tests.support.offices import at
from tests.support.visitor import ME, URL, Desk
from tests.trust.conftest import Trial

CLIENTS = ("acme", "beta", "cora")
CANARIES = {"acme": "qaqaqaqaq", "beta": "qbqbqbqbq", "cora": "qcqcqcqcq"}
"""What stands in every word of a client's; nothing of ours, and no digest but by a miracle, holds it."""

MET_BY_SAM = 6

RULES = """\
version: 1
guard: {first_sync: act, max_per_run: 1000, max_per_hour: 1000, per_recipient_per_day: 1000}
rules:
  - name: ask
    when: unconfirmed
    group_by: contact
    group_wait: 5m
    then:
      - {step: ask, do: confirm, at: 3d before start, until: 12h before start}
  - name: "no"
    when: {declined: {grace: 0m}}
    then:
      - {step: other, do: reschedule, at: 3d before start, until: 1h before start, slots: 2}
  - name: gone
    when: {cancelled: {grace: 0m}}
    then:
      - {step: other, do: reschedule, at: 3d before start, until: 1h before start, slots: 2}
  - name: clash
    when: {conflict: {travel: 30m}}
    then:
      - {step: move, do: reschedule, at: 3d before start, until: 1h before start, slots: 2}
  - name: missed
    when: {missed: {presume: [never_confirmed]}}
    then:
      - {step: offer, do: reschedule, at: 45m after end, until: 2d after end, slots: 2}
  - name: held
    when: unaccounted
    then:
      - {step: ask-me, do: check_in, at: 45m after end, until: 1d after end}
"""


def _event(client: str, number: int, hours: float, answer: str, chance: random.Random) -> str:
    """A meeting whose every word is its client's."""
    canary, form, start = f"{CANARIES[client]}{number}", "%Y%m%dT%H%M%SZ", at(hours)
    them = f"mailto:{canary}@{client}.example"
    is_mine = number < MET_BY_SAM or chance.random() < 0.7
    lines = [
        "BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//example//EN", "BEGIN:VEVENT", f"UID:uid-{canary}",
        f"DTSTAMP:{at(-99):{form}}", f"CREATED:{at(-99):{form}}", f"DTSTART:{start:{form}}",
        f"DTEND:{start + timedelta(minutes=45):{form}}", f"SUMMARY:Title {canary}",
        f"LOCATION:Place {canary}", f"DESCRIPTION:About {canary}", f"CATEGORIES:Category-{canary}",
        "ORGANIZER;CN=Dana:mailto:dana@va.example" if is_mine else f"ORGANIZER;CN=Chair {canary}:{them}",
        f"ATTENDEE;CN=Name {canary};PARTSTAT={answer}:{them}",
        *(["ATTENDEE;PARTSTAT=ACCEPTED:mailto:dana@va.example"] if not is_mine else []),
        *([f"ATTENDEE;CN=Sam {canary};PARTSTAT={answer}:mailto:sam@shared.example"] * (number % 2 == 0)),
        *(["STATUS:CANCELLED"] if number >= MET_BY_SAM and chance.random() < 0.1 else []),
        "END:VEVENT", "END:VCALENDAR", "",
    ]  # fmt: skip
    return "\r\n".join(lines)


def _lived(folder: Path, seed: int, meetings: int) -> Desk:
    """Two days of an office in which everybody clashes, declines and forgets."""
    folder.mkdir()
    desk, chance = Desk(folder, rules=RULES, accounts=CLIENTS), random.Random(seed)
    for number in range(meetings):
        client = CLIENTS[number % 3]
        hours = chance.choice([1, 2, 24, 24.25, 25, 47, 47.5])
        answers = ["NEEDS-ACTION", "ACCEPTED", "DECLINED"]
        if number < MET_BY_SAM:
            hours, answers = 47, answers[:1]  # of each client one of which Sam is asked at the same time
        desk.put(client, f"e{number}", _event(client, number, hours, chance.choice(answers), chance))
    for hours in (0.1, 0.2, 3, 20, 24.5):
        desk.round(hours)
    return desk


def _links(words: str) -> set[str]:
    found = re.findall(re.escape(URL) + r"(/[^\s\"<>)]+)", unescape(words))
    return {urlsplit(path).path for path in found}


def _mails(desk: Desk) -> list[tuple[str, str, str]]:
    """Every mail that left about a meeting: to whom, of which client, and all that can be read in it."""
    with desk.store.read() as conn:
        rows = {one.message_id: one for one in deliveries.list_(conn) if one.key is not None}
    found = []
    for to, mail in desk.mailer.kept:
        row = rows.get(str(mail["Message-ID"]))
        if row is not None and row.key is not None:
            words = [f"{name}: {value}" for name, value in mail.items()]
            words += [str(part.get_content()) for part in mail.walk() if not part.is_multipart()]
            found.append((to, row.key.calendar.account, "\n".join(words).replace("\n ", "")))
    return found


@pytest.mark.promise(
    "P11", "three clients with a canary in every word clash, decline and miss; mails and pages"
)
def test_no_word_of_one_client_reaches_another(tmp_path: Path, trial: Trial) -> None:
    """In no part or header of a mail, and on no page that its links lead to, stands another client's word.

    Sam, whom all three meet, hears from each of them.
    """
    mails = pages = 0
    for seed in range(trial.size(1, 20)):
        desk = _lived(tmp_path / str(seed), seed, trial.size(10, 24))
        left = _mails(desk)
        assert {client for to, client, _ in left if to == "sam@shared.example"} == set(CLIENTS)
        for to, client, words in left:
            if to == ME:
                continue
            seen = [words] + [desk.visitor.get(path).text for path in sorted(_links(words))]
            for other, canary in CANARIES.items():
                assert other == client or all(canary not in each.casefold() for each in seen), words
            assert CANARIES[client] in words
            mails, pages = mails + 1, pages + len(seen) - 1
        desk.office.close()
        desk.store.close()
    assert mails
    assert pages
    trial.saw(f"{mails} mails, {pages} pages", "no canary crossed a wall")


@pytest.mark.promise("P10", "every link of every mail is opened again and again, with GET and with HEAD")
def test_looking_at_every_link_changes_nothing(tmp_path: Path, trial: Trial) -> None:
    """A scanner that opens all there is: the store is the same to the last row, and nothing leaves."""
    looks = links = 0
    for seed in range(trial.size(1, 5)):
        desk = _lived(tmp_path / str(seed), seed + 500, trial.size(5, 24))
        paths = sorted({path for _, _, words in _mails(desk) for path in _links(words)})
        assert paths
        before, left = _dump(desk), len(desk.mailer.kept)
        some = [(path, verb) for path in paths for verb in ("GET", "HEAD")] * trial.size(2, 10)
        assert desk.visitor.look(some) <= {200, 404, 405, 410}
        assert _dump(desk) == before
        desk.round()
        assert len(desk.mailer.kept) == left
        looks, links = looks + len(some), links + len(paths)
        desk.office.close()
        desk.store.close()
    trial.saw(f"{looks} looks at {links} links", "0 rows changed, 0 mails")


def _dump(desk: Desk) -> list[str]:
    with sqlite3.connect(desk.store.path) as raw:
        return list(raw.iterdump())
