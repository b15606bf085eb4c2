"""HOSTILE 18–24 on the wire of every kind of calendar: what a server does wrong stays with its account."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support import fake_dav as dav_wire
from tests.support import faults
from tests.support.authority import certificates, trusted
from tests.support.fake_dav import FakeDav, fake_dav
from tests.support.fake_google.server import fake_google
from tests.support.fake_graph.server import fake_graph
from tests.support.house import event
from tests.support.measured_office import Play, Seen, play
from tests.support.meetings import NOW
from tests.support.outlook_account import SCOPES
from tests.support.wire import Answer, Request
from tests.trust.conftest import FULL, Trial
from tests.trust.test_bombs import CPU, KINDS, ME, MEMORY

LAUGHS = (
    b'<?xml version="1.0"?><!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd"><!ENTITY a "ha">'
    + b"".join(b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 20) for n in range(12))
    + b']><multistatus xmlns="DAV:">&m;&x;</multistatus>'
)
DEEP = b'{"items":' * 200_000
HTML = {"Content-Type": "text/html; charset=utf-8"}
DATE = {"Date": "Mon, 02 Mar 2026 09:00:00 GMT", "Retry-After": "Mon, 02 Mar 2026 09:02:00 GMT"}
MIB = 1024 if FULL else 32
"""What the gzip becomes; rebookd reads 16 of them at most."""


def _json(body: bytes) -> faults.Effect:
    return faults.answer(200, body, {"Content-Type": "application/json; charset=UTF-8"})


EFFECTS: dict[str, Callable[[], faults.Effect]] = {
    "18 entities within entities, or JSON within JSON": lambda: _json(DEEP),
    "19 a gzip of much": lambda: faults.gzip_bomb(MIB),
    "20 a body that trickles": lambda: faults.slow(0.02),
    "20 a body without end": faults.endless,
    "21 a redirect to another host": lambda: faults.redirect("https://elsewhere.example/"),
    "22 gone for ever": lambda: faults.answer(410),
    "23 slow down, in seconds": lambda: faults.answer(429, headers={"Retry-After": "120"}),
    "23 slow down, until a date": lambda: faults.answer(429, headers=DATE),
    "24 a page to sign in": faults.html,
}


@contextlib.contextmanager
def server(kind: str, guest: str, effect: faults.Effect | None, struck: Path) -> Iterator[dict[str, str]]:
    """An account with a meeting that is asked about in the third round; from the second on it goes wrong."""
    start = NOW + timedelta(days=7, hours=0.15)
    if kind == "caldav":
        with fake_dav() as dav:
            for number in range(3):
                who = guest if number == 0 else "al@acme.example"
                day = timedelta(days=20 * number)
                dav.put(f"{number}.ics", event(f"{guest}-{number}", start + day, {who: "NEEDS-ACTION"}))
            if effect is not None:
                dav.before = _on_dav(dav, effect, struck)
            yield {"kind": kind, "url": dav.url}
        return
    fake = fake_google(lambda: NOW) if kind == "google" else fake_graph(lambda: NOW)
    with trusted(), fake as service:  # type: ignore[attr-defined]
        user = service.user(ME, "Dana Reyes")
        waiting = {"google": "needsAction", "outlook": "notResponded"}[kind]
        for number in range(3):
            who = guest if number == 0 else "al@acme.example"
            begins = start + timedelta(days=20 * number)
            user.primary.event("Kickoff review", begins, begins + timedelta(minutes=30), {who: waiting})
        if effect is not None:
            service.fail("*", effect, times=None, when=lambda _: struck.exists())
        token = service.oauth.token(ME) if kind == "google" else service.grants.mint(ME, *SCOPES)
        yield {"kind": kind, "url": service.root, "token": token}


def _on_dav(
    dav: FakeDav, effect: faults.Effect, struck: Path
) -> Callable[[dav_wire.Request], dav_wire.Answer | None]:
    """The same effect for CalDAV, which speaks XML."""

    def before(asked: dav_wire.Request) -> dav_wire.Answer | None:
        if not struck.exists():
            return None
        request = Request(asked.method, asked.path, {}, asked.headers)
        if effect.refuse is not None:
            said = effect.refuse(request, NOW)
        else:
            assert effect.spoil is not None
            said = effect.spoil(request, Answer(207, b"<multistatus/>", {"Content-Type": "application/xml"}))
        assert isinstance(said, Answer)
        is_data = said.headers.get("Content-Type", "").startswith("application/")
        body = LAUGHS if said.body == DEEP else said.body
        kind = {"Content-Type": "application/xml"} if is_data else {}
        status = 207 if said.status == 200 and is_data else said.status
        return dav_wire.Answer(status, body, said.headers | kind, said.chunks)

    return before


def _played(folder: Path, kind: str, effects: list[str], seconds: float = 2) -> Seen:
    """Four rounds over an account for each effect and an honest one; ``seconds`` is for what trickles."""
    folder.mkdir()
    marks = folder / "marks"
    marks.mkdir()
    with contextlib.ExitStack() as stack:
        accounts: dict[str, Any] = {}
        for number, name in enumerate(effects):
            made = server(kind, f"blind{number}@acme.example", EFFECTS[name](), marks / "1")
            patience = {"seconds": str(seconds)} if "trickles" in name else {}
            accounts[f"bad{number}"] = stack.enter_context(made) | patience
        accounts["good"] = stack.enter_context(server(kind, "jo@acme.example", None, marks / "1"))
        certified = str(certificates()) if kind == "outlook" else ""
        what = Play(
            folder=str(folder / "home"),
            accounts=accounts,
            rounds=[0, 0.1, 0.1, 0.1],
            marks=str(marks),
            certificates=certified,
        )
        return play(what)


@pytest.mark.promise("P3", "servers that are bombs (HOSTILE 18–24), measured in a process of their own")
@pytest.mark.parametrize("kind", KINDS if FULL else KINDS[:1])
def test_what_a_server_does_wrong_stays_with_its_account(tmp_path: Path, trial: Trial, kind: str) -> None:
    """Each poll ends in time and takes little; nothing is removed, nobody mailed; the others carry on.

    Small, all of them go wrong at once. What trickles has less than the sixty seconds of a real request.
    """
    names = list(EFFECTS)
    plain = _played(tmp_path / "plain", kind, [])
    worst = (0.0, 0, 0.0)
    for number, together in enumerate([[one] for one in names] if trial.full else [names]):
        seconds = 5 if trial.full else 1.5
        seen = _played(tmp_path / str(number), kind, together, seconds)
        polls = 3 * len(together)
        took = (seen.cpu - plain.cpu) / polls, seen.peak - plain.peak
        assert took[0] <= CPU, f"{together} took {took[0]:.1f} s a poll"
        assert took[1] <= MEMORY, f"{together} took {took[1] // 1024} MiB"
        worst = max(worst[0], took[0]), max(worst[1], took[1]), max(worst[2], seen.slowest)
        asked = [mail["to"] for mail in seen.mails if mail["to"] != ME]
        assert asked == ["jo@acme.example"], f"{together}: {asked}"
        troubled = {account for _, account, _, _ in seen.troubles}
        assert troubled == {f"bad{place}" for place in range(len(together))}, seen.troubles
        assert seen.notices == ["unseen"] * len(together), f"{together}: {seen.notices}"
        assert [len(held) for held in seen.stored.values()] == [3] * (len(together) + 1)
    trial.saw(
        f"{len(names)} bombs on {kind}",
        f"nothing removed, no mail, owner told; at most {worst[0]:.1f} s CPU a poll, {worst[1] // 1024} MiB, "
        f"{worst[2]:.0f} s a round",
    )
