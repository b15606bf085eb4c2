"""Somebody at a terminal beside a browser, who signs in to a Google on the wire."""

from __future__ import annotations

import io
import json
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from daemon.__main__ import main
from tests.support.fake_dav import fake_dav
from tests.support.fake_google import FakeGoogle, fake_google
from tests.support.files import RULES

DANA = "dana@acme.example"
CONFIG = """\
version: 1
me: {{name: Dana Reyes, addresses: [dana@va.example], time_zone: Europe/Lisbon}}
accounts:
  acme: {{google: {{{way}, endpoint: "{root}"}}}}
  own: {{caldav: {{url: "{dav}", username: dana, password: {{env: HUNTER}}}}}}
mail: {{from: {sender}, account: acme}}
"""

_ADDRESS = re.compile(r"^http\S+/auth\?\S+", re.MULTILINE)


class Screen(io.StringIO):
    """What is printed; an address to sign in at is opened in the browser of this machine, if there is one."""

    def __init__(self, *, browser: bool) -> None:
        super().__init__()
        self._browser = browser
        self.address = ""

    def write(self, text: str) -> int:
        """Show it."""
        if found := _ADDRESS.search(text):
            self.address = found[0]
            if self._browser:
                threading.Thread(target=requests.get, args=(self.address,), kwargs={"timeout": 10}).start()
        return super().write(text)


class Keyboard(io.StringIO):
    """Somebody who pastes the address that a browser elsewhere ended at."""

    def __init__(self, screen: Screen) -> None:
        super().__init__()
        self._screen = screen

    def readline(self, size: int | None = -1, /) -> str:
        """The next line."""
        answer = requests.get(self._screen.address, allow_redirects=False, timeout=10)
        return answer.headers["Location"] + "\n"


@dataclass
class Desk:
    """A folder with a configuration: acme at Google, which sends mail, and own on CalDAV."""

    folder: Path
    google: FakeGoogle
    dav: str

    def configure(self, way: str = "client_secret: {file: client_secret.json}", sender: str = DANA) -> None:
        """Write it."""
        text = CONFIG.format(way=way, root=self.google.root, dav=self.dav, sender=sender)
        (self.folder / "config.yaml").write_text(text)

    def rule(self, when: str, do: str, at: str, mode: str = "auto") -> None:
        """Have one rule alone."""
        step = f"{{step: s, do: {do}, at: {at}}}"
        rule = f"{{name: a, mode: {mode}, when: {when}, then: [{step}]}}"
        (self.folder / "rules.yaml").write_text(f"version: 1\nrules:\n  - {rule}\n")

    def run(self, *words: str, elsewhere: bool = False) -> tuple[int, str]:
        """One command: its exit code and everything it printed. The browser may be on another machine."""
        screen = Screen(browser=not elsewhere)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "stdout", screen)
            patch.setattr(sys, "stderr", screen)
            patch.setattr(sys, "stdin", Keyboard(screen) if elsewhere else io.StringIO())
            try:
                main.main(["--config", str(self.folder), *words], prog_name="rebookd")
            except SystemExit as done:
                return int(done.code or 0), screen.getvalue()
        raise AssertionError("a command ends with its exit code")


@contextmanager
def desk(folder: Path) -> Iterator[Desk]:
    """Dana's desk in a folder; nobody has signed in yet."""
    with fake_google() as google, fake_dav() as dav, pytest.MonkeyPatch.context() as patch:
        patch.setenv("HUNTER", "hunter2")
        patch.delenv("CREDENTIALS_DIRECTORY", raising=False)
        google.user(DANA)
        (folder / "rules.yaml").write_text(RULES)
        (folder / "client_secret.json").write_text(json.dumps(google.oauth.client_secret()))
        made = Desk(folder, google, dav.url)
        made.configure()
        yield made
