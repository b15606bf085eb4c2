"""Teams' attendance reports on the wire: whole or not at all, and what they say of a meeting."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from urllib.parse import quote

import pytest

from connectors.base import ConnectorError, LimitExceeded, NeedsLogin, NotSupported, Rejected, Retryable
from connectors.http import Limits
from connectors.outlook_client import GraphClient
from connectors.outlook_teams import MOST_PARTIES, TeamsAttendance, organizer_id
from rules.model import Call, Held, Interval, PartStat, Party
from rules.presence import Judgement, Known, Terms, judge
from tests.support import faults
from tests.support.authority import trusted
from tests.support.fake_graph.graph_errors import error
from tests.support.fake_graph.server import fake_graph
from tests.support.fake_graph.teams import Report
from tests.support.fake_graph.world import FakeGraph
from tests.support.google_ics import StaticToken
from tests.support.meetings import JO, ME, NOW, meeting, owner
from tests.support.wire import Answer

URL = (
    "https://teams.microsoft.com/l/meetup-join/19%3ameeting_x%40thread.v2/0?context=%7b%22Tid%22%3a%22t%22%7d"
)
MINUTE = timedelta(minutes=1)
END = NOW + 30 * MINUTE
ONE = replace(meeting(starts=0, lasts=0.5, people={JO: PartStat.ACCEPTED}), conference=URL)
SCOPES = ("OnlineMeetings.Read", "OnlineMeetingArtifact.Read.All")
LIST, REPORTS, REPORT = "onlineMeetings.list", "attendanceReports.list", "attendanceReports.get"


@pytest.fixture
def graph() -> Iterator[FakeGraph]:
    """A Graph a week later, with Dana, Jo, and Pat who has a personal account."""
    with trusted(), fake_graph(lambda: NOW + timedelta(days=7)) as made:
        made.user(ME, "Dana Reyes")
        made.user(JO, "Jo Weber")
        made.user("pat@outlook.example", personal=True)
        yield made


def connect(
    graph: FakeGraph, who: str = ME, *scopes: str, app: bool = False, seconds: float = 5
) -> TeamsAttendance:
    """Somebody's source; without scopes the sign-in allows everything."""
    token = graph.grants.mint("" if app else who, *(scopes or SCOPES), app=app)
    limits = Limits(seconds=seconds, redirects=0, body_bytes=1024 * 1024, wait_seconds=0.01)
    client = GraphClient(StaticToken(token), graph.root, user=who if app else "", limits=limits)
    return TeamsAttendance(client)


@pytest.fixture
def teams(graph: FakeGraph) -> Iterator[TeamsAttendance]:
    """Dana's reports."""
    source = connect(graph)
    yield source
    source.close()


def held(graph: FakeGraph, early: int = 2, late: int = 0) -> Report:
    """A call that began some minutes early and ended some late."""
    return graph.teams.record(URL, ME, NOW - early * MINUTE, END + late * MINUTE)


def verdict(calls: tuple[Call, ...]) -> Judgement:
    """What they say of the meeting."""
    return judge(ONE, calls, owner(), Known(), Terms())


def test_calls_with_all_who_were_there(graph: FakeGraph, teams: TeamsAttendance) -> None:
    """Each with their account, address, name and times, in UTC; a guest is no more than a name."""
    report = held(graph)
    spans = [Interval(NOW, NOW + MINUTE), Interval(NOW + 2 * MINUTE, END)]
    report.attended(ME, "Dana Reyes", *((one.start, one.end) for one in spans), role="Organizer")
    report.attended("Jo@Acme.example", "Weber, Jo", (NOW, END))
    report.attended(None, "Somebody", (NOW + MINUTE, END))
    [call] = teams.calls(ONE)
    assert (call.start, call.end) == (report.start, report.end)
    dana, jo = graph.users[ME].id, graph.users[JO].id
    assert call.parties == (
        Party(user=dana, address=ME, name="Dana Reyes", spans=tuple(spans)),
        Party(user=jo, address=JO, name="Weber, Jo", spans=(Interval(NOW, END),)),
        Party(name="Somebody", spans=(Interval(NOW + MINUTE, END),)),
    )
    assert [request.route for request in graph.requests] == [LIST, REPORTS, REPORT]


def test_a_meeting_is_found_by_its_address(graph: FakeGraph, teams: TeamsAttendance) -> None:
    """Word for word, whatever is in it; the calls of another address are not its."""
    url = "https://teams.example/l/o'hara%20&x=+1#f?a=b"
    for one in (url, URL):
        graph.teams.record(one, ME, NOW, END).attended(ME, one)
    [call] = teams.calls(replace(ONE, conference=url))
    assert [party.name for party in call.parties] == [url]


def test_of_several_reports_those_at_its_time_are_read(graph: FakeGraph, teams: TeamsAttendance) -> None:
    """A series has one address for all its meetings, and a call that broke off has two reports."""
    for days in (-7, -1, 1):
        span = (NOW + timedelta(days=days), END + timedelta(days=days))
        graph.teams.record(URL, ME, *span).attended(ME, "Dana Reyes")
    graph.teams.record(URL, ME, END, END + MINUTE).attended(JO, "Jo")
    for begun, over in ((NOW - MINUTE, NOW + 3 * MINUTE), (NOW + 4 * MINUTE, END)):
        graph.teams.record(URL, ME, begun, over).attended(ME, "Dana Reyes", role="Organizer")
    calls = teams.calls(ONE)
    assert {(call.start, call.end) for call in calls} == {
        (NOW - MINUTE, NOW + 3 * MINUTE),
        (NOW + 4 * MINUTE, END),
    }
    assert graph.count(REPORT) == 2


def test_nothing_on_record_is_nothing(graph: FakeGraph, teams: TeamsAttendance) -> None:
    """No call yet, another time, an address Teams does not know, and none at all: nothing follows."""
    assert teams.calls(ONE) == ()
    graph.teams.meeting(URL, ME, NOW, END)
    assert teams.calls(ONE) == ()
    graph.teams.record(URL, ME, END, END + 30 * MINUTE).attended(ME, "Dana Reyes")
    calls = teams.calls(ONE)
    assert (calls, verdict(calls).held) == ((), Held.UNKNOWN)
    asked = graph.count(LIST)
    for url in ("", "abc-mnop-xyz", "http://teams.example/x"):
        assert teams.calls(replace(ONE, conference=url)) == ()
    assert graph.count(LIST) == asked


@pytest.mark.parametrize(
    ("dana", "jo", "guest", "found"),
    [
        ((-2, 30), (1, 30), None, Held.HELD),
        ((-2, 30), (1, 30), (5, 30), Held.HELD),
        ((-2, 30), None, None, Held.MISSED_BY_ATTENDEE),
        ((-2, 30), None, (5, 30), Held.UNKNOWN),
        ((26, 30), (-2, 20), None, Held.MISSED_BY_ME),
        (None, (-2, 20), None, Held.UNKNOWN),
        ((-2, 3), (20, 30), None, Held.UNKNOWN),
        (None, None, None, Held.UNKNOWN),
    ],
)
def test_what_reports_say_of_a_meeting(  # noqa: PLR0917 - as it is parametrised
    graph: FakeGraph,
    teams: TeamsAttendance,
    dana: tuple[int, int] | None,
    jo: tuple[int, int] | None,
    guest: tuple[int, int] | None,
    found: Held,
) -> None:
    """People are known by their addresses, whatever they are called; a guest could have been anybody."""
    report = held(graph)
    for address, name, minutes in ((ME, "D. R.", dana), (JO, "The boss", jo), (None, "Jo Weber", guest)):
        if minutes is not None:
            report.attended(address, name, (NOW + minutes[0] * MINUTE, NOW + minutes[1] * MINUTE))
    assert verdict(teams.calls(ONE)).held is found


@pytest.mark.parametrize("more", [1, 40])
def test_who_is_counted_and_not_listed_could_be_anybody(
    graph: FakeGraph, teams: TeamsAttendance, more: int
) -> None:
    """A report that counts more people than it tells of accuses nobody."""
    held(graph).attended(ME, "Dana Reyes")
    told = {"totalParticipantCount": 1 + more}
    graph.fail(REPORT, faults.Effect(spoil=lambda _, whole: _with(whole, told)))
    calls = teams.calls(ONE)
    assert verdict(calls).held is Held.UNKNOWN
    assert verdict(teams.calls(ONE)).held is Held.MISSED_BY_ATTENDEE


def _with(whole: Answer, more: Mapping[str, object]) -> Answer:
    return Answer.of(whole.status, json.loads(whole.body) | dict(more))


def test_a_long_report_is_not_half_read(graph: FakeGraph, teams: TeamsAttendance) -> None:
    """Of too many parties, or with more on a further page, nothing is used."""
    report = held(graph)
    for number in range(MOST_PARTIES):
        report.attended(None, f"Guest {number}")
    assert len(teams.calls(ONE)[0].parties) == MOST_PARTIES
    more = {"attendanceRecords@odata.nextLink": "https://graph.example/x"}
    graph.fail(REPORT, faults.Effect(spoil=lambda _, whole: _with(whole, more)))
    with pytest.raises(LimitExceeded, match=str(MOST_PARTIES)):
        teams.calls(ONE)
    report.attended(None, "One more")
    with pytest.raises(LimitExceeded):
        teams.calls(ONE)


def test_somebody_elses_call_is_that_meetings_alone(graph: FakeGraph) -> None:
    """Its organiser alone may see it; that is no reason not to ask for others."""
    held(graph)
    graph.fail(LIST, error(403, "Forbidden", "3003: User does not have access to lookup meeting."))
    with pytest.raises(Rejected, match="3003"):
        connect(graph, JO).calls(ONE)
    graph.teams.stranger = 200
    assert connect(graph, JO).calls(ONE) == ()


@pytest.mark.parametrize("scopes", [("OnlineMeetings.Read",), ("OnlineMeetingArtifact.Read.All",)])
def test_a_sign_in_that_does_not_cover_it_is_told_what_is_missing(
    graph: FakeGraph, scopes: tuple[str, ...]
) -> None:
    """Nothing more is asked of any meeting, and the owner reads why."""
    held(graph)
    with pytest.raises(NotSupported, match=r"OnlineMeetingArtifact\.Read\.All"):
        connect(graph, ME, *scopes).calls(ONE)


def test_a_personal_account_has_no_reports(graph: FakeGraph) -> None:
    """Said in words."""
    with pytest.raises(NotSupported, match="a personal account has none"):
        connect(graph, "pat@outlook.example").calls(ONE)


def test_an_app_needs_a_policy_of_teams(graph: FakeGraph) -> None:
    """With it the reports of the mailbox's owner are read; without it an administrator is named."""
    held(graph).attended(ME, "Dana Reyes")
    app = connect(graph, ME, "OnlineMeetings.Read.All", "OnlineMeetingArtifact.Read.All", app=True)
    assert len(app.calls(ONE)) == 1
    graph.teams.policy = False
    with pytest.raises(NotSupported, match=r"administrator.*New-CsApplicationAccessPolicy"):
        app.calls(ONE)


def test_an_app_names_its_user_as_the_join_address_does(graph: FakeGraph) -> None:
    """Teams wants the object id there, which the address of a classic meeting tells."""
    graph.teams.object_ids = True
    app = connect(graph, ME, "OnlineMeetings.Read.All", "OnlineMeetingArtifact.Read.All", app=True)
    dana = graph.user(ME, "Dana Reyes").id
    url = URL.partition("?")[0] + "?context=" + quote(json.dumps({"Tid": "t", "Oid": dana}))
    graph.teams.record(url, ME, ONE.start_utc, ONE.end_utc).attended(ME, "Dana Reyes")
    assert len(app.calls(replace(ONE, conference=url))) == 1
    assert organizer_id(url) == dana


@pytest.mark.parametrize(
    "context", ["", "5", "{}", '{"Oid": 5}', '{"Oid": "../me"}', "[" * 9999, '{"Oid": null}']
)
def test_a_strange_join_address_names_nobody(context: str) -> None:
    """Then the user goes by their address."""
    assert organizer_id(f"https://teams.microsoft.com/l/x?context={quote(context)}") == ""


STRANGE = [
    b'{"value": [{}], "attendanceRecords": [{}]}',
    b'{"value": [{"id": ""}], "attendanceRecords": [{"attendanceIntervals": 5}]}',
    b'{"value": [5], "attendanceRecords": [5]}',
]
NO_TIMES = (
    b'{"value": [{"id": "x", "meetingStartDateTime": "9999-99"}], "attendanceRecords": '
    b'[{"identity": "x", "attendanceIntervals": [{"joinDateTime": 5, "leaveDateTime": null}]}]}'
)


@pytest.mark.parametrize("route", [LIST, REPORTS, REPORT])
@pytest.mark.parametrize(
    ("effect", "raised"),
    [
        (error(401), NeedsLogin),
        (error(403), NotSupported),
        (error(400), Rejected),
        (error(429, retry_after=7), Retryable),
        (error(503), Retryable),
        (faults.html(), ConnectorError),
        (faults.truncated(), Retryable),
        (faults.dropped(kept=True), Retryable),
        (faults.gzip_bomb(4), LimitExceeded),
        *((faults.answer(200, one), ConnectorError) for one in STRANGE),
    ],
)
def test_what_goes_wrong_anywhere_is_no_call(
    graph: FakeGraph, teams: TeamsAttendance, route: str, effect: faults.Effect, raised: type[ConnectorError]
) -> None:
    """Whatever fails in any of the three questions, no call with fewer parties comes out of it."""
    held(graph).attended(ME, "Dana Reyes")
    graph.fail(route, effect, times=None)
    with pytest.raises(raised):
        teams.calls(ONE)


def test_a_report_that_never_ends_is_no_call(graph: FakeGraph) -> None:
    """A byte now and then keeps nobody waiting."""
    held(graph).attended(ME, "Dana Reyes")
    graph.fail(REPORT, faults.slow(0.02))
    with pytest.raises(Retryable, match="did not answer"):
        connect(graph, seconds=0.5).calls(ONE)


@pytest.mark.parametrize("route", [REPORTS, REPORT])
def test_times_that_are_none_are_no_evidence(graph: FakeGraph, teams: TeamsAttendance, route: str) -> None:
    """A report that does not say when is not used."""
    held(graph).attended(ME, "Dana Reyes")
    graph.fail(route, faults.answer(200, NO_TIMES))
    with pytest.raises(Retryable, match="makes no sense"):
        teams.calls(ONE)


@pytest.mark.parametrize("route", [REPORTS, REPORT])
def test_a_report_that_is_gone_is_refused(graph: FakeGraph, teams: TeamsAttendance, route: str) -> None:
    """Of this meeting alone."""
    held(graph).attended(ME, "Dana Reyes")
    graph.fail(route, error(404))
    with pytest.raises(Rejected):
        teams.calls(ONE)
