"""An Outlook account of the configuration file, at Microsoft 365 or outlook.com, and how to sign in to it."""

from __future__ import annotations

import re
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from daemon.config.secret import Secret
from daemon.config.servers import ServerUrl, endpoint_faults
from rules.faults import Fault, Faults, Strict, fault, shown
from rules.fields import MailAddress

AUTHORITY = "https://login.microsoftonline.com"
ENDPOINT = "https://graph.microsoft.com/v1.0"

SHARED = frozenset({"common", "organizations", "consumers"})
"""What stands for more than one tenant: everybody, all organisations, personal accounts."""

_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_DOMAIN = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})+")
_NO_ID = "00000000-0000-0000-0000-000000000000"


def _guid(value: object) -> str:
    if not isinstance(value, str) or not _GUID.fullmatch(value):
        raise fault(
            f"a client_id is expected here, not {shown(value)}",
            f"copy the Application (client) ID of the app's registration; it looks like {_NO_ID}",
        )
    return value.lower()


def _tenant(value: object) -> str:
    if isinstance(value, str) and value.lower() in SHARED:
        return value.lower()
    if not isinstance(value, str) or not (_GUID.fullmatch(value) or _DOMAIN.fullmatch(value)):
        raise fault(
            f"a tenant is expected here, not {shown(value)}",
            "write common, organizations, consumers, or the organisation's id or domain",
        )
    return value.lower()


class Outlook(Strict):
    """An Outlook account: its calendars, who came to its Teams calls, its mailbox where `mail` names it."""

    client_id: Annotated[str, BeforeValidator(_guid), WithJsonSchema({"type": "string", "minLength": 1})] = (
        Field(examples=[_NO_ID])
    )
    """The Application (client) ID of the app's registration in Microsoft Entra."""
    tenant: Annotated[str, BeforeValidator(_tenant), WithJsonSchema({"type": "string", "minLength": 1})] = (
        Field("common", examples=["common", "organizations", "consumers", "initech.example"])
    )
    """Whose accounts may sign in: everybody's, all organisations', personal ones, or one organisation's,
    by its id or domain."""
    authority: ServerUrl = Field(AUTHORITY, examples=[AUTHORITY, "https://login.microsoftonline.us"])
    """Where to sign in, for national clouds."""
    endpoint: ServerUrl = Field(ENDPOINT, examples=[ENDPOINT, "https://graph.microsoft.us/v1.0"])
    """The root of Microsoft Graph with its version, for national clouds and private gateways."""
    private_network: bool = Field(False, strict=True)
    """Let the name of such a gateway lead to a private address or to this machine."""
    client_secret: Secret | None = Field(None, examples=[{"credential": "initech"}])
    """Where the app's client secret lies, where the app signs in for itself and nobody else does."""
    certificate: Secret | None = Field(None, examples=[{"credential": "initech.pem"}])
    """Where the app's certificate lies, instead of a client secret: the PEM text of its private key and its
    own, one after the other."""
    user: MailAddress | None = Field(None, examples=["dana@initech.example"])
    """Whose mailbox it is, where the app signs in for itself."""
    attendance: bool = Field(True, strict=True)
    """Ask Teams who came, where a rule wants to know."""

    @property
    def app_only(self) -> bool:
        """Whether the app signs in for itself."""
        return bool(self.client_secret or self.certificate)

    @model_validator(mode="after")
    def _sense(self) -> Self:
        faults = [*self._ways(), *self._places()]
        if faults:
            raise Faults(faults)
        return self

    def _ways(self) -> list[Fault]:
        """What is wrong with how it signs in."""
        if self.client_secret and self.certificate:
            wrong = "give client_secret or certificate, not both"
            return [Fault(wrong, "take one out", ("certificate",), "key")]
        if not self.app_only:
            if not self.user:
                return []
            hint = "take it out; the mailbox is that of whoever signs in"
            return [Fault("a user belongs to a client_secret or a certificate", hint, ("user",), "key")]
        faults = []
        key = "client_secret" if self.client_secret else "certificate"
        if not self.user:
            hint = "add user: dana@initech.example"
            faults.append(Fault("an app that signs in for itself needs a user", hint, (key,), "key"))
        if self.tenant in SHARED:
            hint = "write tenant: with the organisation's id or domain"
            wrong = f"an app that signs in for itself needs its own tenant, not {self.tenant}"
            written = "tenant" in self.model_fields_set
            faults.append(Fault(wrong, hint, ("tenant",)) if written else Fault(wrong, hint, (key,), "key"))
        return faults

    def _places(self) -> list[Fault]:
        """What is wrong with where it asks."""
        faults = endpoint_faults(self.endpoint, ENDPOINT)
        if not faults and not urlsplit(self.endpoint).path.strip("/"):
            hint = f"write it like {ENDPOINT}"
            faults.append(Fault("the version of Microsoft Graph is missing here", hint, ("endpoint",)))
        parts = urlsplit(self.authority)
        if parts.scheme == "http":
            wrong = "http:// shows your sign-in to everyone on the way"
            faults.append(Fault(wrong, "use https://", ("authority",)))
        elif not parts.scheme:
            hint = f"write it like {AUTHORITY}"
            faults.append(Fault("a whole address is expected here", hint, ("authority",)))
        elif parts.path.strip("/") or parts.query:
            hint = "write the server alone, and what follows it under tenant:"
            faults.append(Fault("an authority has no path", hint, ("authority",)))
        return faults
