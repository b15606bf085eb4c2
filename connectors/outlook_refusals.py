"""What Microsoft's sign-in means when it says no: its numbers, each in one sentence with the next move.

The numbers are those of https://login.microsoftonline.com/error. Microsoft reserves the right to change them,
so an unknown one is told with Microsoft's own words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from connectors.base import NeedsLogin, Retryable
from connectors.signed import in_few_words

LOOP_WAIT = 300.0
"""Seconds before the next try after Microsoft called us a loop (AADSTS50196)."""

_AGAIN = "The sign-in of {account} was revoked or has run out; {cure}"
_MORE_PROOF = "The organisation of {account} wants a further proof of who you are; {cure}"
_PLACE = (
    "The organisation of {account} lets its people in only from devices, places and apps that it trusts; "
    "use a browser that it does, and {cure}"
)
_OTHER_USER = "This user does not belong to the tenant of {account}; sign in as another, or correct tenant"
_NO_TENANT = "There is no such tenant; correct the tenant of {account}"
_NO_APP = "The tenant of {account} knows no app with this client_id; correct client_id or tenant"
_NO_RULES = "The rules of an organisation keep {account} out of this tenant; ask its administrator"
_CONSENT = "Nobody has allowed rebookd what it needs in {account}; accept what is asked for, and {cure}"
_APPROVE = "An administrator must approve rebookd in the tenant of {account}; {approval}"
_CLOUD = (
    "The tenant of {account} belongs to another of Microsoft's clouds; set authority and endpoint to those "
    "of that one"
)
_CERTIFICATE = (
    "The app of {account} does not take this certificate; upload it in the app's registration, or make a new "
    "one where it has run out"
)
_PUBLIC = (
    "The app of {account} may not sign people in like this; in its registration, under Authentication, "
    "switch on 'Allow public client flows'"
)
_PLATFORM = (
    "The app of {account} is registered for another kind of program; add http://localhost in its "
    "registration, under 'Mobile and desktop applications'"
)
_OWN_TENANT = (
    "The app of {account} is not there for every tenant; set tenant to your organisation's id or domain"
)
_SCOPE = "Microsoft does not know all that was asked for in {account}; check authority and endpoint"
_RESOURCE = (
    "Microsoft Graph is not there for the tenant of {account}; check its tenant, authority and endpoint"
)
_PERMISSIONS = "The app of {account} lacks permissions; add them in its registration, under API permissions"
_INTERACTION = "Microsoft wants {account} to be signed in to anew; {cure}"
_PASSWORD = "The user name or the password was wrong; {cure}"  # nosec B105 # noqa: S105 - a sentence
_NEW_PASSWORD = "The password of {account} has run out; set a new one in a browser, and {cure}"  # nosec B105 # noqa: S105
_SECRET = (
    "The client_secret of {account} is wrong; take the secret's value from the app's registration, "  # nosec B105 # noqa: S105
    "not its id"
)

SENTENCES: Mapping[int, str] = {
    16000: _OTHER_USER,
    16001: _INTERACTION,
    16003: _OTHER_USER,
    28002: _SCOPE,
    50001: _RESOURCE,
    50005: _PLACE,
    50011: _PLATFORM,
    50012: _CERTIFICATE,
    50014: _OTHER_USER,
    50020: _OTHER_USER,
    50034: _OTHER_USER,
    50053: "The user of {account} is locked out, or this machine's address is; wait, or ask an administrator",
    50055: _NEW_PASSWORD,
    50056: _PASSWORD,
    50057: "The user of {account} is disabled; an administrator can enable them",
    50058: _INTERACTION,
    50059: _OWN_TENANT,
    50064: _PASSWORD,
    50072: _MORE_PROOF,
    50074: _MORE_PROOF,
    50076: _MORE_PROOF,
    50078: _MORE_PROOF,
    50079: _MORE_PROOF,
    50089: _AGAIN,
    50097: _PLACE,
    50105: (
        "The user of {account} is not assigned to the app; an administrator can do so under "
        "Enterprise applications"
    ),
    50126: _PASSWORD,
    50128: _NO_TENANT,
    50129: _PLACE,
    50131: _PLACE,
    50132: _AGAIN,
    50133: _AGAIN,
    50144: _NEW_PASSWORD,
    50158: _MORE_PROOF,
    50173: _AGAIN,
    50194: _OWN_TENANT,
    51004: _OTHER_USER,
    53000: _PLACE,
    53001: _PLACE,
    53002: _PLACE,
    53003: _PLACE,
    53004: _MORE_PROOF,
    53011: "The user of {account} is blocked as a risk; ask an administrator",
    54005: "This sign-in was used already; {cure}",
    65001: _CONSENT,
    65004: _CONSENT,
    65005: _PERMISSIONS,
    70000: _AGAIN,
    70001: "The app of {account} is not there or is disabled; check client_id in its registration",
    70002: _SECRET,
    70008: _AGAIN,
    70011: _SCOPE,
    70018: "The code was not taken; {cure}",
    70019: "The code was not entered in time; {cure}",
    70043: _AGAIN,
    90002: _NO_TENANT,
    90008: _CONSENT,
    90019: _NO_TENANT,
    90038: _CLOUD,
    90072: _OTHER_USER,
    90094: _APPROVE,
    90095: _APPROVE,
    90130: _OWN_TENANT,
    500011: _RESOURCE,
    500021: _NO_RULES,
    500022: _NO_RULES,
    500208: _OTHER_USER,
    500212: _NO_RULES,
    500213: _NO_RULES,
    501481: "This answer of the browser belongs to another sign-in; {cure}",
    530003: _PLACE,
    530032: _PLACE,
    530034: _PLACE,
    530035: _PLACE,
    650052: _RESOURCE,
    650056: _PERMISSIONS,
    650057: _PERMISSIONS,
    700011: _NO_APP,
    700016: _NO_APP,
    700020: _INTERACTION,
    700022: _SCOPE,
    700023: _SCOPE,
    700025: "The app of {account} is a public one, which takes neither client_secret nor certificate",
    700027: _CERTIFICATE,
    700030: _CERTIFICATE,
    700082: _AGAIN,
    700084: _AGAIN,
    900382: _CLOUD,
    900432: _CLOUD,
    7000112: "The app of {account} is disabled in its tenant; ask an administrator",
    7000215: _SECRET,
    7000218: _PUBLIC,
    7000222: "The client_secret of {account} has run out; make a new one in the app's registration",
    9001023: _OWN_TENANT,
    9002326: _PLATFORM,
    9002327: _PLATFORM,
    9002331: "The app of {account} is for personal accounts alone; set tenant: consumers",
    9002332: _OWN_TENANT,
}
"""Each number with what it is, and after the first semicolon the next move."""

TRANSIENT = frozenset(
    {40010, 50033, 50087, 50088, 50166, 50196, 70012, 80002, 80005}
    | {90006, 90012, 90024, 90033, 90055, 90090, 90091}
)
"""Numbers that pass by themselves."""

_LATER = frozenset({"temporarily_unavailable", "server_error", "service_unavailable"})
_WANTS_ANEW = frozenset({"invalid_grant", "interaction_required", "login_required", "consent_required"})
_CODE = re.compile(r"AADSTS(\d{4,10})")


class Refusal(NeedsLogin):
    """Microsoft said no: ``error`` is the word of RFC 6749 for it, ``codes`` are Microsoft's own numbers."""

    def __init__(self, said: Mapping[str, Any]) -> None:
        description = str(said.get("error_description") or "")
        numbers = said.get("error_codes")
        self.error = in_few_words(said.get("error"))
        self.codes = [one for one in numbers if isinstance(one, int)] if isinstance(numbers, list) else []
        self.codes += [int(found) for found in _CODE.findall(description) if int(found) not in self.codes]
        text = re.split(r"\s*(?:Trace ID|Correlation ID|Timestamp):", _CODE.sub("", description), maxsplit=1)[
            0
        ]
        self.text = in_few_words(text.lstrip(": "))
        super().__init__(f"Microsoft refused the sign-in ({self.code}). {self.text}".strip())

    @property
    def code(self) -> str:
        """What to look it up by."""
        return f"AADSTS{self.codes[0]}" if self.codes else self.error or "no reason given"

    def sentence(self, account: str, cure: str, approval: str = "") -> str:
        """What it means for ``account``; ``cure`` is what to do then, ``approval`` where to approve."""
        known = next((code for code in self.codes if code in SENTENCES), 0)
        told = SENTENCES.get(known, "")
        if not told and self.error in _WANTS_ANEW:
            told = "{self} It wants {account} to be signed in to anew; {cure}" if self.text else _AGAIN
        if not told:
            return f"{str(self).rstrip('.')}. If it stays so, {cure}"
        approve = f"have one open {approval}" if approval else f"ask for it, and {cure}"
        what, _, move = told.partition("; ")
        found = f"{what} ({f'AADSTS{known}' if known else self.code}); {move}"
        found = told if "{self}" in told else found
        return found.format(self=self, account=account, cure=cure, approval=approve)


def judge(said: Mapping[str, Any]) -> None:
    """Raise what an answer means that holds an error: Retryable or :class:`Refusal`."""
    if "error" not in said:
        return
    refusal = Refusal(said)
    if TRANSIENT & set(refusal.codes) or refusal.error in _LATER:
        wait = LOOP_WAIT if 50196 in refusal.codes else None
        raise Retryable(f"Microsoft cannot sign anybody in just now ({refusal.code}).", wait)
    raise refusal


__all__ = ["SENTENCES", "TRANSIENT", "Refusal", "judge"]
