"""The configuration file's grammar: who I am, my accounts, how mail leaves. Servers: ``servers.py``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    WithJsonSchema,
    model_validator,
)

from daemon.config.answers import Answers
from daemon.config.dashboard import Dashboard
from daemon.config.google import Google
from daemon.config.holiday_calendar import HolidayCode
from daemon.config.outlook import Outlook
from daemon.config.secret import Secret
from daemon.config.servers import CalDav, Imap, Smtp, WebhookConfig
from rules.faults import Faults, Strict, fault, not_one_of, shown
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
from rules.policy import Digest, Mode
from rules.timetable import WeeklyHours, Zone

Language = Literal["en", "pt"]


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


def _one_of(*keys: str) -> dict[str, JsonValue]:
    """For the JSON Schema: exactly one of these keys is there."""
    return {"oneOf": [{"required": [key]} for key in keys]}


def _interval(value: Span) -> Span:
    if value.business_days or not timedelta(seconds=1) <= value.delta <= timedelta(days=1):
        raise fault("must be between 1s and 1 day", "write it like 5m")
    return value


def _while(value: Span) -> Span:
    if value.business_days or not timedelta(seconds=1) <= value.delta <= timedelta(hours=12):
        raise fault("must be between 1s and 12h", "write it like 10m")
    return value


class Attendance(Strict):
    """Who counts as having been in a call, where its records can be read."""

    grace: Annotated[Span, AfterValidator(_while)] = Field(span("10m"), examples=["10m"])
    """Whoever joins sooner than this after the start was there."""
    min_presence: Annotated[Span, AfterValidator(_while)] = Field(span("5m"), examples=["5m"])
    """Whoever stays this long was there, however late they came."""


class AccountConfig(Strict):
    """One account: exactly one kind of calendar, and what is to be known of it."""

    model_config = ConfigDict(json_schema_extra=_one_of("caldav", "google", "outlook"))

    caldav: CalDav | None = None
    """A CalDAV server."""
    google: Google | None = None
    """A Google account."""
    outlook: Outlook | None = None
    """An Outlook account, at Microsoft 365 or outlook.com."""
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
    mode: Mode = Mode.AUTO
    """How far rules may go by themselves for this account, whatever they say."""
    attendance: Attendance = Attendance()
    """Who counts as having been in a call."""

    @model_validator(mode="after")
    def _sense(self) -> Self:
        kinds = [name for name in ("caldav", "google", "outlook") if getattr(self, name)]
        if len(kinds) > 1:
            wrong = "an account is of one kind: caldav, google or outlook"
            raise fault(wrong, "take one out", kinds[1], at="key")
        if not kinds:
            raise fault("an account needs its calendars' server", "add caldav:, google: or outlook:")
        return self

    def seen(self, name: str) -> SeenAccount:
        """The account as a decision sees it before its first poll."""
        return SeenAccount(
            name=name,
            client=self.client,
            language=self.language,
            time_zone=self.time_zone,
            rsvp_trusted=self.rsvp == "trusted",
            mode=self.mode.value,
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


class Mail(Strict):
    """How mail leaves."""

    model_config = ConfigDict(json_schema_extra=_one_of("smtp", "account"))

    sender: Mailbox = Field(alias="from", examples=["Dana Reyes <dana@va.example>"])
    """Whom mails are from."""
    smtp: Smtp | None = None
    """The server that takes them."""
    account: Name | None = Field(None, examples=["acme"])
    """The Google or Outlook account whose own mailbox sends them and holds drafts, instead of a server."""
    imap: Imap | None = None
    """My mailbox, where replies are read and the drafts of rules with mode: draft are put."""
    replies: bool = Field(True, strict=True)
    """false: what is replied to my mails is not read."""
    plus_address: bool = Field(False, strict=True)
    """true: replies go to name+rebookd-…@ of mine, which my mailbox takes, so that each is known for what it
    answers."""

    @property
    def reads_replies(self) -> bool:
        """Whether there is a mailbox whose replies are read."""
        return self.replies and bool(self.imap or self.account)

    @model_validator(mode="after")
    def _sense(self) -> Self:
        if self.smtp and self.account:
            raise fault("mail leaves one way: smtp or account", "take one out", "account", at="key")
        if not self.smtp and not self.account:
            hint = "add smtp: {host: …}, or account: with a Google or Outlook account"
            raise fault("mail needs a way to leave", hint)
        if self.imap and self.account:
            hint = "take it out; drafts lie in the account's own mailbox"
            raise fault("imap goes with smtp, not with account", hint, "imap", at="key")
        return self


class MarksConfig(Strict):
    """Title prefixes or categories by which I say in any calendar app what a meeting is or became."""

    held: Annotated[tuple[Words, ...], OneOrMany()] = Marks().held
    """It took place."""
    missed: Annotated[tuple[Words, ...], OneOrMany()] = Marks().missed
    """The others did not come."""
    missed_by_me: Annotated[tuple[Words, ...], OneOrMany()] = Marks().missed_by_me
    """I did not come."""
    away: Annotated[tuple[Words, ...], OneOrMany()] = Marks().away
    """I am out of office while this lasts."""


DATABASES = ("postgresql://", "postgres://")
"""How the address of a state begins that is a database."""


def _state(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise fault(f"a path is expected here, not {shown(value)}", "write it like state.db")
    if "://" in value and not value.startswith(DATABASES):
        wrong = "a state is a file, or a database whose address begins with postgresql://"
        raise fault(wrong, "write it like state.db or postgresql://rebookd@db.example/rebookd")
    if "://" in value and not re.match(r"[a-z]+://[^/]*/[^/?#]+", value):
        raise fault("the address names no database", "write it like postgresql://rebookd@db.example/rebookd")
    return value


OWNER = "[a-z0-9_-]{1,60}"
"""What an owner may be called."""

_OWNER_SCHEMA: dict[str, JsonValue] = {"type": "string", "pattern": f"^{OWNER}$"}


def _owner(value: object) -> object:
    if value is not None and not (isinstance(value, str) and re.fullmatch(OWNER, value)):
        wrong = f"an owner's name has lower-case letters, digits, - and _, at most 60; {shown(value)} is none"
        raise fault(wrong, "write it like dana")
    return value


def _some_accounts(value: object) -> object:
    if value is None or value == {}:
        raise fault("there is no account", "add one under a name of your own")
    return value


class Config(Strict):
    """The whole configuration file."""

    version: Version = Field(examples=[1])
    """The version of this file's grammar: 1."""
    me: Me
    """Who I am."""
    owner: Annotated[str, BeforeValidator(_owner), WithJsonSchema(_OWNER_SCHEMA)] | None = Field(
        None, examples=["dana"]
    )
    """Under which name the state keeps what is mine; without it, the name of this file or its folder in a
    deployment of several owners, else default."""
    state: Annotated[str, BeforeValidator(_state), WithJsonSchema({"type": "string"})] = Field(
        "state.db",
        examples=["state.db", "/var/lib/rebookd/state.db", "postgresql://rebookd@db.example/rebookd"],
    )
    """The file that remembers what was seen and sent, relative to this one; or the address of a PostgreSQL
    database, best without its password."""
    key: Secret | None = Field(None, examples=[{"credential": "rebookd-key"}])
    """Where the key lies that sign-ins are encrypted with; without it, the credential rebookd-key, or a file
    beside the state that the first sign-in makes."""
    accounts: Annotated[dict[Name, AccountConfig], BeforeValidator(_some_accounts)] = Field(
        json_schema_extra={"additionalProperties": False, "minProperties": 1}
    )
    """My calendar accounts, each under a name of my own."""
    mail: Mail
    """How mail leaves."""
    answers: Answers | None = None
    """Pages on which people answer with a click; without it, mails ask for a reply."""
    dashboard: Dashboard | None = Field(None, examples=[{"listen": "127.0.0.1:8471"}])
    """A page on which I see how things stand and decide on what waits; without it there is none."""
    webhooks: dict[Name, WebhookConfig] = Field({}, json_schema_extra={"additionalProperties": False})
    """Addresses of mine that rules may tell things, each under a name of my own."""
    rules: Annotated[tuple[Words, ...], OneOrMany(), *NonEmpty] = ("rules.yaml",)
    """The files of rules, relative to this one."""
    marks: MarksConfig = MarksConfig()
    """How I mark meetings in my calendar."""
    digest: Digest | None = Field(None, examples=[{"at": "08:00", "on": "weekdays"}])
    """When to tell me how things stand; it may stand in a rules file instead."""

    @model_validator(mode="after")
    def _sense(self) -> Self:
        name = self.mail.account
        mailboxes = [each for each, account in self.accounts.items() if account.google or account.outlook]
        if name and name not in self.accounts:
            raise Faults([not_one_of(name, self.accounts).under("mail", "account")])
        if name and name not in mailboxes:
            wrong = f"{name} is no Google or Outlook account, so it has no mailbox here"
            raise fault(wrong, "use smtp:, or name a Google or Outlook account", "mail", "account")
        if self.answers and self.dashboard and self.answers.listen == self.dashboard.listen:
            wrong = "the answer pages listen here already, and the dashboard is not for everybody"
            raise fault(wrong, "name another port", "dashboard", "listen")
        return self
