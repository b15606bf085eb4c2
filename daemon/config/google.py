"""A Google account of the configuration file, and how to sign in to it."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from daemon.config.secret import Secret
from daemon.config.servers import ServerUrl, endpoint_faults
from rules.faults import Fault, Faults, Strict
from rules.fields import MailAddress

ENDPOINT = "https://www.googleapis.com"


class Google(Strict):
    """A Google account: its calendars, who came to its Meet calls, and its mailbox where `mail` names it."""

    client_secret: Secret | None = Field(None, examples=[{"file": "client_secret.json"}])
    """Where the JSON of an OAuth client of type Desktop app lies; I sign in with rebookd auth."""
    service_account: Secret | None = Field(None, examples=[{"credential": "google-key"}])
    """Where the JSON key of a service account lies that may act for the subject; nobody signs in."""
    subject: MailAddress | None = Field(None, examples=["dana@acme.example"])
    """Whom the service account acts for."""
    endpoint: ServerUrl = Field(ENDPOINT, examples=[ENDPOINT])
    """The root of all three APIs, for private gateways."""
    private_network: bool = Field(False, strict=True)
    """Let the name of that gateway lead to a private address or to this machine."""
    attendance: bool = Field(True, strict=True)
    """Ask Google Meet who came, where a rule wants to know."""

    @model_validator(mode="after")
    def _sense(self) -> Self:
        faults = []
        if self.client_secret and self.service_account:
            wrong = "give client_secret or service_account, not both"
            faults.append(Fault(wrong, "take one out", ("service_account",), "key"))
        elif not self.client_secret and not self.service_account:
            hint = "add client_secret: {file: client_secret.json}"
            faults.append(Fault("a Google account needs a client_secret or a service_account", hint))
        elif self.service_account and not self.subject:
            hint = "add subject: dana@acme.example"
            faults.append(Fault("a service account needs a subject", hint, ("service_account",), "key"))
        if self.subject and not self.service_account:
            wrong = "a subject belongs to a service_account"
            faults.append(Fault(wrong, "take it out", ("subject",), "key"))
        faults += endpoint_faults(self.endpoint, ENDPOINT)
        if faults:
            raise Faults(faults)
        return self
