"""A mistake in the owner's files changes nothing, ends nothing, and is named by its line and column."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest
from click.testing import CliRunner

from daemon.__main__ import main
from tests.support import prefork
from tests.support.house import House, house
from tests.support.mutations import CONFIG, RULES, Mutation, mutations, put_right
from tests.trust.conftest import Trial

COUNT = 200
PATIENCE = 60.0


def _texts(url: str, user: str, port: str) -> dict[str, str]:
    config = CONFIG.replace("@URL@", url).replace("@USER@", user).replace("@PORT@", port)
    return {"config.yaml": config, "rules.yaml": RULES.replace("@DAYS@", "7")}


class _HangsError(BaseException):
    """Raised past everything that would make a plain error of it."""


@contextlib.contextmanager
def _no_hanging() -> Iterator[None]:
    def ring(*_: object) -> None:
        raise _HangsError

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(int(PATIENCE))
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _checked(folder: Path) -> list[str]:
    """What ``rebookd check --json`` finds, as ``file:line:column``."""
    with _no_hanging():
        done = CliRunner().invoke(main, ["--config", str(folder / "config.yaml"), "check", "--json"])
    said = json.loads(done.stdout)
    assert (done.exit_code == 3) is bool(said["errors"]), done.output
    return [f"{Path(one['file']).name}:{one['line']}:{one['column']}" for one in said["errors"]]


def _is_named(mutation: Mutation, places: list[str]) -> bool:
    return mutation.place is None or any(place.startswith(mutation.place) for place in places)


@pytest.mark.promise("P2, P8", "mistakes in the files, under rebookd check")
def test_the_check_names_every_mistake(tmp_path: Path, trial: Trial) -> None:
    """Each of 200 mistakes is found at its line and column, whatever kind it is; nothing hangs or raises."""
    texts = _texts("https://dav.va.example/", "dana", "2525")
    made = mutations(texts, COUNT)
    fine = 0
    for mutation in made:
        put_right(tmp_path, texts)
        mutation.apply(tmp_path)
        places = _checked(tmp_path)
        assert _is_named(mutation, places), (mutation, places)
        fine += not places
    put_right(tmp_path, texts)
    assert _checked(tmp_path) == []
    assert fine < COUNT / 20, "hardly any of them may be right by chance"
    exact = sum(one.place is not None for one in made)
    trial.saw(
        f"{len(made)} files", f"{exact} with a plain place, each named there; {fine} were right after all"
    )


class _Life:
    """A running daemon, and what it logged since somebody last looked."""

    def __init__(self, place: House) -> None:
        self.log = place.folder / "daemon.log"
        self.log.touch()
        self._read = 0
        self.process: ForkServerProcess = prefork.start(
            "daemon", place.command("run")[1:], environment=place.environment(), stderr=str(self.log)
        )
        assert self.waits(lambda: '"running"' in self.log.read_text())
        self.news()

    def waits(self, ready: Callable[[], bool]) -> bool:
        """Wait for something while it lives."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self.process.is_alive():
            if ready():
                return True
            time.sleep(0.01)
        return False

    def news(self) -> str:
        """What was logged since."""
        text = self.log.read_text()
        new, self._read = text[self._read :], len(text)
        return new

    def hangs_up(self, expected: Sequence[str] = ()) -> str:
        """Send SIGHUP; what it logs until it took the files, or named every place ``expected``.

        The last lines about the files before may come as late as now.
        """
        assert self.process.pid is not None
        self.news()
        said = ""

        def is_done() -> bool:
            nonlocal said
            said += self.news()
            named = bool(expected) and all(f"{where}: error" in said for where in expected)
            return "configuration reloaded" in said or named

        signal_to(self.process, signal.SIGHUP)
        assert self.waits(is_done), f"it died, or sleeps: {said}"
        return said + self.news()


def signal_to(process: ForkServerProcess, number: int) -> None:
    """Send a signal to our own process."""
    assert process.pid is not None
    os.kill(process.pid, number)


def _still_asks(place: House, life: _Life, number: int) -> None:
    """A meeting six and a half days ahead is asked about, as only the right rules say."""
    place.put(f"probe-{number}", 6.5 * 24, to=f"probe{number}@acme.example")
    asked = f"probe{number}@acme.example"
    assert life.waits(lambda: any(asked in one["recipients"] for one in place.taken()))


@pytest.mark.promise("P2, P8", "mistakes in the files, SIGHUP after each")
def test_no_mistake_ends_the_daemon_or_changes_it(tmp_path: Path, trial: Trial) -> None:
    """Each is refused with its place in the log, and the rules before it go on; what is right is taken."""
    with house(tmp_path, poll_every="1s") as place:
        lines = (place.folder / "config.yaml").read_text()
        port = lines.partition("port: ")[2].partition(",")[0]
        texts = _texts(place.dav.url, place.dav.user, port)
        put_right(place.folder, texts)
        made = mutations(texts, COUNT)
        chosen = made if trial.full else made[::29]
        taken = 0
        life = _Life(place)
        for number, mutation in enumerate(chosen, 1):
            mutation.apply(place.folder)
            expected = _checked(place.folder)
            said = life.hangs_up(expected)
            assert ("configuration reloaded" in said) is (not expected), (mutation, said)
            for where in expected:
                assert f"{where}: error" in said, (mutation, said)
            assert _is_named(mutation, expected)
            if not expected:
                taken += 1
                put_right(place.folder, texts)
                assert "configuration reloaded" in life.hangs_up()
            if number % 40 == 0 or number == len(chosen):
                _still_asks(place, life, number)
            put_right(place.folder, texts)
        assert "Traceback" not in life.log.read_text()
        signal_to(life.process, signal.SIGTERM)
        life.process.join(20)
        assert life.process.exitcode == 0
    trial.saw(f"{len(chosen)} files", f"0 exits, 0 changes, {len(chosen) - taken} refused by line and column")
