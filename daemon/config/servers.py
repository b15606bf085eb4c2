"""The servers of the configuration file, and how to sign in to them."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from daemon.config.secret import Secret
from rules.faults import Fault, Faults, Strict, brief, fault
from rules.matchers import Words

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]+")


def is_loopback(host: str) -> bool:
    """Whether the host is this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _url(value: object) -> str:
    if not isinstance(value, str) or not value or not value.isprintable() or " " in value:
        raise fault("an address of a server is expected here", "write it like https://dav.example.net/")
    try:
        parts = urlsplit(value if "://" in value else f"https://{value}")
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise fault("this is not an address of a server", "write it like https://dav.example.net/") from None
    if parts.scheme not in {"http", "https"}:
        raise fault(
            f"'{brief(parts.scheme)}' is not one of https, http", "write it like https://dav.example.net/"
        )
    if "@" in parts.netloc:
        faults = [
            Fault(
                "user names and passwords do not belong in an address",
                "use username and password",
                secret=True,
            )
        ]
        raise Faults(faults)
    if not host or not _HOST.fullmatch(host) or parts.fragment:
        raise fault("this is not an address of a server", "write it like https://dav.example.net/")
    return value


ServerUrl = Annotated[str, BeforeValidator(_url), WithJsonSchema({"type": "string", "minLength": 1})]
"""The address of a server, or its host name alone."""


def endpoint_faults(endpoint: str, usual: str) -> list[Fault]:
    """What is wrong with the root of an API of calendars, which is usually ``usual``."""
    parts = urlsplit(endpoint)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        wrong = "http:// shows your calendar to everyone on the way"
        return [Fault(wrong, "use https://", ("endpoint",))]
    if not parts.scheme:
        return [Fault("a whole address is expected here", f"write it like {usual}", ("endpoint",))]
    return []


class CalDav(Strict):
    """A CalDAV server and who I am there."""

    url: Annotated[str, BeforeValidator(_url)] = Field(examples=["https://dav.example.net/", "example.net"])
    """The server, or just its host name; calendars are found from there."""
    username: Words | None = Field(None, examples=["dana"])
    """My user name there."""
    password: Secret | None = None
    """Where my password lies."""
    token: Secret | None = None
    """Where a bearer token lies, instead of a password."""
    auth: Literal["auto", "basic", "digest", "bearer"] = "auto"
    """How to sign in; auto asks the server."""
    insecure_http: bool = Field(False, strict=True)
    """Allow http:// to another machine, which shows the password to everyone on the way."""
    private_network: bool = Field(False, strict=True)
    """Let its name lead to a private address or to this machine, also where it is a public name; an address,
    localhost and names such as nas.lan may do so without."""

    @model_validator(mode="after")
    def _sense(self) -> Self:
        faults = _signs_in(self.username, self.password, self.token, (self.auth, "bearer"))
        parts = urlsplit(self.url)
        if parts.scheme == "http" and not self.insecure_http and not is_loopback(parts.hostname or ""):
            faults.append(
                Fault("http:// shows your password to everyone on the way", "use https://", ("url",))
            )
        if faults:
            raise Faults(faults)
        return self


def _signs_in(
    username: str | None, password: Secret | None, token: Secret | None, auth: tuple[str, str]
) -> list[Fault]:
    """What is wrong with a way of signing in; ``auth`` is the one chosen and the one that takes a token."""
    chosen, by_token = auth
    if password and token:
        return [Fault("give a password or a token, not both", "take one out", ("token",), "key")]
    if chosen == by_token and not token:
        return [Fault(f"'auth: {chosen}' needs a token", "add token: {env: NAME}", ("auth",))]
    if chosen not in {"auto", by_token} and not password:
        return [Fault(f"'auth: {chosen}' needs a password", "add password: {env: NAME}", ("auth",))]
    if password and not username:
        return [Fault("a password needs a username", "add username", ("password",), "key")]
    if username and not password and not token:
        return [Fault("a username needs a password", "add password: {env: NAME}", ("username",), "key")]
    return []


def _host(value: object) -> str:
    if not isinstance(value, str) or not _HOST.fullmatch(value):
        raise fault("a host name is expected here", "write it like mail.example.net")
    return value


Host = Annotated[str, BeforeValidator(_host), WithJsonSchema({"type": "string", "minLength": 1})]
"""A host name or IP address."""

_PORTS = {"starttls": 587, "tls": 465, "none": 25}


class Smtp(Strict):
    """The server that takes my mail."""

    host: Host = Field(examples=["mail.example.net"])
    """Its name."""
    port: Annotated[int, Field(strict=True, ge=1, le=65535)] | None = Field(None, examples=[587])
    """Its port; without it 587 for starttls, 465 for tls, 25 for none."""
    security: Literal["starttls", "tls", "none"] = "starttls"
    """How the connection is protected."""
    username: Words | None = Field(None, examples=["dana"])
    """My user name there."""
    password: Secret | None = None
    """Where my password lies."""
    token: Secret | None = None
    """Where an OAuth access token lies, instead of a password (XOAUTH2)."""
    auth: Literal["auto", "plain", "login", "xoauth2"] = "auto"
    """How to sign in; auto takes the best the server offers."""
    helo: Host | None = Field(None, examples=["laptop.example.net"])
    """The name to greet with; without it, this machine's."""

    @property
    def port_number(self) -> int:
        """The port given, or the usual one for the way the connection is protected."""
        return self.port or _PORTS[self.security]

    @model_validator(mode="after")
    def _sense(self) -> Self:
        faults = _signs_in(self.username, self.password, self.token, (self.auth, "xoauth2"))
        if self.token and not self.username:
            faults.append(Fault("a token needs a username", "add username", ("token",), "key"))
        if self.security == "none" and (self.password or self.token) and not is_loopback(self.host):
            hint = "use starttls or tls"
            faults.append(
                Fault("'security: none' shows your password to everyone on the way", hint, ("security",))
            )
        if faults:
            raise Faults(faults)
        return self


_IMAP_PORTS = {"tls": 993, "starttls": 143, "none": 143}


class Imap(Strict):
    """The mailbox where replies are read and drafts are put."""

    host: Host = Field(examples=["mail.example.net"])
    """Its server's name."""
    port: Annotated[int, Field(strict=True, ge=1, le=65535)] | None = Field(None, examples=[993])
    """Its server's port; without it 993 for tls, 143 for starttls and none."""
    security: Literal["tls", "starttls", "none"] = "tls"
    """How the connection is protected; none only on this machine."""
    username: Words = Field(examples=["dana"])
    """My user name there."""
    password: Secret
    """Where my password lies."""
    inbox: Words = Field("INBOX", examples=["INBOX", "Replies"])
    """The folder where replies arrive; it is only looked at."""
    drafts: Words | None = Field(None, examples=["Drafts", "INBOX.Drafts"])
    """The folder of drafts; without it, the one the server calls so."""
    sent: Words | None = Field(None, examples=["Sent", "INBOX.Sent"])
    """The folder of sent mail; without it, the one the server calls so."""

    @property
    def port_number(self) -> int:
        """The port given, or the usual one for the way the connection is protected."""
        return self.port or _IMAP_PORTS[self.security]

    @model_validator(mode="after")
    def _sense(self) -> Self:
        if self.security == "none" and not is_loopback(self.host):
            raise fault(
                "'security: none' shows your password to everyone on the way",
                "use tls or starttls",
                "security",
            )
        return self


class WebhookConfig(Strict):
    """An address of mine that is told things by a signed POST."""

    url: Annotated[str, BeforeValidator(_url)] = Field(examples=["https://crm.example.net/rebookd"])
    """Where to post to."""
    secret: Secret
    """Where the secret lies that signs what is posted."""
    insecure_http: bool = Field(False, strict=True)
    """Allow http:// to another machine, which shows what is posted to everyone on the way."""
    private_network: bool = Field(False, strict=True)
    """Let its name lead to a private address or to this machine, also where it is a public name; an address,
    localhost and names such as nas.lan may do so without."""

    @model_validator(mode="after")
    def _sense(self) -> Self:
        if "://" not in self.url:
            raise fault(
                "a whole address is expected here", "write it like https://crm.example.net/rebookd", "url"
            )
        parts = urlsplit(self.url)
        if parts.scheme == "http" and not self.insecure_http and not is_loopback(parts.hostname or ""):
            raise fault("http:// shows what is posted to everyone on the way", "use https://", "url")
        return self
