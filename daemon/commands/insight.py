"""Looking: ``plan`` and ``status``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from daemon import health
from daemon.carriers import Parcel
from daemon.commands.bars import Bars
from daemon.commands.context import (
    clock,
    console,
    everybody,
    local,
    opened,
    print_json,
    rehearsal_store,
)
from daemon.config.settings import Settings
from daemon.decide import Decider
from daemon.exits import WOULD_SEND, gravest, of_troubles
from daemon.foresight import Foresight, Written, foresee, write_all
from daemon.health import AccountHealth
from daemon.mail.message import Mail
from daemon.mail.readable import readable
from daemon.office import Office
from daemon.store import agenda
from daemon.store.engine import Store
from rules.model import Intent, Upcoming
from rules.plan import evaluate

NEXT = 20
"""How many coming steps ``status`` looks for."""


def _instant(_ctx: click.Context, _param: click.Parameter, value: str | None) -> datetime | None:
    if value is None:
        return None
    try:
        at = datetime.fromisoformat(value)
    except ValueError as error:
        raise click.BadParameter("write it like 2026-03-02T09:00:00Z") from error
    if at.tzinfo is None:
        raise click.BadParameter("say its offset too, like 2026-03-02T09:00:00Z")
    return at


@contextmanager
def looking_ahead(settings: Settings) -> Iterator[Office]:
    """An office around a throw-away copy of the store."""
    with rehearsal_store(settings) as store:
        office = Office(settings, store, clock)
        try:
            yield office
        finally:
            office.close()


@click.command()
@click.option("--at", callback=_instant, metavar="TIME", help="As if it were this time (RFC 3339).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--show", is_flag=True, help="Print the exact mails.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 10 when something would be sent.")
@click.pass_context
def plan(ctx: click.Context, at: datetime | None, as_json: bool, show: bool, detailed_exitcode: bool) -> None:
    """Poll, and print what would be sent now and what is next. Sends and stores nothing."""
    asked = everybody(ctx)
    told: list[tuple[Settings, dict[str, object]]] = []
    codes = [asked.code]
    for settings in asked.owners:
        with looking_ahead(settings) as office:
            with Bars() as bars:
                found = foresee(office, at, bars.tell)
            mails = write_all(office, (*found.intents, *found.held), found.now)
        if as_json:
            told.append((settings, _as_dict(found, mails, show=show)))
        else:
            asked.heading(settings)
            _print_plan(found, mails if show else {}, settings)
        kinds = {trouble.kind for trouble in found.troubles} - {"unreadable"}
        would_send = detailed_exitcode and found.intents and not kinds
        codes.append(WOULD_SEND if would_send else of_troubles(kinds))
    if as_json:
        print_json(asked.together(told))
    ctx.exit(gravest(codes))


def _words(mail: Written) -> str:
    if isinstance(mail, Parcel):
        return mail.words
    return readable(mail.raw) if isinstance(mail, Mail) else f"It cannot be written: {mail}"


def _as_dict(found: Foresight, mails: dict[str, Written], *, show: bool) -> dict[str, object]:
    problems = [
        {"account": one.account, "kind": one.kind, "message": one.message, "calendar": one.calendar}
        for one in found.troubles
    ]
    return {
        "now": found.now,
        "intents": [_intent(one, mails[one.intent_key], show=show) for one in found.intents],
        "held": [_intent(one, mails[one.intent_key], show=show) for one in found.held],
        "upcoming": [
            {
                "at": one.at,
                "rule": one.rule,
                "step": one.step,
                "uid": one.key.uid,
                "recurrence_id": one.key.recurrence_id,
                "account": one.key.calendar.account,
                "to": one.to,
            }
            for one in found.upcoming
        ],
        "withheld": [
            {
                "rule": one.rule,
                "step": one.step,
                "account": one.key.calendar.account,
                "uid": one.key.uid,
                "to": one.to,
                "why": one.why,
                "until": one.until,
            }
            for one in found.withheld
        ],
        "problems": problems,
    }


def _intent(one: Intent, mail: Written, *, show: bool) -> dict[str, object]:
    shown = {"mail": _words(mail)} if show else {}
    return shown | {
        "rule": one.rule,
        "step": one.step,
        "do": one.do,
        "mode": one.mode,
        "account": one.key.calendar.account,
        "calendar": one.key.calendar.id,
        "uid": one.key.uid,
        "recurrence_id": one.key.recurrence_id,
        "start": one.start,
        "to": one.to,
        "subject": mail.subject if isinstance(mail, Mail | Parcel) else "",
        "reason": one.reason,
        "until": one.until,
    }


def _print_plan(found: Foresight, mails: dict[str, Written], settings: Settings) -> None:
    zone, out = settings.owner.zone, console()
    out.print(Text(f"{local(found.now, zone)} {zone}", style="bold"))
    for trouble in found.troubles:
        out.print(Text(f"! {trouble.account}: {trouble.message}", style="red"))
    out.print(Text("Would be sent now", style="bold") if found.intents else "Nothing would be sent now")
    for one in found.intents:
        out.print(Text(f"  {one.rule}/{one.step}: {one.do} to {one.to} ({one.reason})"))
        _print_mail(out, mails.get(one.intent_key))
    for one in found.held:
        out.print(Text(f"  would wait for your word: {one.rule}/{one.step}: {one.do} to {one.to}"))
        _print_mail(out, mails.get(one.intent_key))
    for held in found.withheld:
        what = f"{held.rule}/{held.step} to {held.to} about {held.key.uid}"
        out.print(Text(f"  withheld: {what}: {held.why}", style="dim"))
    if found.upcoming:
        out.print(Text("Next, if nothing changes", style="bold"))
    for coming in found.upcoming[:NEXT]:
        what = f"{coming.rule}/{coming.step} to {coming.to} about {coming.key.uid}"
        out.print(Text(f"  {local(coming.at, zone)}  {what}"))


def _print_mail(out: Console, mail: Written | None) -> None:
    if mail is not None:
        out.print(Text("\n".join("    │ " + line for line in _words(mail).splitlines())))


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def status(ctx: click.Context, as_json: bool) -> None:
    """Show how fresh each calendar is, what waits in the outbox, and what happens next."""
    asked = everybody(ctx)
    told = [(settings, _standing(settings)) for settings in asked.owners]
    if as_json:
        print_json(asked.together(told))
    else:
        for settings, found in told:
            asked.heading(settings)
            _print_status(found, settings)
    ctx.exit(asked.code)


def _standing(settings: Settings) -> dict[str, object]:
    if settings.has_state():
        with opened(settings) as store:
            return status_of(store, settings, clock.now())
    return {
        "accounts": [
            _account(health.account(settings, name, None, [], clock.now())) for name in settings.accounts
        ],
        "outbox": {},
        "next": [],
    }


def status_of(store: Store, settings: Settings, now: datetime) -> dict[str, object]:
    """What ``status --json`` prints."""
    decider = Decider(store, settings)
    with store.read() as conn:
        standing = health.look(conn, settings, now)
        seen = decider.snapshot(conn, agenda.soonest(conn, NEXT), now)
        policy = decider.policy(conn, now)
    soonest: dict[tuple[str, str, str], Upcoming] = {}  # of a series only what comes first
    for one in evaluate(seen, policy, now).upcoming:
        soonest.setdefault((one.rule, one.step, one.key.uid), one)
    titles = {one.key: one.title or one.key.uid for one in seen.subjects}
    return {
        "accounts": [_account(one) for one in standing.accounts],
        "outbox": {state.value: count for state, count in standing.outbox.items()},
        "next": [
            {
                "at": one.at,
                "what": f"{one.rule}/{one.step} to {one.to} about {titles[one.key]}",
                "uid": one.key.uid,
            }
            for one in list(soonest.values())[:NEXT]
        ],
    }


def _account(one: AccountHealth) -> dict[str, object]:
    return {
        "name": one.name,
        "kind": one.kind,
        "state": one.state,
        "last_ok": one.seen_at,
        "calendars": [
            {
                "name": each.name,
                "id": each.id,
                "events": each.events,
                "last_ok": each.seen_at,
                "fresh": each.fresh,
            }
            for each in one.calendars
        ],
        "error": one.error,
    }


def _print_status(found: dict[str, object], settings: Settings) -> None:
    zone, out = settings.owner.zone, console()
    table = Table("account", "state", "calendar", "events", "last read", box=None, header_style="bold")
    for account in found["accounts"]:  # type: ignore[attr-defined]
        cells = account["calendars"] or [{"name": "", "events": "", "last_ok": account["last_ok"]}]
        for one in cells:
            last = local(one["last_ok"], zone) if one["last_ok"] else "never"
            table.add_row(account["name"], account["state"], Text(str(one["name"])), str(one["events"]), last)
        if account["error"]:
            table.add_row("", Text(account["error"], style="red"))
    out.print(table)
    outbox = ", ".join(f"{count} {state}" for state, count in found["outbox"].items())  # type: ignore[attr-defined]
    out.print(f"outbox: {outbox or 'empty'}")
    for one in found["next"]:  # type: ignore[attr-defined]
        out.print(Text(f"{local(one['at'], zone)}  {one['what']}"))
