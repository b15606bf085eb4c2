"""Signing in to Outlook on the wire: the browser with PKCE, the device's code, and what people say."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from connectors.base import ConnectorError, Rejected, Retryable
from connectors.loopback import Loopback
from connectors.outlook_app import Registration
from connectors.outlook_scopes import missing, plain, scopes_for
from connectors.outlook_signin import DeviceSignIn, SignIn
from tests.support import faults
from tests.support.authority import trusted
from tests.support.fake_entra import App, FakeEntra, fake_entra, refused, unavailable
from tests.support.fake_entra.browser import ended_at, follow

DANA = "dana@initech.example"
HOME = "http://localhost:9"


class Clock:
    """Time that only waiting moves; ``then`` is what happens at each wait."""

    def __init__(self) -> None:
        self.at = datetime(2026, 3, 1, tzinfo=UTC)
        self.waits: list[float] = []
        self.then: Callable[[int], object] = lambda count: None

    def now(self) -> datetime:
        """What the platform's clock shows."""
        return self.at

    def elapsed(self) -> float:
        """What ours shows."""
        return self.at.timestamp()

    def sleep(self, seconds: float) -> None:
        """Time passes."""
        self.waits.append(seconds)
        self.at += timedelta(seconds=seconds)
        self.then(len(self.waits))


@pytest.fixture
def clock() -> Clock:
    """Time that stands."""
    return Clock()


@pytest.fixture
def entra(clock: Clock) -> Iterator[FakeEntra]:
    """An identity platform with one user."""
    with trusted(), fake_entra(clock.now) as made:
        made.user(DANA)
        yield made


@pytest.fixture
def app(entra: FakeEntra) -> App:
    """The registration of a desktop app."""
    return entra.app()


def at(entra: FakeEntra, app: App, **more: str) -> Registration:
    """The same, as the configuration tells it."""
    return Registration(app.client_id, authority=entra.authority, **more)


def test_signing_in_asks_for_what_is_needed_and_proves_itself(entra: FakeEntra, app: App) -> None:
    """State, PKCE with SHA-256, which account, a lasting sign-in, and no secret in the address."""
    attempt = SignIn("initech", at(entra, app), scopes_for(mail=True), HOME, hint=DANA)
    asked = {name: values[0] for name, values in parse_qs(urlsplit(attempt.address).query).items()}
    assert asked["code_challenge_method"] == "S256"
    assert asked["prompt"] == "select_account"
    assert asked["login_hint"] == DANA
    assert asked["redirect_uri"] == HOME
    names = {scope.name for scope in scopes_for(mail=True)}
    assert set(asked["scope"].split()) == names | {"openid", "profile", "offline_access"}
    assert not {"client_secret", "code_verifier"} & set(asked)
    granted = attempt.finish(ended_at(attempt.address))
    assert granted.scopes == plain(names)
    assert granted.saved.username == DANA
    assert not granted.saved.personal
    assert next(iter(entra.refreshes)) in granted.saved.tokens
    assert next(iter(entra.refreshes)) not in repr(granted)


def test_a_second_question_to_the_same_user_does_not_ask_who_they_are(entra: FakeEntra, app: App) -> None:
    """It names them, and finds out whether it was somebody else after all."""
    first = SignIn("initech", at(entra, app), scopes_for(), HOME)
    known = first.finish(ended_at(first.address))
    second = SignIn("initech", at(entra, app), scopes_for(mail=True), HOME, hint=DANA, sure=True)
    asked = parse_qs(urlsplit(second.address).query)
    assert "prompt" not in asked
    assert asked["login_hint"] == [DANA]
    assert second.finish(ended_at(second.address)).whose == known.whose
    entra.signs_in = entra.user("bo@initech.example")
    third = SignIn("initech", at(entra, app), scopes_for(), HOME)
    assert third.finish(ended_at(third.address)).whose != known.whose


def test_two_attempts_share_nothing(entra: FakeEntra, app: App) -> None:
    """One attempt's answer is worth nothing to another: neither its state nor its code."""
    one, two = (SignIn("initech", at(entra, app), scopes_for(), HOME) for _ in range(2))
    answer = ended_at(one.address)
    assert not two.is_answer(answer)
    assert not two.is_answer("http://[")
    with pytest.raises(ConnectorError, match="does not belong"):
        two.finish(answer)
    states = [parse_qs(urlsplit(each.address).query)["state"][0] for each in (one, two)]
    with pytest.raises(Rejected, match="belongs to another sign-in \\(AADSTS501481\\); run it again"):
        two.finish(answer.replace(*states))


def test_an_id_token_of_another_attempt_is_not_believed(entra: FakeEntra, app: App) -> None:
    """Its nonce is held to the one that was sent."""
    attempt = SignIn("initech", at(entra, app), scopes_for(), HOME)
    answer = ended_at(attempt.address)
    next(iter(entra.codes.values())).nonce = "replayed"
    with pytest.raises(Retryable, match="not what it should be"):
        attempt.finish(answer)


def test_saying_no_is_no_failure_of_microsoft(entra: FakeEntra, app: App) -> None:
    """Nothing changed; where it was an administrator's approval that lacked, there is a link for one."""
    entra.declines = True
    attempt = SignIn("initech", at(entra, app), scopes_for(), HOME)
    with pytest.raises(Rejected, match=r"not allowed .* nothing was changed\. If an administrator") as told:
        attempt.finish(ended_at(attempt.address))
    link = str(told.value).rpartition(" ")[2]
    asked = parse_qs(urlsplit(link).query)
    assert urlsplit(link).path == "/organizations/v2.0/adminconsent"
    assert asked["client_id"] == [app.client_id]
    assert asked["redirect_uri"] == ["http://localhost"]
    assert {"https://graph.microsoft.com/Calendars.Read", "offline_access"} <= set(asked["scope"][0].split())


def test_what_only_an_administrator_may_allow_says_where(entra: FakeEntra, app: App) -> None:
    """With the link, for the tenant that is configured."""
    entra.needs_admin = frozenset({"Mail.Send"})
    attempt = SignIn("initech", at(entra, app, tenant="initech.example"), scopes_for(mail=True), HOME)
    with pytest.raises(Rejected, match=r"must approve .*\(AADSTS90094\); have one open .*/initech\.example/"):
        attempt.finish(ended_at(attempt.address))


@pytest.mark.parametrize("code", [50105, 53003, 90072])
def test_what_went_wrong_in_the_browser_is_told(entra: FakeEntra, app: App, code: int) -> None:
    """The same sentences as for a renewal, with the move that fits here."""
    entra.fail("authorize", refused(code, error="access_denied"))
    attempt = SignIn("initech", at(entra, app), scopes_for(), HOME)
    with pytest.raises(Rejected, match=f"\\(AADSTS{code}\\); ") as told:
        attempt.finish(ended_at(attempt.address))
    assert "Trace" not in str(told.value)


def test_a_personal_account_has_no_records_of_calls(entra: FakeEntra, app: App) -> None:
    """It is refused with them, signs in without them, and does not lack them then."""
    entra.signs_in = entra.user("dana@outlook.example", personal=True)
    wanted = scopes_for(attendance=True)
    attempt = SignIn("initech", at(entra, app), wanted, HOME)
    with pytest.raises(Rejected, match="does not know all that was asked for"):
        attempt.finish(ended_at(attempt.address))
    attempt = SignIn("initech", at(entra, app), scopes_for(), HOME)
    granted = attempt.finish(ended_at(attempt.address))
    assert granted.saved.personal
    assert missing(wanted, granted.scopes, personal=True) == []
    assert [scope.name for scope in missing(wanted, granted.scopes)] == [
        "OnlineMeetings.Read",
        "OnlineMeetingArtifact.Read.All",
    ]


def test_personal_accounts_have_no_administrator() -> None:
    """So nobody is sent to one."""
    assert Registration("x", tenant="consumers").approval(scopes_for()) == ""


def test_what_was_not_allowed_is_known(entra: FakeEntra, app: App) -> None:
    """Only what was granted counts as granted; a wider permission counts for a narrower one."""
    entra.ignores = frozenset({"Mail.ReadBasic"})
    attempt = SignIn("initech", at(entra, app), scopes_for(mail=True), HOME)
    granted = attempt.finish(ended_at(attempt.address))
    assert [scope.name for scope in missing(scopes_for(mail=True), granted.scopes)] == ["Mail.ReadBasic"]
    wider = plain(["https://graph.microsoft.com/calendars.readwrite", "User.Read", "mail.readwrite"])
    lacking = missing(scopes_for(mail=True), wider)
    assert [scope.name for scope in lacking] == ["MailboxSettings.Read", "Mail.Send"]


def test_without_a_lasting_sign_in_nothing_is_kept(entra: FakeEntra, app: App) -> None:
    """An hour of access is of no use."""
    entra.lasting = False
    attempt = SignIn("initech", at(entra, app), scopes_for(), HOME)
    with pytest.raises(Rejected, match="no lasting sign-in"):
        attempt.finish(ended_at(attempt.address))


def test_an_app_that_is_not_public_is_told(entra: FakeEntra) -> None:
    """With where to switch it on."""
    app = entra.app(public=False, secret="s")
    attempt = SignIn("initech", at(entra, app), scopes_for(), HOME)
    with pytest.raises(Rejected, match="'Allow public client flows'"):
        attempt.finish(ended_at(attempt.address))


def test_a_tenant_that_is_not_there_is_told_at_once(entra: FakeEntra, app: App) -> None:
    """Before anybody opens a browser."""
    for kind in (lambda where: SignIn("initech", where, scopes_for(), HOME), device):
        with pytest.raises(Rejected, match="no such tenant"):
            kind(at(entra, app, tenant="nowhere.example"))


def test_the_browser_on_this_machine_is_heard(entra: FakeEntra, app: App) -> None:
    """At http://localhost, which is what desktop apps register; no code is shown."""
    loopback = Loopback()
    home = f"http://localhost:{urlsplit(loopback.address).port}"
    attempt = SignIn("initech", at(entra, app), scopes_for(), home)
    pages = []
    browser = threading.Thread(target=lambda: pages.append(follow(attempt.address)))
    browser.start()
    found = loopback.wait(attempt.is_answer, patience=10)
    browser.join(5)
    loopback.close()
    assert attempt.finish(found).scopes
    assert pages[0].status_code == 200
    assert "1.A" not in pages[0].text


def test_the_address_can_be_pasted(entra: FakeEntra, app: App) -> None:
    """Where the browser is elsewhere, its last address is a line."""
    loopback = Loopback()
    attempt = SignIn("initech", at(entra, app), scopes_for(), HOME)
    pasted = io.StringIO(f"what?\n{ended_at(attempt.address)}\n")
    assert attempt.finish(loopback.wait(attempt.is_answer, pasted, patience=5)).scopes
    loopback.close()


def device(where: Registration) -> DeviceSignIn:
    """An attempt with a code."""
    return DeviceSignIn("initech", where, scopes_for())


def test_a_code_is_entered_elsewhere(entra: FakeEntra, app: App, clock: Clock) -> None:
    """It is asked for every five seconds whether it was, and that is all."""
    attempt = device(at(entra, app))
    assert attempt.address == "https://microsoft.com/devicelogin"
    assert len(attempt.code) == 9
    assert attempt.lasts == 900
    clock.then = lambda count: entra.enter(attempt.code) if count == 3 else None
    granted = attempt.finish(sleep=clock.sleep, elapsed=clock.elapsed)
    assert clock.waits == [5, 5, 5]
    assert granted.saved.username == DANA
    assert granted.scopes == plain(scope.name for scope in scopes_for())
    assert entra.count("token") == 3


def test_a_slower_pace_is_kept(entra: FakeEntra, app: App, clock: Clock) -> None:
    """slow_down adds five seconds to each wait (RFC 8628 section 3.5), an interval of 0 is one second."""
    entra.interval = 0
    attempt = device(at(entra, app))
    entra.fail("token", refused(70016, error="slow_down"))
    clock.then = lambda count: entra.enter(attempt.code) if count == 3 else None
    attempt.finish(sleep=clock.sleep, elapsed=clock.elapsed)
    assert clock.waits == [1, 6, 6]


def test_trouble_in_between_does_not_end_it(entra: FakeEntra, app: App, clock: Clock) -> None:
    """The platform was away for a while, and the code was entered all the same."""
    attempt = device(at(entra, app))
    for fault in (unavailable(503), faults.dropped(kept=False), faults.html(), refused(90033)):
        entra.fail("token", fault)
    clock.then = lambda count: entra.enter(attempt.code) if count == 5 else None
    assert attempt.finish(sleep=clock.sleep, elapsed=clock.elapsed).scopes
    assert len(clock.waits) == 5


@pytest.mark.parametrize("ours_first", [True, False])
def test_a_code_that_nobody_enters_runs_out(
    entra: FakeEntra, app: App, clock: Clock, *, ours_first: bool
) -> None:
    """By our own clock, or because the platform says so."""
    entra.interval = 60
    attempt = device(at(entra, app))
    if not ours_first:
        entra.fail("token", refused(70019), after=1)
    with pytest.raises(ConnectorError, match=r"Nobody entered the code within 15 minutes; run it again\."):
        attempt.finish(sleep=clock.sleep, elapsed=clock.elapsed)
    assert len(clock.waits) == (15 if ours_first else 2)


def test_trouble_to_the_end_is_told_as_trouble(entra: FakeEntra, app: App, clock: Clock) -> None:
    """Nobody is blamed for not entering a code whose platform was away."""
    attempt = device(at(entra, app))
    entra.fail("token", faults.html(), times=None)
    attempt.lasts = 20
    with pytest.raises(Retryable, match="not whole"):
        attempt.finish(sleep=clock.sleep, elapsed=clock.elapsed)


def test_declining_elsewhere_is_heard(entra: FakeEntra, app: App, clock: Clock) -> None:
    """As in the browser here."""
    entra.declines = True
    attempt = device(at(entra, app))
    clock.then = lambda count: entra.enter(attempt.code)
    with pytest.raises(Rejected, match="nothing was changed"):
        attempt.finish(sleep=clock.sleep, elapsed=clock.elapsed)


def test_the_wait_can_be_broken_off(entra: FakeEntra, app: App, clock: Clock) -> None:
    """Ctrl-C is no answer of anybody's."""
    attempt = device(at(entra, app))

    def interrupt(count: int) -> None:
        raise KeyboardInterrupt

    clock.then = interrupt
    with pytest.raises(KeyboardInterrupt):
        attempt.finish(sleep=clock.sleep, elapsed=clock.elapsed)


@pytest.mark.parametrize(
    ("fault", "error", "said"),
    [
        (refused(7000218), Rejected, "'Allow public client flows'"),
        (unavailable(503), Retryable, "not available"),
        (faults.html(), Retryable, "not whole"),
        (faults.answer(200, b'{"device_code": "x"}'), Retryable, "not what it should be"),
        (faults.answer(200, b'{"device_code": "x", "interval": "soon"}'), Retryable, "not what it should be"),
        (
            faults.answer(
                200, b'{"device_code": "x", "user_code": "y", "verification_uri": "http://x.example"}'
            ),
            Retryable,
            "not what it should be",
        ),
    ],
)
def test_a_code_that_is_not_given_is_told(
    entra: FakeEntra, app: App, fault: faults.Effect, error: type[ConnectorError], said: str
) -> None:
    """Nobody waits for it."""
    entra.fail("devicecode", fault)
    with pytest.raises(error, match=said):
        device(at(entra, app))


def test_calendars_and_mail_ask_for_no_more_than_they_use() -> None:
    """Free times of others need nothing beside the calendar; an app needs no profile, and its own names."""

    def names(**uses: bool) -> list[str]:
        return [scope.name for scope in scopes_for(**uses)]

    base = ["User.Read", "Calendars.Read", "MailboxSettings.Read"]
    assert names() == names(free_busy=True) == base
    assert names(writes=True)[1] == "Calendars.ReadWrite"
    assert names(calendar=False, mail=True) == ["User.Read", "Mail.Send", "Mail.ReadBasic"]
    assert names(mail=True, drafts=True) == [*base, "Mail.Send", "Mail.ReadWrite"]
    own = [scope.app_name for scope in scopes_for(attendance=True) if scope.app_name]
    assert own == [*base[1:], "OnlineMeetings.Read.All", "OnlineMeetingArtifact.Read.All"]
    own = [scope.app_name for scope in scopes_for(calendar=False, mail=True)]
    assert own == ["", "Mail.Send", "Mail.ReadBasic.All"]
