"""HOSTILE 1–17 and more on the wire of every calendar: one event takes little, and its neighbours live."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from daemon.notices import SEVERAL
from tests.support import bombs
from tests.support.authority import certificates, trusted
from tests.support.fake_dav import fake_dav
from tests.support.fake_google.server import fake_google
from tests.support.fake_graph.server import fake_graph
from tests.support.faults import Effect
from tests.support.house import event
from tests.support.measured_office import Play, Seen, play
from tests.support.meetings import NOW
from tests.support.outlook_account import SCOPES
from tests.support.wire import Answer, Request
from tests.trust.conftest import Trial

ME = "dana@va.example"
KINDS = ("caldav", "google", "outlook")
NUMBERS = {
    "caldav": [*range(1, 18), *bombs.TOO_LONG],
    "google": [*range(1, 18), *bombs.TOO_LONG[:4]],
    "outlook": [1, *range(5, 18), *bombs.TOO_LONG[:4]],
}
"""Microsoft Graph follows rules itself and sends what comes of them: one bomb stands for all of these."""

CPU = 2.0
"""Seconds of the processor that one resource may take."""

TOLD = {1, 2, 3, 6, 7, 8, 9, *bombs.TOO_LONG} - {bombs.LONG_TITLE, bombs.LABELS}
"""Of which the owner is told; the others are held and explained, or sound. Microsoft Graph knows no floating
time, so that one (12) cannot be read there."""

MEMORY = 256 * 1024
"""KiB that it may take."""

HONEST = [f"jo{number}@acme.example" for number in range(3)]


@contextlib.contextmanager
def server(kind: str, numbers: Sequence[int]) -> Iterator[dict[str, str]]:
    """An account of that kind with three honest meetings and these bombs among them."""
    starts = [NOW + timedelta(days=2, hours=hour) for hour in range(3)]
    if kind == "caldav":
        with fake_dav() as dav:
            for number, (start, guest) in enumerate(zip(starts, HONEST, strict=True)):
                dav.put(f"{number}.ics", event(f"honest-{number}", start, {guest: "NEEDS-ACTION"}))
            for number in numbers:
                dav.put(f"hostile-{number}.ics", bombs.ics(number))
            yield {"kind": kind, "url": dav.url}
        return
    fake = fake_google(lambda: NOW) if kind == "google" else fake_graph(lambda: NOW)
    with trusted(), fake as service:  # type: ignore[attr-defined]
        user = service.user(ME, "Dana Reyes")
        waiting = {"google": "needsAction", "outlook": "notResponded"}[kind]
        for start, guest in zip(starts, HONEST, strict=True):
            user.primary.event("Kickoff review", start, start + timedelta(minutes=30), {guest: waiting})
        route = {"google": "calendar.events.list", "outlook": "calendarView.delta"}[kind]
        service.fail(route, Effect(spoil=_adding(kind, numbers)), times=None)
        token = service.oauth.token(ME) if kind == "google" else service.grants.mint(ME, *SCOPES)
        yield {"kind": kind, "url": service.root, "token": token}


def _adding(kind: str, numbers: Sequence[int]) -> Any:
    """The bombs beside what a list would say."""
    held = {"google": "items", "outlook": "value"}[kind]

    def spoil(_request: Request, whole: Answer) -> Answer:
        page = json.loads(whole.body)
        if page.get(held):
            good = page[held][0]
            for number in numbers:
                page[held] += [bombs.google(number, good)] if kind == "google" else bombs.graph(number, good)
        return Answer(whole.status, json.dumps(page).encode(), whole.headers)

    return spoil


def _played(folder: Path, kind: str, numbers: Sequence[int]) -> Seen:
    """A first round on a calendar with these bombs, beside an account without."""
    with server(kind, numbers) as bad, server(kind, []) as good:
        certified = str(certificates()) if kind == "outlook" else ""
        accounts = {"bad": bad, "good": good}
        return play(Play(folder=str(folder), accounts=accounts, rounds=[0], certificates=certified))


def _people(seen: Seen) -> list[str]:
    """Who was written to, but for the owner."""
    return sorted(mail["to"] for mail in seen.mails if mail["to"] != ME)


@pytest.mark.promise("P3, P9", "events that are bombs (HOSTILE 1–17, and 7 more), measured one by one")
@pytest.mark.parametrize("kind", KINDS)
def test_no_event_hurts_its_neighbours(tmp_path: Path, trial: Trial, kind: str) -> None:
    """Each takes at most 2 s of the processor and 256 MiB more than a plain poll; the honest are asked.

    Nobody is written to because of what cannot be followed, and the owner is told of it. Small, those that
    are sound meetings share one calendar and one such bound; so do the others, and so does what is too long.
    """
    plain = _played(tmp_path / "plain", kind, [])
    assert _people(plain) == sorted(HONEST), "a meeting that lies in both accounts is asked about once"
    usual = {tuple(mail["headers"]) for mail in plain.mails}
    worst = (0.0, 0)
    every, long = set(NUMBERS[kind]), set(bombs.TOO_LONG)
    groups = (every & bombs.SOUND, every - bombs.SOUND - long, (every & long) - bombs.SOUND)
    small = [sorted(group) for group in groups]
    for numbers in [[one] for one in NUMBERS[kind]] if trial.full else small:
        seen = _played(tmp_path / f"bombs-{numbers[0]}", kind, numbers)
        took = seen.cpu - plain.cpu, seen.peak - plain.peak
        assert took[0] <= CPU, f"{numbers} took {took[0]:.1f} s"
        assert took[1] <= MEMORY, f"{numbers} took {took[1] // 1024} MiB"
        worst = max(worst[0], took[0]), max(worst[1], took[1])
        asked = _people(seen)
        assert set(HONEST) <= set(asked), f"{numbers} kept honest meetings from being asked about"
        assert set(asked) <= {*HONEST, bombs.MALLORY}, f"{numbers} had strangers written to"
        assert asked.count(bombs.MALLORY) <= len(bombs.SOUND & set(numbers)), f"{numbers} caused mail"
        theirs = {tuple(mail["headers"]) for mail in seen.mails if mail["to"] != ME}
        assert theirs <= usual, "a title became a header"
        assert not seen.troubles
        assert len(seen.stored["good"]) == len(HONEST)
        told = (TOLD | {12} if kind == "outlook" else TOLD) & set(numbers)
        alone = len(told) <= SEVERAL
        subjects = ["An event"] * len(told) if alone else [f"{len(told)} events"]
        mine = [mail["subject"].partition(" in ")[0] for mail in seen.mails if mail["to"] == ME]
        assert mine == subjects, f"{numbers}: {seen.notices}"
    trial.saw(
        f"{len(NUMBERS[kind])} bombs on {kind}",
        f"neighbours asked, no mail; at most {worst[0]:.1f} s and {worst[1] // 1024} MiB beyond a plain poll",
    )
