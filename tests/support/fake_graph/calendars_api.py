"""Who somebody is, which calendars they have, when others are free, and whether they are away."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tests.support.fake_graph.call import Call, serves
from tests.support.fake_graph.events import Calendar, Item
from tests.support.fake_graph.graph_errors import GraphError, invalid
from tests.support.fake_graph.times import read, shown
from tests.support.fake_graph.views import select
from tests.support.wire import Answer

Json = dict[str, Any]

_SCHEDULES = 20
_DIGITS = {"free": "0", "tentative": "1", "busy": "2", "oof": "3", "workingElsewhere": "4", "unknown": "0"}
_LONGEST = timedelta(days=62)


@dataclass(frozen=True)
class Window:
    """What is asked of people's time, in slots of a length."""

    low: datetime
    high: datetime
    step: timedelta


@serves("me", "GET", "", "User.Read", items=False, odata=("$select",))
def me(call: Call) -> Answer:
    """A person; aliases are among their proxy addresses, which are told only where asked for."""
    user = call.user
    made: Json = {
        "@odata.context": f"{call.graph.root}/$metadata#users/$entity",
        "id": user.id,
        "displayName": user.name,
        "mail": user.email,
        "userPrincipalName": user.email,
        "givenName": user.name.partition(" ")[0],
        "surname": user.name.partition(" ")[2],
        "preferredLanguage": None,
        "proxyAddresses": [f"SMTP:{user.email}", *(f"smtp:{each}" for each in user.aliases)],
    }
    if user.personal:
        made["proxyAddresses"] = []
    if call.option("$select"):
        return Answer.of(200, select(made, call.option("$select"), "user"))
    del made["proxyAddresses"]
    return Answer.of(200, made)


@serves(
    "calendars.list", "GET", "/calendars", "Calendars.Read", items=False, shared=True,
    odata=("$select", "$top", "$skip"),
)  # fmt: skip
def list_calendars(call: Call) -> Answer:
    """A page of calendars."""
    found = [each for each in call.user.calendars if _visible(call, each)]
    rows = [select(_calendar(each), call.option("$select"), "calendar") for each in found]
    return call.paged(rows, 10, 999, "calendars")


@serves("calendar.get", "GET", "/calendar", "Calendars.Read", items=False, shared=True, odata=("$select",))
@serves(
    "calendar.get",
    "GET",
    "/calendars/{calendar}",
    "Calendars.Read",
    items=False,
    shared=True,
    odata=("$select",),
)
def get_calendar(call: Call) -> Answer:
    """One calendar, the default one where none is named."""
    made = {"@odata.context": call.context("calendars/$entity")} | _calendar(call.calendar())
    return Answer.of(200, select(made, call.option("$select"), "calendar"))


def _visible(call: Call, calendar: Calendar) -> bool:
    try:
        call.admit(calendar, write=False)
    except GraphError:
        return False
    return True


def _calendar(calendar: Calendar) -> Json:
    owner = calendar.owner
    providers = ["teamsForBusiness"] if not owner.personal else []
    return {
        "id": calendar.id,
        "name": calendar.name,
        "color": calendar.color,
        "hexColor": "",
        "isDefaultCalendar": calendar.default,
        "changeKey": f"HYQDEapmEc2byACqAC+EWg{calendar.version:08d}AAA=",
        "canShare": calendar.can_edit,
        "canViewPrivateItems": True,
        "canEdit": calendar.can_edit,
        "allowedOnlineMeetingProviders": providers,
        "defaultOnlineMeetingProvider": providers[0] if providers else "unknown",
        "isTallyingResponses": calendar.default,
        "isRemovable": not calendar.default,
        "owner": {"name": owner.name, "address": owner.email},
    }


@serves("getSchedule", "POST", "/calendar/getSchedule", "Calendars.Read", items=False)
def get_schedule(call: Call) -> Answer:
    """When people are free. Personal accounts have no such thing."""
    if call.user.personal:
        raise GraphError(403)
    asked, zone = call.body(), call.zone
    schedules = asked.get("schedules", asked.get("Schedules"))
    if not isinstance(schedules, list) or not schedules:
        raise invalid("The schedules parameter is missing.", "ErrorInvalidParameter")
    if len(schedules) > _SCHEDULES:
        message = f"The number of requested mailboxes exceeds the limit of {_SCHEDULES}."
        raise invalid(message, "ErrorTooManyMailboxes")
    low, high = read(asked.get("startTime"), "StartTime")[0], read(asked.get("endTime"), "EndTime")[0]
    if low >= high or high - low > _LONGEST:
        raise invalid("The requested time window is not valid.", "ErrorInvalidTimeInterval")
    minutes = asked.get("availabilityViewInterval", 30)
    if not isinstance(minutes, int) or not 5 <= minutes <= 1440:
        message = "Merged free/busy interval value is not valid. It must be between 5 and 1440."
        raise invalid(message, "ErrorInvalidMergedFreeBusyInterval")
    window = Window(low, high, timedelta(minutes=minutes))
    rows = [_schedule(call, str(each), window, zone) for each in schedules]
    kind = "Collection(microsoft.graph.scheduleInformation)"
    return Answer.of(200, {"@odata.context": f"{call.graph.root}/$metadata#{kind}", "value": rows})


def _schedule(call: Call, address: str, window: Window, zone: str) -> Json:
    user = call.graph.user_of(address)
    if user is None or user.personal:
        message = "Microsoft.Exchange.InfoWorker.Common.Availability.MailRecipientNotFoundException: "
        message += f"Unable to resolve e-mail address {address} to an Active Directory object."
        error = {"message": message, "responseCode": "ErrorMailRecipientNotFound"}
        return {"scheduleId": address, "availabilityView": "", "error": error, "scheduleItems": []}
    items = sorted(
        (each for each in user.primary.view(window.low, window.high) if each.recurrence is None),
        key=lambda each: each.start,
    )
    own = user.email.lower() == call.user.email.lower()
    hours = {"daysOfWeek": ["monday", "tuesday", "wednesday", "thursday", "friday"]}
    return {
        "scheduleId": address,
        "availabilityView": _view(items, window),
        "scheduleItems": [_busy(each, zone, own=own) for each in items],
        "workingHours": hours
        | {
            "startTime": "08:00:00.0000000",
            "endTime": "17:00:00.0000000",
            "timeZone": {"name": user.time_zone},
        },
    }


def _view(items: list[Item], window: Window) -> str:
    """One digit a slot, that of what weighs most in it."""
    digits, at = "", window.low
    while at < window.high:
        inside = [each for each in items if each.start < at + window.step and each.end > at]
        weights = [_DIGITS[each.fields["showAs"]] for each in inside]
        digits += max((each for each in weights if each in "0123"), default="4" if "4" in weights else "0")
        at += window.step
    return digits


def _busy(item: Item, zone: str, *, own: bool) -> Json:
    made: Json = {"status": item.fields["showAs"]}
    made["start"] = shown(item.start, zone, all_day=item.all_day)
    made["end"] = shown(item.end, zone, all_day=item.all_day)
    if own:
        private = item.fields["sensitivity"] in ("private", "confidential")
        made |= {"isPrivate": private, "subject": item.fields["subject"], "location": item.fields["location"]}
        made |= {"isMeeting": bool(item.guests), "isRecurring": item.master is not None}
    return made


@serves(
    "automaticReplies", "GET", "/mailboxSettings/automaticRepliesSetting", "MailboxSettings.Read", items=False
)
def automatic_replies(call: Call) -> Answer:
    """Whether a mailbox answers by itself."""
    name = "mailboxSettings/automaticRepliesSetting"
    return Answer.of(200, {"@odata.context": call.context(name)} | copy.deepcopy(call.user.automatic_replies))


@serves("mailboxSettings", "GET", "/mailboxSettings", "MailboxSettings.Read", items=False, odata=("$select",))
def mailbox_settings(call: Call) -> Answer:
    """The settings of a mailbox."""
    made: Json = {"@odata.context": call.context("mailboxSettings"), "timeZone": call.user.time_zone}
    replies = copy.deepcopy(call.user.automatic_replies)
    made |= {"automaticRepliesSetting": replies, "dateFormat": "dd/MM/yyyy", "timeFormat": "HH:mm"}
    return Answer.of(200, select(made, call.option("$select"), "mailboxSettings"))
