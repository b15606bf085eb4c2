"""P11, the wall between clients: nothing of one client's stands in a mail about another's meeting."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.store import contacts, deliveries
from rules.model import Address, CalendarRef, Encounter, Met, OccurrenceKey, PartStat
from rules.plan import evaluate
from tests.support.letters import opened
from tests.support.meetings import account, meeting, policy, rule, snapshot, step
from tests.support.offices import World, at

TOKENS = {"acme": "qaaq", "beta": "qbbq"}
"""What stands in every word of a client's; no digest, boundary or word of ours has a q beside another."""

OFFERS = """
    then:
      - {step: offer, do: reschedule, at: 3d before start, slots: 2, notice: 1h}"""
AFTER = """
    then:
      - {step: offer, do: reschedule, at: at end, until: 5d after end, slots: 2, notice: 1h}"""
RULES = f"""\
version: 1
guard: {{first_sync: act, max_per_run: 1000, max_per_hour: 1000, per_recipient_per_day: 1000}}
rules:
  - name: confirm
    when: unconfirmed
    group_by: contact
    group_wait: 5m
    then:
      - {{step: ask, do: confirm, at: 3d before start, until: 12h before start}}
      - {{step: move, do: reschedule, at: 12h before start, template: everything}}
  - name: declined
    when: {{declined: {{grace: 0m}}}}
    group_by: contact
    group_wait: 5m{OFFERS}
  - name: cancelled
    when: {{cancelled: {{grace: 0m}}}}
    then:
      - {{step: offer, do: reschedule, at: 3d before start, template: everything}}
  - name: conflict
    when: {{conflict: {{travel: 30m}}}}{OFFERS}
  - name: away
    when: away{OFFERS}
  - name: ending
    when: ending{OFFERS}
  - name: missed
    when: {{missed: {{presume: [never_confirmed, tentative], settle: 0m}}}}
    group_by: contact{AFTER}
  - name: silent
    when: {{silent: {{at_least: 1d}}}}{AFTER.replace("5d", "99d")}
"""

TEMPLATE = """\
Subject: {{ title }} {{ meeting.short }} {{ count }}

{{ name }} {{ owner.name }} {{ meeting.title }} {{ mine }} {{ followup }} {{ invitation }}
{{ when }}
{{ proposals }}
{% for one in meetings %}
{{ one.title }} {{ one.text }} {{ one.elsewhere }}
{{ one.when }}
{{ one.proposals }}
{% endfor %}
"""

EVENTS = st.fixed_dictionaries(
    {
        "client": st.sampled_from(["acme", "beta"]),
        "starts": st.sampled_from([-3.0, 1.0, 24.0, 24.25, 25.0, 47.0]),
        "answer": st.sampled_from(["NEEDS-ACTION", "ACCEPTED", "DECLINED", "TENTATIVE"]),
        "kind": st.sampled_from(["mine", "theirs", "series", "away"]),
        "then": st.sampled_from(["stays", "stays", "cancelled"]),
        "shared": st.booleans(),
    }
)


def text_of(one: dict[str, Any], number: int, *, cancelled: bool = False) -> str:
    """An event whose every word is its client's."""
    token = f"{TOKENS[one['client']]}{number}"
    form, start = "%Y%m%dT%H%M%SZ", at(one["starts"])
    them = f"mailto:{token}@{one['client']}.example"
    also = f"\r\nATTENDEE;CN=Sam {token};PARTSTAT={one['answer']}:mailto:sam@shared.example"
    absent = "[away] " if one["kind"] == "away" else ""
    mine = one["kind"] != "theirs"
    people = "" if absent else f"ATTENDEE;CN=Name {token};PARTSTAT={one['answer']}:{them}"
    people += also if one["shared"] and not absent else ""
    people += "" if mine else "\r\nATTENDEE;CN=Dana;PARTSTAT=ACCEPTED:mailto:dana@va.example"
    lines = [
        "BEGIN:VCALENDAR", "VERSION:2.0", f"PRODID:-//{token}//EN", "BEGIN:VEVENT", f"UID:uid-{token}",
        f"DTSTAMP:{at(-99):{form}}", f"CREATED:{at(-99):{form}}", f"DTSTART:{start:{form}}",
        f"DTEND:{start + timedelta(minutes=45):{form}}", f"SUMMARY:{absent}Title {token}",
        f"LOCATION:Place {token}", f"DESCRIPTION:About {token}", f"CATEGORIES:Category-{token}",
        f"URL:https://{token}.example/", f"X-NOTE:{token}", f"SEQUENCE:{int(cancelled)}",
        "ORGANIZER;CN=Dana:mailto:dana@va.example" if mine else f"ORGANIZER;CN=Chair {token}:{them}",
        *([people] if people else []),
        *(["RRULE:FREQ=DAILY;COUNT=2"] if one["kind"] == "series" else []),
        *(["STATUS:CANCELLED"] if cancelled else []),
        "END:VEVENT", "END:VCALENDAR", "",
    ]  # fmt: skip
    return "\r\n".join(lines)


def remember(world: World, client: str) -> None:
    """Somebody of a client's who used to meet me every other day, and went quiet."""
    token = f"{TOKENS[client]}gone"
    address = Address(f"{token}@{client}.example")
    key = OccurrenceKey(calendar=CalendarRef(account=client, id="gone"), uid=f"uid-{token}")
    last = meeting(starts=-480, key=key, title=f"Last {token}", location=f"Place {token}",
                   people={address: PartStat.ACCEPTED})  # fmt: skip
    with world.store.write() as conn:
        for number, met in enumerate([Met.HELD] * 3 + [Met.UNANSWERED] * 2):
            when = last.end_utc + timedelta(days=2 * (number - 2))
            identity = last.identity if number == 2 else meeting(f"{token}-{number}").identity
            encounter = Encounter(identity=identity, at=when, met=met)
            contacts.note(conn, address, encounter, last if number == 2 else None, world.clock.now())


def played(events: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """Every mail to others that is planned in two days: account, detector, and all that can be read in it."""
    found: list[tuple[str, str, str]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "everything.txt").write_text(TEMPLATE)
        world = World(folder, RULES, accounts=("acme", "beta"))
        for number, one in enumerate(events):
            world.put(one["client"], f"e{number}", text_of(one, number))
        for client in TOKENS:
            remember(world, client)
        written: set[int] = set()
        for hours in (0, 14, 34):
            world.clock.at += timedelta(hours=hours)
            for account_ in TOKENS:
                world.office.poll(account_)
            world.office.decide()
            found += list(composed(world, written))
            for number, one in enumerate(events):
                if one["then"] == "cancelled":
                    world.put(one["client"], f"e{number}", text_of(one, number, cancelled=True))
        world.store.close()
    return found


def composed(world: World, written: set[int]) -> Iterator[tuple[str, str, str]]:
    """The mails of what was queued since, groups in one."""
    with world.store.read() as conn:
        rows = [
            row for row in deliveries.list_(conn) if row.do != deliveries.NOTICE and row.id not in written
        ]
    written |= {row.id for row in rows}
    parties = [
        [row for row in rows if (row.group or row.id) == one] for one in {r.group or r.id for r in rows}
    ]
    for leader, *others in parties:
        assert leader.key is not None
        mail = opened(world.office.scribe.compose(leader, others))
        words = [str(part.get_content()) for part in mail.walk() if not part.is_multipart()]
        words += [f"{name}: {value}" for name, value in mail.items()]
        yield leader.key.calendar.account, leader.detector, "\n".join(words).replace("\n ", "").casefold()


@given(st.lists(EVENTS, min_size=2, max_size=7))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_mail_about_one_client_holds_no_word_of_another(events: list[dict[str, Any]]) -> None:
    """Whatever clashes, is declined, missed, or fades: no decoded part or header crosses the wall."""
    for client, detector, words in played(events):
        for other, token in TOKENS.items():
            assert other == client or token not in words, (detector, words)


def test_the_wall_is_tried_with_every_finding() -> None:
    """The same play with a meeting of each kind on both sides makes mails after every question."""
    kinds = [
        {"starts": 24.0, "answer": "NEEDS-ACTION", "kind": "mine", "then": "stays", "shared": True},
        {"starts": 24.25, "answer": "ACCEPTED", "kind": "mine", "then": "stays", "shared": False},
        {"starts": 25.5, "answer": "DECLINED", "kind": "mine", "then": "stays", "shared": True},
        {"starts": 47.0, "answer": "ACCEPTED", "kind": "theirs", "then": "cancelled", "shared": False},
        {"starts": 47.0, "answer": "ACCEPTED", "kind": "series", "then": "stays", "shared": False},
        {"starts": 71.0, "answer": "ACCEPTED", "kind": "away", "then": "stays", "shared": False},
        {"starts": -3.0, "answer": "TENTATIVE", "kind": "mine", "then": "stays", "shared": True},
    ]
    mails = played([one | {"client": client} for one in kinds for client in TOKENS])
    wanted = {"unconfirmed", "declined", "cancelled", "conflict", "away", "ending", "missed", "silent"}
    for client, token in TOKENS.items():
        assert {detector for account_, detector, _ in mails if account_ == client} == wanted
        for account_, detector, words in mails:
            assert (token in words) is (account_ == client), (detector, words)


MEETINGS = st.lists(
    st.tuples(
        st.sampled_from(["a1", "a2", "b", "c", "d"]),
        st.sampled_from([24.0, 24.25, 30.0, 31.0]),
        st.sampled_from([PartStat.NEEDS_ACTION, PartStat.DECLINED, PartStat.ACCEPTED]),
    ),
    min_size=2,
    max_size=8,
)
CLIENTS = {"a1": "A", "a2": "A", "b": "B", "c": None, "d": None}


@given(MEETINGS)
@settings(max_examples=60, deadline=None)
def test_a_group_is_one_clients(meetings: list[tuple[str, float, PartStat]]) -> None:
    """However findings for one person meet, a group holds one client's, or one account's without a client."""
    steps = [step("go", "reschedule", "7d before start"), step("tell", "notify", "7d before start")]
    rules = policy(
        rule("unconfirmed", *steps, name="unconfirmed", group_by="contact"),
        rule("declined", *steps, name="declined", group_by="contact"),
        rule("conflict", *steps, name="conflict"),
        first_sync="act",
    )
    subjects = [
        meeting(f"m{number}", starts=starts, account=name, people={"sam@shared.example": answer})
        for number, (name, starts, answer) in enumerate(meetings)
    ]
    seen = snapshot(
        *subjects, accounts={name: account(name, client=client) for name, client in CLIENTS.items()}
    )
    groups: dict[str, set[str]] = {}
    for one in evaluate(seen, rules, seen.accounts["b"].seen_at or at(0)).intents:
        if one.group:
            name = one.key.calendar.account
            groups.setdefault(one.group, set()).add(CLIENTS[name] or name)
    assert all(len(walls) == 1 for walls in groups.values())
