"""Online meetings and their attendance reports, which only the organiser may read."""

from __future__ import annotations

import re
from typing import Any

from tests.support.fake_graph.call import Call, serves
from tests.support.fake_graph.graph_errors import GraphError, invalid
from tests.support.fake_graph.teams import Meeting, Report
from tests.support.wire import Answer

Json = dict[str, Any]

_KEPT = 50
_FILTER = re.compile(r"\s*joinWebUrl\s+eq\s+'((?:[^']|'')*)'\s*", re.IGNORECASE)
_MEETING, _ARTIFACT = "OnlineMeetings.Read", "OnlineMeetingArtifact.Read.All"


@serves("onlineMeetings.list", "GET", "/onlineMeetings", _MEETING, items=False, odata=("$filter", "$select"))
def find(call: Call) -> Answer:
    """The meeting with a join address."""
    _hold_teams(call)
    match = _FILTER.fullmatch(call.option("$filter") or "")
    if match is None:
        message = "Filter expression expected - /onlineMeetings?$filter=joinWebUrl eq '{value}'."
        raise invalid(message, "InvalidArgument")
    found = call.graph.teams.meetings.get(match[1].replace("''", "'"))
    told = [found.json()] if found is not None and found.organizer is call.user else []
    if found is None:
        raise GraphError(404, "NotFound", "3004: Lookup meeting failed, Can not retrieve meeting by URL.")
    if not told and call.graph.teams.stranger >= 400:
        raise GraphError(
            call.graph.teams.stranger, "Forbidden" if call.graph.teams.stranger == 403 else "NotFound"
        )
    return Answer.of(200, {"@odata.context": call.context("onlineMeetings"), "value": told})


@serves("onlineMeetings.get", "GET", "/onlineMeetings/{meeting}", _MEETING, items=False, odata=("$select",))
def get(call: Call) -> Answer:
    """One meeting by its id."""
    made = {"@odata.context": call.context("onlineMeetings/$entity")} | _meeting(call).json()
    return Answer.of(200, made)


_REPORTS = "/onlineMeetings/{meeting}/attendanceReports"


@serves("attendanceReports.list", "GET", _REPORTS, _ARTIFACT, items=False, odata=("$top", "$skip"))
def list_reports(call: Call) -> Answer:
    """The latest fifty sessions of a meeting that are over, latest first."""
    rows = [each.json() for each in _over(call, _meeting(call))][:_KEPT]
    return call.paged(rows, _KEPT, _KEPT, f"onlineMeetings('{call.args['meeting']}')/attendanceReports")


@serves(
    "attendanceReports.get",
    "GET",
    _REPORTS + "/{report}",
    _ARTIFACT,
    items=False,
    odata=("$expand", "$select"),
)
def get_report(call: Call) -> Answer:
    """One session; who was there is told where it is asked for."""
    report = _report(call)
    name = f"onlineMeetings('{call.args['meeting']}')/attendanceReports/$entity"
    made: Json = {"@odata.context": call.context(name)} | report.json()
    expand = call.option("$expand")
    if expand is not None:
        if expand.lower() != "attendancerecords":
            message = f"Parsing OData Select and Expand failed: Could not find a property named '{expand}'."
            raise invalid(message, "BadRequest")
        made["attendanceRecords"] = [each.json() for each in report.records]
    return Answer.of(200, made)


@serves("attendanceRecords.list", "GET", _REPORTS + "/{report}/attendanceRecords", _ARTIFACT, items=False)
def list_records(call: Call) -> Answer:
    """Who was in a session."""
    rows = [each.json() for each in _report(call).records]
    return call.paged(rows, 1000, 1000, "attendanceRecords")


def _hold_teams(call: Call) -> None:
    """Raises GraphError where the account has no such meetings or the app may not see them."""
    teams = call.graph.teams
    if call.user.personal:
        raise GraphError(403, "Forbidden", "This API is not supported for MSA accounts.")
    if not call.grant.app:
        return
    if teams.object_ids and "@" in call.base:
        raise invalid("The user id in the path has to be an object id.", "BadRequest")
    if not teams.policy:
        raise GraphError(403, "Forbidden", "No application access policy found for this app.")


def _meeting(call: Call) -> Meeting:
    _hold_teams(call)
    found = next(
        (each for each in call.graph.teams.meetings.values() if each.id == call.args["meeting"]), None
    )
    if found is None:
        raise GraphError(404, "NotFound", "3004: Meeting not found.")
    if found.organizer is not call.user:
        raise GraphError(403, "Forbidden", "3003: User does not have access to lookup meeting.")
    return found


def _over(call: Call, meeting: Meeting) -> list[Report]:
    found = [each for each in meeting.reports if each.end <= call.graph.now()]
    return sorted(found, key=lambda each: each.start, reverse=True)


def _report(call: Call) -> Report:
    for each in _over(call, _meeting(call)):
        if each.id == call.args["report"]:
            return each
    raise GraphError(404, "NotFound", "Report not found.")
