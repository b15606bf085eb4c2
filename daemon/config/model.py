"""The configuration file's grammar: who I am, my accounts, how mail leaves."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, ClassVar, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from daemon.config.holiday_calendar import HolidayCode
from daemon.config.secret import Secret
from rules.faults import Fault, Faults, Strict, brief, closest, fault, shown
from rules.fields import (
    MailAddress,
    Name,
    NonEmpty,
    OneOrMany,
    Span,
    Text,
    Version,
    address,
    duplicates,
    span,
)
from rules.matchers import Words
from rules.model import Account as SeenAccount
from rules.model import Address, Marks
from rules.timetable import WeeklyHours

Language = Literal["en", "pt"]


def _zone(value: object) -> str:
    if not isinstance(value, str):
        raise fault(f"a time zone is expected here, not {shown(value)}", "write it like Europe/Lisbon")
    try:
        return ZoneInfo(value).key
    except (LookupError, ValueError, OSError):
        names = available_timezones()
        cities = {name.rsplit("/", 1)[-1]: name for name in sorted(names)}
        hint = closest(value, names) or closest(value, cities)
        city = hint.removeprefix("did you mean '").removesuffix("'?")
        hint = f"did you mean '{cities[city]}'?" if city in cities else hint
        raise fault(f"'{brief(value)}' is not a time zone", hint or "write it like Europe/Lisbon") from None


Zone = Annotated[
    str,
    BeforeValidator(_zone),
    WithJsonSchema({"type": "string", "examples": ["Europe/Lisbon", "America/New_York", "UTC"]}),
]
"""An IANA time zone name."""


def _each_once(values: tuple[Address, ...]) -> tuple[Address, ...]:
    if faults := duplicates(values):
        raise Faults(faults)
    return values


class Me(Strict):
    """The person rebookd works for."""

    name: Words = Field(examples=["Dana Reyes"])
    """My name, as it signs mails."""
    addresses: Annotated[tuple[MailAddress, ...], OneOrMany(), AfterValidator(_each_once)] = Field(
        examples=[["dana@va.example", "dana@acme.example"]]
    )
    """Every address that is me; the first is where I am told things."""
    time_zone: Zone = Field(examples=["Europe/Lisbon"])
    """Where I am."""
    working_hours: WeeklyHours | None = None
    """When I work; without it, Monday to Friday 09:00-17:00."""
    holidays: HolidayCode | None = None
    """Whose public holidays I keep: a country, or a country and its part."""
    language: Language = "en"
    """The language of mails to me, and to others unless their account says otherwise."""


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


def _interval(value: Span) -> Span:
    if value.business_days or not timedelta(seconds=1) <= value.delta <= timedelta(days=1):
        raise fault("must be between 1s and 1 day", "write it like 5m")
    return value


class AccountConfig(Strict):
    """One account: exactly one kind of calendar, and what is to be known of it."""

    later: ClassVar[frozenset[str]] = frozenset({"google", "outlook"})

    caldav: CalDav
    """A CalDAV server."""
    calendars: Annotated[tuple[Words, ...], OneOrMany()] | None = Field(None, examples=[["Client calls"]])
    """Names or addresses of the calendars to look at; without it, all I can read."""
    poll_every: Annotated[Span, AfterValidator(_interval)] = Field(span("5m"), examples=["5m", "1h"])
    """How often to look: every second at most, once a day at least."""
    client: Words | None = Field(None, examples=["Acme"])
    """The client this account belongs to; nothing about one client is told to another."""
    language: Language | None = None
    """The language of mails to this account's people."""
    time_zone: Zone | None = None
    """Where this account's people are, when their invitations do not say."""
    rsvp: Literal["trusted", "untrusted"] = "trusted"
    """untrusted: answers in this calendar are not to be believed, since they never arrive there."""

    def seen(self, name: str) -> SeenAccount:
        """The account as a decision sees it before its first poll."""
        return SeenAccount(
            name=name,
            client=self.client,
            language=self.language,
            time_zone=self.time_zone,
            rsvp_trusted=self.rsvp == "trusted",
            stale_after=max(timedelta(minutes=30), 3 * self.poll_every.delta),
        )


@dataclass(frozen=True, slots=True)
class Mailbox(Text):
    """A name with its mail address."""

    what: ClassVar[str] = "a name with its mail address"
    examples: ClassVar[tuple[str, ...]] = ("Dana Reyes <dana@va.example>", "dana@va.example")
    pattern: ClassVar[str] = "^([^<>@]*<[^<>@ ]+@[^<>@ ]+>|[^<>@ ]+@[^<>@ ]+)$"

    name: str
    address: Address

    def __str__(self) -> str:
        return f"{self.name} <{self.address}>" if self.name else str(self.address)

    @classmethod
    def parse(cls, text: str) -> Self:
        """``Dana Reyes <dana@va.example>`` or an address alone."""
        found = re.fullmatch(r"\s*([^<>]*?)\s*<([^<>]*)>\s*", text)
        name, plain = (found[1].strip('"').strip(), found[2]) if found else ("", text)
        if not name.isprintable():
            raise fault("the name holds a character that cannot be seen", "write it anew")
        return cls(name, address(plain))


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


class Mail(Strict):
    """How mail leaves."""

    later: ClassVar[frozenset[str]] = frozenset({"account"})

    sender: Mailbox = Field(alias="from", examples=["Dana Reyes <dana@va.example>"])
    """Whom mails are from."""
    smtp: Smtp
    """The server that takes them."""


class MarksConfig(Strict):
    """Title prefixes or categories by which I say in any calendar app what became of a meeting."""

    held: Annotated[tuple[Words, ...], OneOrMany()] = Marks().held
    """It took place."""
    missed: Annotated[tuple[Words, ...], OneOrMany()] = Marks().missed
    """The others did not come."""
    missed_by_me: Annotated[tuple[Words, ...], OneOrMany()] = Marks().missed_by_me
    """I did not come."""


def _state(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise fault(f"a path is expected here, not {shown(value)}", "write it like state.db")
    if "://" in value:
        raise fault("only a file is possible in this version", "write a path, such as state.db")
    return value


def _some_accounts(value: object) -> object:
    if value is None or value == {}:
        raise fault("there is no account", "add one under a name of your own")
    return value


class Config(Strict):
    """The whole configuration file."""

    later: ClassVar[frozenset[str]] = frozenset({"answers", "digest"})

    version: Version = Field(examples=[1])
    """The version of this file's grammar: 1."""
    me: Me
    """Who I am."""
    state: Annotated[str, BeforeValidator(_state), WithJsonSchema({"type": "string"})] = Field(
        "state.db", examples=["state.db", "/var/lib/rebookd/state.db"]
    )
    """The file that remembers what was seen and sent, relative to this one."""
    accounts: Annotated[dict[Name, AccountConfig], BeforeValidator(_some_accounts)] = Field(
        json_schema_extra={"additionalProperties": False, "minProperties": 1}
    )
    """My calendar accounts, each under a name of my own."""
    mail: Mail
    """How mail leaves."""
    rules: Annotated[tuple[Words, ...], OneOrMany(), *NonEmpty] = ("rules.yaml",)
    """The files of rules, relative to this one."""
    marks: MarksConfig = MarksConfig()
    """How I mark meetings in my calendar."""
