"""Somebody at a terminal beside a browser, who signs in to Outlook."""

from __future__ import annotations

import io
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pytest

from daemon.__main__ import main
from tests.support.authority import trusted
from tests.support.fake_entra.browser import ended_at, follow
from tests.support.fake_entra.server import fake_entra
from tests.support.fake_entra.world import App, FakeEntra
from tests.support.fake_graph.server import fake_graph
from tests.support.fake_graph.world import FakeGraph
from tests.support.files import RULES

DANA = "dana@initech.example"
CONFIG = """\
version: 1
me: {{name: Dana Reyes, addresses: [dana@va.example], time_zone: Europe/Lisbon}}
accounts:
  acme:
    outlook: {{client_id: {client_id}, authority: "{authority}", endpoint: "{endpoint}", {more}}}
mail: {{from: {sender}, account: acme}}
"""
_ADDRESS = re.compile(r"^https://\S+/authorize\?\S+", re.MULTILINE)
_CODE = re.compile(r"^[A-Z]{9}$", re.MULTILINE)


class Screen(io.StringIO):
    """What is printed, with somebody who does what it says: opens addresses, enters codes."""

    def __init__(self, desk: OutlookDesk, *, browser: bool) -> None:
        super().__init__()
        self._desk = desk
        self._browser = browser
        self.address = ""

    def write(self, text: str) -> int:
        """Show it."""
        if found := _ADDRESS.search(text):
            self.address = found[0]
            self._desk.opened.append(found[0])
            self._desk.before(len(self._desk.opened))
            if self._browser:
                threading.Thread(target=follow, args=(self.address,)).start()
        elif found := _CODE.search(text):
            self._desk.opened.append(found[0])
            self._desk.before(len(self._desk.opened))
            self._desk.entra.enter(found[0])
        return super().write(text)


class Keyboard(io.StringIO):
    """Somebody who pastes the address that a browser elsewhere ended at."""

    def __init__(self, screen: Screen) -> None:
        super().__init__()
        self._screen = screen

    def readline(self, size: int | None = -1, /) -> str:
        """The next line."""
        return ended_at(self._screen.address) + "\n"


@dataclass
class OutlookDesk:
    """A folder with a configuration: acme at Microsoft, which sends mail.

    ``opened`` are the addresses and codes of one command; ``before`` is told how many there were before
    anybody follows one.
    """

    folder: Path
    entra: FakeEntra
    graph: FakeGraph
    app: App
    opened: list[str] = field(default_factory=list)

    def before(self, count: int) -> None:
        """Nothing happens, unless a test says so."""

    def configure(self, more: str = "tenant: common", sender: str = DANA) -> None:
        """Write it."""
        text = CONFIG.format(
            client_id=self.app.client_id,
            authority=self.entra.authority,
            endpoint=self.graph.root,
            more=more,
            sender=sender,
        )
        (self.folder / "config.yaml").write_text(text)

    def rule(self, when: str, do: str, at: str, mode: str = "auto") -> None:
        """Have one rule alone."""
        step = f"{{step: s, do: {do}, at: {at}}}"
        rule = f"{{name: a, mode: {mode}, when: {when}, then: [{step}]}}"
        (self.folder / "rules.yaml").write_text(f"version: 1\nrules:\n  - {rule}\n")

    def run(self, *words: str, elsewhere: bool = False) -> tuple[int, str]:
        """One command: its exit code and everything it printed. The browser may be on another machine."""
        self.opened.clear()
        for address, user in self.entra.users.items():
            if self.graph.user_of(address) is None:
                self.graph.user(address, personal=user.personal)
        screen = Screen(self, browser=not elsewhere)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "stdout", screen)
            patch.setattr(sys, "stderr", screen)
            patch.setattr(sys, "stdin", Keyboard(screen) if elsewhere else io.StringIO())
            patch.setattr(time, "sleep", lambda seconds: None)
            try:
                main.main(["--config", str(self.folder), *words], prog_name="rebookd")
            except SystemExit as done:
                return int(done.code or 0), screen.getvalue()
        raise AssertionError("a command ends with its exit code")


@contextmanager
def outlook_desk(folder: Path, now: Callable[[], datetime] | None = None) -> Iterator[OutlookDesk]:
    """Dana's desk in a folder; nobody has signed in yet. ``now`` is the clock of her mailbox's server."""
    with (
        trusted(),
        fake_entra() as entra,
        fake_graph(now, grants=entra.grants) as graph,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.delenv("CREDENTIALS_DIRECTORY", raising=False)
        entra.user(DANA)
        (folder / "rules.yaml").write_text(RULES)
        made = OutlookDesk(folder, entra, graph, entra.app())
        made.configure()
        yield made
