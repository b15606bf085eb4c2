"""``rebookd check --online``: every server the configuration names is reached, and said to be or not."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from daemon.__main__ import main
from daemon.exits import SIGN_IN_NEEDED
from tests.support.fake_dav import fake_dav
from tests.support.fake_imap import FakeImap
from tests.support.fake_smtp import FakeSmtp
from tests.support.files import RULES

CONFIG = """\
version: 1
me: {{name: Dana Reyes, addresses: dana@va.example, time_zone: Europe/Lisbon}}
accounts:
  acme: {{caldav: {{url: "{dav}", username: dana, password: {{env: HUNTER}}}}}}
  own: {{caldav: {{url: "{dav}", username: dana, password: {{env: HUNTER}}}}}}
mail:
  from: dana@va.example
  smtp: {{host: 127.0.0.1, port: {smtp}, security: none}}
  imap: {{host: 127.0.0.1, port: {imap}, security: none, username: dana, password: {{env: {secret}}}}}
"""


def checked(folder: Path, secret: str, monkeypatch: pytest.MonkeyPatch) -> Result:
    """What the command says of three servers, the mailbox asked with the secret of that name."""
    monkeypatch.setenv("HUNTER", "hunter2")
    monkeypatch.setenv("WRONG", "s3cret")
    (folder / "rules.yaml").write_text(RULES)
    with fake_dav() as dav, FakeSmtp() as smtp, FakeImap() as imap:
        config = CONFIG.format(dav=dav.url, smtp=smtp.port, imap=imap.port, secret=secret)
        (folder / "config.yaml").write_text(config)
        return CliRunner().invoke(main, ["--config", str(folder), "check", "--online"])


def test_the_mailbox_for_drafts_is_reached_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each server gets its own line."""
    result = checked(tmp_path, "HUNTER", monkeypatch)
    assert result.exit_code == 0, result.output
    assert "✓ mail: 127.0.0.1 takes mail from dana@va.example" in result.output
    assert "✓ mail.imap: 127.0.0.1 takes drafts of dana" in result.output
    assert "✓ replies: INBOX on 127.0.0.1 can be read" in result.output


@pytest.mark.parametrize("secret", ["WRONG", "MISSING"])
def test_a_mailbox_that_lets_nobody_in_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    """A password that is wrong or not there asks for a sign-in, without repeating it."""
    result = checked(tmp_path, secret, monkeypatch)
    assert result.exit_code == SIGN_IN_NEEDED, result.output
    assert "✗ mail.imap: " in result.output
    assert "s3cret" not in result.output
