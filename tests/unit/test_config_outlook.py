"""Outlook accounts in the configuration, and mail through one of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from daemon.config.problems import ConfigProblems
from daemon.config.settings import load
from tests.support.files import RULES

ID = "11111111-2222-3333-4444-555555555555"
CALDAV = "caldav: {url: dav.va.example, username: dana, password: {env: NONE}}"
SMTP = "smtp: {host: mail.va.example}"
CONFIG = """\
version: 1
me: {{name: Dana Reyes, addresses: dana@va.example, time_zone: Europe/Lisbon}}
accounts:
  acme:
    {account}
  own: {{{caldav}}}
mail:
  from: dana@va.example
  {mail}
"""
APP = "client_secret: {env: S}, user: dana@initech.example, tenant: initech.example"


def outlook(*more: str) -> str:
    """An Outlook account with these keys beside its client_id."""
    return f"outlook: {{{', '.join((f'client_id: {ID}', *more))}}}"


def written(folder: Path, account: str, mail: str = SMTP) -> Path:
    """A configuration file with this account and this way for mail to leave."""
    (folder / "rules.yaml").write_text(RULES)
    path = folder / "config.yaml"
    path.write_text(CONFIG.format(account=account, mail=mail, caldav=CALDAV))
    return path


@pytest.mark.parametrize("mail", [SMTP, "account: acme"])
def test_an_account_may_be_outlooks_and_send_mail(tmp_path: Path, mail: str) -> None:
    """Without further words anybody may sign in, at Microsoft's own addresses, and Teams is asked."""
    found = load(written(tmp_path, outlook(), mail)).accounts["acme"].outlook
    assert found is not None
    assert (found.client_id, found.tenant) == (ID, "common")
    assert found.authority == "https://login.microsoftonline.com"
    assert found.endpoint == "https://graph.microsoft.com/v1.0"
    assert found.attendance
    assert not found.app_only


@pytest.mark.parametrize(
    "way",
    [
        APP,
        "certificate: {file: app.pem}, user: dana@initech.example, tenant: initech.example",
        "client_secret: {env: S}, user: dana@initech.example, tenant: 11111111-2222-3333-4444-55555555555A",
    ],
)
def test_an_app_may_sign_in_for_itself(tmp_path: Path, way: str) -> None:
    """With a secret or a certificate, the mailbox, and its tenant's domain or id."""
    found = load(written(tmp_path, outlook(way))).accounts["acme"].outlook
    assert found is not None
    assert found.app_only
    assert str(found.user) == "dana@initech.example"


@pytest.mark.parametrize(
    "keys",
    [
        "tenant: Consumers",
        "tenant: organizations",
        "authority: https://login.microsoftonline.us/, endpoint: https://graph.microsoft.us/v1.0",
        "endpoint: 'http://127.0.0.1:8000/v1.0'",
        "authority: 'https://localhost:8443', endpoint: 'https://localhost:8444/v1.0'",
        "attendance: false",
    ],
)
def test_what_else_may_stand_there(tmp_path: Path, keys: str) -> None:
    """Other tenants, national clouds, a gateway on this machine, and no question to Teams."""
    load(written(tmp_path, outlook(keys)))


@pytest.mark.parametrize(
    ("account", "where", "said", "cure"),
    [
        (
            f"outlook: {{client_id: {ID}}}\n    {CALDAV}",
            "5:5",
            "an account is of one kind: caldav, google or outlook",
            "take one out",
        ),
        (
            f"google: {{client_secret: {{file: c}}}}\n    outlook: {{client_id: {ID}}}",
            "6:5",
            "an account is of one kind",
            "take one out",
        ),
        ("client: Initech", "5:5", "needs its calendars' server", "add caldav:, google: or outlook:"),
        ("outlook: {}", "5:5", "'client_id' is missing", "write it like client_id: 00000000-"),
        ("outlook: {client_id: rebookd}", "5:26", "a client_id is expected here, not 'rebookd'", "copy the"),
        ("outlook: {client_id: 12}", "5:26", "a client_id is expected here, not 12", "copy the"),
        (outlook("tenant: adfs"), "5:72", "a tenant is expected here, not 'adfs'", "common, organizations"),
        (outlook("tenant: 'a b.example'"), "5:72", "a tenant is expected here", "common, organizations"),
        (outlook("tenant: ../x.example"), "5:72", "a tenant is expected here", "common, organizations"),
        (outlook("tenent: x.example"), "5:64", "unknown key 'tenent'", "did you mean 'tenant'?"),
        (
            outlook(APP, "certificate: {file: c.pem}"),
            "5:142",
            "give client_secret or certificate, not both",
            "take one out",
        ),
        (
            outlook("client_secret: {env: S}, tenant: initech.example"),
            "5:64",
            "an app that signs in for itself needs a user",
            "add user: dana@initech.example",
        ),
        (
            outlook("user: dana@initech.example"),
            "5:64",
            "a user belongs to a client_secret or a certificate",
            "take it out; the mailbox is that of whoever signs in",
        ),
        (
            outlook("client_secret: {env: S}, user: dana@initech.example"),
            "5:64",
            "an app that signs in for itself needs its own tenant, not common",
            "write tenant: with the organisation's id or domain",
        ),
        (
            outlook("tenant: consumers, certificate: {env: S}, user: dana@initech.example"),
            "5:72",
            "needs its own tenant, not consumers",
            "write tenant: with the organisation's id or domain",
        ),
        (outlook("client_secret: hunter2"), "5:79", "a secret is never written in this file", "write {env:"),
        (outlook("user: dana"), "5:70", "is not a mail address", ""),
        (
            outlook("endpoint: 'http://gw.example/v1.0'"),
            "5:74",
            "http:// shows your calendar to everyone on the way",
            "use https://",
        ),
        (outlook("endpoint: gw.example/v1.0"), "5:74", "a whole address is expected here", "https://graph."),
        (
            outlook("endpoint: https://graph.microsoft.us"),
            "5:74",
            "the version of Microsoft Graph is missing here",
            "https://graph.microsoft.com/v1.0",
        ),
        (
            outlook("authority: 'http://127.0.0.1:8443'"),
            "5:75",
            "http:// shows your sign-in to everyone on the way",
            "use https://",
        ),
        (
            outlook("authority: login.microsoftonline.us"),
            "5:75",
            "a whole address is expected here",
            "https://login.microsoftonline.com",
        ),
        (
            outlook("authority: https://login.microsoftonline.com/initech.example"),
            "5:75",
            "an authority has no path",
            "under tenant:",
        ),
        (outlook("attendance: maybe"), "5:76", "true or false", ""),
    ],
)
def test_what_does_not_fit_together_is_told(
    tmp_path: Path, account: str, where: str, said: str, cure: str
) -> None:
    """In one sentence, with its line and column, its cure, and without any secret."""
    with pytest.raises(ConfigProblems) as told:
        load(written(tmp_path, account))
    problem = next((each for each in told.value.problems if said in each.message), None)
    assert problem is not None, told.value
    assert f"{problem.line}:{problem.column}" == where
    assert cure in problem.help
    assert "hunter2" not in str(told.value)


@pytest.mark.parametrize(
    ("mail", "said", "cure"),
    [
        (f"account: acme\n  {SMTP}", "mail leaves one way: smtp or account", "take one out"),
        ("account: own", "own is no Google or Outlook account", "name a Google or Outlook account"),
        ("account: acne", "is not one of acme, own", "did you mean 'acme'?"),
        (
            "imap: {host: h, username: d, password: {env: N}}",
            "mail needs a way to leave",
            "account: with a Google or Outlook account",
        ),
    ],
)
def test_mail_through_an_account_that_has_none_is_told(
    tmp_path: Path, mail: str, said: str, cure: str
) -> None:
    """An Outlook account has a mailbox as a Google one has."""
    with pytest.raises(ConfigProblems) as told:
        load(written(tmp_path, outlook(), mail))
    assert said in str(told.value)
    assert cure in str(told.value)


@pytest.mark.parametrize("key", ["client_secret", "certificate"])
def test_files_that_everybody_may_read_are_cautioned_about(tmp_path: Path, key: str) -> None:
    """The app's secret and its certificate alike, whose private key lies beside it."""
    way = f"{key}: {{file: app}}, user: dana@initech.example, tenant: initech.example"
    settings = load(written(tmp_path, outlook(way)))
    (tmp_path / "app").write_text("x")
    (tmp_path / "app").chmod(0o644)
    assert [each for each in settings.cautions() if "chmod 600" in each]


@pytest.mark.parametrize("account", [CALDAV, outlook(), "google: {client_secret: {file: c}}"])
def test_without_need_the_library_stays_away(tmp_path: Path, account: str) -> None:
    """Checking files costs neither its time nor its memory, whatever the accounts are."""
    path = written(tmp_path, account)
    program = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from daemon.__main__ import main\n"
        f"done = CliRunner().invoke(main, ['--config', {str(path)!r}, 'check'])\n"
        "assert done.exit_code == 0, done.output\n"
        "found = {name.partition('.')[0] for name in sys.modules}\n"
        "print(found & {'msal', 'jwt', 'cryptography', 'googleapiclient'})\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "set()", done.stdout + done.stderr
