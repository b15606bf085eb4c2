"""``silence`` and ``optout``, as their user types them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from daemon.__main__ import main
from daemon.store import agenda, deliveries, open_store, optouts, silences
from rules.delivery import State
from tests.support import files
from tests.support.meetings import BO, JO, ME, meeting
from tests.support.stores import intent, put, resource

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run a command on a configuration in ``tmp_path``."""
    path = files.write(tmp_path)

    def ran(*words: str) -> Result:
        return CliRunner().invoke(main, ["--config", str(path), *words])

    return ran


def printed(result: Result) -> Any:
    """What a command printed as JSON."""
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_silence_from_beginning_to_end(run: Run, tmp_path: Path) -> None:
    """It is added, listed and ended; every meeting is judged anew both times."""
    store = open_store(tmp_path / "state.db", datetime.now(UTC))
    ahead = datetime.now(UTC) + timedelta(days=1)
    one = meeting("a")
    put(store, resource(meeting("a", start=ahead, end=ahead + timedelta(hours=1))), full=True)
    for words in (("add", "--match", "client=Acme", "--for", "3d", "--comment", "fair"), ("expire", "1")):
        with store.write() as conn:
            agenda.set_wake(conn, {one.key: None})
        result = run("silence", *words)
        assert result.exit_code == 0, result.output
        with store.read() as conn:
            assert agenda.next_wake(conn) is not None
        assert len(printed(run("silence", "list", "--json"))) == (1 if words[0] == "add" else 0)
    store.close()
    (past,) = printed(run("silence", "list", "--all", "--json"))
    assert (past["id"], past["match"], past["comment"]) == (1, {"client": "Acme"}, "fair")
    assert past["active"] is False
    assert "(over)" in run("silence", "list", "--all").output


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (["client=Acme"], {"client": "Acme"}),
        (["title=it's: 50% {done}"], {"title": "it's: 50% {done}"}),
        (["attendee=*@acme.example", "organizer=me"], {"attendee": "*@acme.example", "organizer": "me"}),
        (["recurring=true", "attendees=2"], {"recurring": True, "attendees": 2}),
        (["rule=[confirm-*, clash]"], {"rule": ["confirm-*", "clash"]}),
        (["duration={at_least: 1h}"], {"duration": {"at_least": "1h"}}),
        (["{client: Acme, organizer: me}"], {"client": "Acme", "organizer": "me"}),
        (["client=Acme", "client=A*"], {"client": "Acme", "all": [{"client": "A*"}]}),
        (
            ["{all: [{title: x}]}", "title=y", "title=z"],
            {"title": "y", "all": [{"title": "x"}, {"title": "z"}]},
        ),
    ],
)
def test_what_a_match_may_say(run: Run, given: list[str], kept: dict[str, Any]) -> None:
    """One key as text, or a mapping; given twice, both must fit."""
    options = [word for one in given for word in ("--match", one)]
    result = run("silence", "add", *options, "--for", "12h")
    assert result.exit_code == 0, result.output
    (one,) = printed(run("silence", "list", "--json"))
    assert one["match"] == kept


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--match", "clent=Acme", "--for", "3d"], "did you mean 'client'?"),
        (["--match", "{client: Acme, organizr: me}", "--for", "3d"], "did you mean 'organizer'?"),
        (["--match", "{client: [Acme", "--for", "3d"], "check the brackets"),
        (["--match", "client", "--for", "3d"], "write it like client=Acme"),
        (["--match", "client=", "--for", "3d"], "write it like client=Acme"),
        (["--match", "{}", "--for", "3d"], "ask rule=*"),
        (["--match", "recurring=often", "--for", "3d"], "true or false"),
        (["--match", "rule=a", "--match", "rule=b", "--for", "3d"], "rule=[one, two]"),
        (["--match", "client=Acme", "--for", "3"], "write a unit, such as 48h"),
        (["--match", "client=Acme", "--for", "0h"], "such as 12h, 3d"),
        (["--match", "client=Acme", "--for", "5 business days"], "such as 12h, 3d"),
        (["--match", "client=Acme"], "Missing option '--for'"),
        (["--for", "3d"], "Missing option '--match'"),
    ],
)
def test_what_a_match_may_not_say(run: Run, options: list[str], says: str) -> None:
    """Each mistake is told in plain words with what to do; nothing is kept."""
    result = run("silence", "add", *options)
    assert result.exit_code == 2
    assert says in result.output
    assert "Traceback" not in result.output
    assert printed(run("silence", "list", "--all", "--json")) == []


def test_a_silence_that_fits_nothing_is_pointed_out(run: Run) -> None:
    """A misspelt rule or account is kept, since the rules may change, and said."""
    result = run("silence", "add", "--match", "{rule: confrm, account: acme}", "--for", "1h")
    assert result.exit_code == 0
    assert "no rule fits 'confrm'; there are confirm-acme, no-show" in result.stderr
    assert "no account" not in result.stderr


def test_ending_what_is_not_there(run: Run) -> None:
    """An id too many ends nothing at all."""
    assert "nothing has been read yet" in run("silence", "expire", "1").output
    run("silence", "add", "--match", "client=Acme", "--for", "1h")
    result = run("silence", "expire", "1", "2")
    assert result.exit_code == 1
    assert "no silence 2 holds" in result.output
    assert len(printed(run("silence", "list", "--json"))) == 1


def test_an_opt_out_ends_what_waits(run: Run, tmp_path: Path) -> None:
    """Waiting, held and claimed messages to them end; others', and what the owner is told, stay."""
    now = datetime.now(UTC)
    later = {"due": now, "until": now + timedelta(days=1)}
    store = open_store(tmp_path / "state.db", now)
    with store.write() as conn:
        deliveries.add(conn, [intent("a", **later), intent("b", hold="x", **later)], now)
        deliveries.add(conn, [intent("c", to=BO, **later), intent("d", to=ME, do="notify", **later)], now)
        (claimed,) = deliveries.add(conn, [intent("e", **later)], now)
        deliveries.claim(conn, claimed, "somebody", now, timedelta(minutes=5))
    store.close()
    result = run("optout", "add", "MAILTO:Jo@acme.example", "*@VA.example", "--comment", "asked")
    assert result.exit_code == 0, result.output
    assert "3 waiting messages will not be sent" in result.output
    store = open_store(tmp_path / "state.db", now)
    with store.read() as conn:
        found = {one.key.uid: (one.state, one.error) for one in deliveries.list_(conn) if one.key}
        assert [one.pattern for one in optouts.list_(conn)] == ["*@va.example", "jo@acme.example"]
        assert silences.list_(conn) == []
    store.close()
    ended = (State.SUPPRESSED, "they asked not to be written to")
    waiting = (State.PENDING, "")
    assert found == {"a": ended, "b": ended, "c": waiting, "d": waiting, "e": ended}


def test_the_opt_out_list(run: Run) -> None:
    """Addresses are added once, listed and removed as they stand there."""
    assert "Nobody has opted out" in run("optout", "list").output
    assert "is not written to any more" in run("optout", "add", JO).output
    assert "was on the list already" in run("optout", "add", JO.upper()).output
    (one,) = printed(run("optout", "list", "--json"))
    assert (one["address"], one["comment"]) == (JO, "")
    assert JO in run("optout", "list").output
    result = run("optout", "remove", JO, BO)
    assert result.exit_code == 1
    assert f"{BO} is not in the list; nothing was removed" in result.output
    assert "may be written to again" in run("optout", "remove", JO).output
    assert printed(run("optout", "list", "--json")) == []


@pytest.mark.parametrize("word", ["jo", "@acme.example", "jo@", "jo @acme.example", " ", "x" * 300])
def test_what_is_no_address(run: Run, word: str) -> None:
    """A word that can be nobody's address is refused."""
    result = run("optout", "add", word)
    assert result.exit_code == 2
    assert printed(run("optout", "list", "--json")) == []
