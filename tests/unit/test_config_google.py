"""Google accounts in the configuration, and mail through one of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from daemon.config.problems import ConfigProblems
from daemon.config.settings import load
from tests.support.files import RULES

CALDAV = "caldav: {url: dav.va.example, username: dana, password: {env: NONE}}"
GOOGLE = "google: {client_secret: {file: client_secret.json}}"
SMTP = "smtp: {host: mail.va.example}"
CONFIG = """\
version: 1
me: {{name: Dana Reyes, addresses: dana@va.example, time_zone: Europe/Lisbon}}
accounts: {{acme: {{{acme}}}, own: {{{caldav}}}}}
mail: {{from: dana@va.example, {mail}}}
"""


def written(folder: Path, acme: str, mail: str = SMTP) -> Path:
    """A configuration file with this account and this way for mail to leave."""
    (folder / "rules.yaml").write_text(RULES)
    path = folder / "config.yaml"
    path.write_text(CONFIG.format(acme=acme, mail=mail, caldav=CALDAV))
    return path


@pytest.mark.parametrize("mail", [SMTP, "account: acme"])
def test_an_account_may_be_googles_and_send_mail(tmp_path: Path, mail: str) -> None:
    """Without further words it asks Google itself, and Meet."""
    settings = load(written(tmp_path, GOOGLE, mail))
    google = settings.accounts["acme"].google
    assert google is not None
    assert google.endpoint == "https://www.googleapis.com"
    assert google.attendance


@pytest.mark.parametrize(
    ("acme", "mail", "said"),
    [
        (f"{GOOGLE}, {CALDAV}", SMTP, "an account is of one kind"),
        ("client: Acme", SMTP, "an account needs its calendars' server"),
        ("google: {}", SMTP, "needs a client_secret or a service_account"),
        ("google: {service_account: {file: k}}", SMTP, "a service account needs a subject"),
        (GOOGLE.replace("}}", "}, subject: a@b.example}"), SMTP, "a subject belongs to a service_account"),
        (
            "google: {client_secret: {file: c}, service_account: {file: k}, subject: a@b.example}",
            SMTP,
            "client_secret or service_account, not both",
        ),
        ("google: {client_secret: GOCSPX-hunter2}", SMTP, "a secret is never written in this file"),
        (GOOGLE.replace("}}", "}, endpoint: 'http://gw.example'}"), SMTP, "shows your calendar to everyone"),
        (GOOGLE.replace("}}", "}, endpoint: gw.example}"), SMTP, "a whole address is expected here"),
        (GOOGLE.replace("}}", "}, attendance: maybe}"), SMTP, "true or false"),
        (GOOGLE, f"account: acme, {SMTP}", "mail leaves one way: smtp or account"),
        (GOOGLE, "imap: {host: h, username: d, password: {env: N}}", "mail needs a way to leave"),
        (
            GOOGLE,
            "account: acme, imap: {host: h, username: d, password: {env: N}}",
            "imap goes with smtp, not with account",
        ),
        (GOOGLE, "account: own", "own is no Google or Outlook account"),
        (GOOGLE, "account: acne", "did you mean 'acme'?"),
    ],
)
def test_what_does_not_fit_together_is_told(tmp_path: Path, acme: str, mail: str, said: str) -> None:
    """In one sentence, with its place and without any secret."""
    with pytest.raises(ConfigProblems) as told:
        load(written(tmp_path, acme, mail))
    assert said in str(told.value)
    assert "hunter2" not in str(told.value)


def test_an_endpoint_on_this_machine_may_be_plain(tmp_path: Path) -> None:
    """Nobody is on the way."""
    load(written(tmp_path, GOOGLE.replace("}}", "}, endpoint: 'http://127.0.0.1:8000'}")))


def test_files_that_everybody_may_read_are_cautioned_about(tmp_path: Path) -> None:
    """The console's file is a secret, too."""
    settings = load(written(tmp_path, GOOGLE, "account: acme"))
    (tmp_path / "client_secret.json").write_text("{}")
    (tmp_path / "client_secret.json").chmod(0o644)
    assert [each for each in settings.cautions() if "client_secret.json" in each]


def test_without_a_google_account_its_libraries_stay_away(tmp_path: Path) -> None:
    """Checking and looking at CalDAV alone costs neither their time nor their memory."""
    path = written(tmp_path, CALDAV)
    program = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from daemon.__main__ import main\n"
        "from daemon import wiring\n"
        "from daemon.config.settings import load\n"
        f"done = CliRunner().invoke(main, ['--config', {str(path)!r}, 'check'])\n"
        f"CliRunner().invoke(main, ['--config', {str(path)!r}, 'status'])\n"
        "assert done.exit_code == 0, done.output\n"
        f"wiring.mailer(load(__import__('pathlib').Path({str(path)!r})))\n"
        "found = {name.partition('.')[0] for name in sys.modules}\n"
        "print(found & {'google', 'googleapiclient', 'cryptography', 'httplib2'})\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "set()", done.stdout + done.stderr
