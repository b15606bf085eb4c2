"""Setting up: ``init``, ``check``, ``calendars``, ``schema``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import click

from connectors.base import (
    CalendarInfo,
    ConnectorError,
    Cursor,
    Drafts,
    Inbox,
    Mailer,
    NeedsLogin,
    Retryable,
)
from daemon import starter, wiring
from daemon.commands.context import clock, everybody, loaded_of, print_json
from daemon.config.deployment import Loaded
from daemon.config.file_schema import schema as schema_of
from daemon.config.problems import ConfigProblems, Problem
from daemon.config.settings import Settings
from daemon.exits import FAILED, INVALID_CONFIGURATION, SIGN_IN_NEEDED, TEMPORARY, Failure, gravest
from daemon.mail.compose import TemplateError, check_template
from daemon.mail.scribe import templates_dir
from rules.faults import closest

KINDS: tuple[Literal["config", "rules"], ...] = ("config", "rules")


def _pack(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    known = starter.packs()
    if value is None or value in known:
        return value
    hint = closest(value, known)
    raise click.BadParameter(f"there is no pack '{value}'; packs are {', '.join(known)}{hint and '; '}{hint}")


@click.command()
@click.argument("folder", metavar="[DIR]", default=".", type=click.Path(file_okay=False, path_type=Path))
@click.option("--pack", metavar="NAME", callback=_pack, help="Begin with one of the example packs.")
@click.option("--force", is_flag=True, help="Overwrite files that are already there.")
def init(folder: Path, pack: str | None, force: bool) -> None:
    """Write a commented config.yaml, rules.yaml and rules.test.yaml."""
    files = starter.files(pack)
    there = [name for name in files if (folder / name).exists()]
    if there and not force:
        raise Failure(f"{folder / there[0]} is already there; use --force to overwrite it")
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
        click.echo(folder / name)
    for name in KINDS:
        text = json.dumps(schema_of(name), indent=2, ensure_ascii=False) + "\n"
        (folder / f"{name}.schema.json").write_text(text, encoding="utf-8")
    click.echo("Fill in your calendar and mail server, then: rebookd check --online", err=True)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print {ok, errors} as JSON.")
@click.option("--online", is_flag=True, help="Also reach every account and the mail servers.")
@click.pass_context
def check(ctx: click.Context, as_json: bool, online: bool) -> None:
    """Validate configuration and rules, every mistake at once."""
    loaded = _loaded(ctx)
    mark = {name: f"{name}: " if loaded.is_many else "" for name in loaded.names}
    failures = {
        name: _reach(settings, mark[name], quiet=as_json) if online else []
        for name, settings in loaded.settings.items()
    }
    cautions = [mark[name] + one for name, each in loaded.settings.items() for one in each.cautions()]
    if as_json:
        errors = _errors(loaded, failures)
        print_json({"ok": not errors, "errors": errors, "cautions": cautions})
    else:
        for problem in loaded.every_problem():
            click.echo(str(problem), err=True)
        for caution in cautions:
            click.echo(f"caution: {caution}", err=True)
        for name, settings in loaded.settings.items():
            if not failures[name]:
                fine = f"{settings.files[0]} and its {len(settings.policy.rules)} rules are fine"
                click.echo(mark[name] + fine + (", and everything answers" if online else ""))
    code = INVALID_CONFIGURATION if loaded.every_problem() else 0
    ctx.exit(gravest([code, *map(_exit_code, failures.values())]))


def _loaded(ctx: click.Context) -> Loaded:
    """Every configuration that is meant, those with a template that is of no use among the broken."""
    try:
        loaded = loaded_of(ctx)
    except ConfigProblems as error:  # there is none anywhere
        return Loaded(is_many=False, problems=error.problems)
    for name, settings in list(loaded.settings.items()):
        if problems := _wrong_templates(settings):
            del loaded.settings[name]
            loaded.broken[name] = problems
    return loaded


def _errors(
    loaded: Loaded, failures: Mapping[str, Sequence[tuple[str, ConnectorError]]]
) -> list[dict[str, object]]:
    """What is wrong in the files, and what could not be reached; of several owners with whose it is."""
    found: list[tuple[str, dict[str, object]]] = [("", dict(one.as_dict())) for one in loaded.problems]
    found += [(name, dict(one.as_dict())) for name in sorted(loaded.broken) for one in loaded.broken[name]]
    for name, each in failures.items():
        file = str(loaded.settings[name].files[0])
        for where, error in each:
            said = f"{where}: {error}"
            found.append((name, {"file": file, "line": 0, "column": 0, "message": said, "help": ""}))
    return [{"owner": name, **one} if loaded.is_many else one for name, one in found]


def _wrong_templates(settings: Settings) -> list[Problem]:
    """A rule that names a template of the owner's must find it, and it must be usable."""
    folder = templates_dir(settings)
    problems = []
    for rule in settings.policy.rules:
        for step in rule.then:
            if step.template is None:
                continue
            try:
                check_template(step.template, step.do.value, folder)
            except TemplateError as error:
                problems.append(
                    Problem(
                        file=str(error.path),
                        line=error.line,
                        column=1,
                        message=error.sentence,
                        help=f"rule {rule.name}, step {step.step} uses this template",
                    )
                )
    return problems


def _reach(settings: Settings, mark: str, *, quiet: bool) -> list[tuple[str, ConnectorError]]:
    """Try every account and the mail servers; what failed."""
    failures: list[tuple[str, ConnectorError]] = []

    def say(line: str) -> None:
        if not quiet:
            click.echo(f"{line[0]} {mark}{line[2:]}", err=line.startswith("✗"))

    for name, tell in tries(settings):
        try:
            say(f"✓ {name}: {tell()}")
        except ConnectorError as error:
            failures.append((name, error))
            say(f"✗ {name}: {error}")
    return failures


def tries(settings: Settings) -> list[tuple[str, Callable[[], str]]]:
    """Each account and mail server: its name, and what says that it is well, or raises ConnectorError."""
    found: list[tuple[str, Callable[[], str]]] = [
        (name, partial(_account_answers, settings, name)) for name in settings.accounts
    ]
    found += [
        (name, partial(_server_answers, server, fine)) for name, server, fine in _mail_servers(settings)
    ]
    inbox = wiring.inbox(settings) if settings.config.mail.imap is not None else None
    if inbox is not None:  # what the sign-in of an account does not allow is told with the account
        found.append(("replies", partial(_inbox_answers, inbox)))
    return found


def _account_answers(settings: Settings, name: str) -> str:
    """Its calendars, and what its sign-in does not allow. Raises ConnectorError."""
    found = ", ".join(info.name for info in _calendars_of(settings, name)) or "no calendars"
    without = [f"it may not {purpose}" for purpose in wiring.lacks(settings, name)]
    return "; ".join([found, *without])


def _mail_servers(settings: Settings) -> list[tuple[str, Mailer | Drafts, str]]:
    """How mail leaves and where drafts lie, each with its name and what is to be said if it answers."""
    mail = settings.config.mail
    mailbox = mail.smtp.host if mail.smtp else f"the mailbox of {mail.account}"
    found: list[tuple[str, Mailer | Drafts, str]] = [
        ("mail", wiring.mailer(settings), f"{mailbox} takes mail from {mail.sender.address}")
    ]
    drafts = wiring.drafts(settings)
    if drafts is not None and mail.imap is not None:
        found.append(("mail.imap", drafts, f"{mail.imap.host} takes drafts of {mail.imap.username}"))
    return found


def _server_answers(server: Mailer | Drafts, fine: str) -> str:
    server.check()
    return fine


def _inbox_answers(inbox: Inbox) -> str:
    try:
        inbox.fetch(Cursor(""), clock.now())
    finally:
        inbox.close()
    return f"{inbox.name} can be read"


def _calendars_of(settings: Settings, name: str) -> list[CalendarInfo]:
    connector = wiring.connector(settings, name)
    try:
        return list(connector.calendars())
    finally:
        connector.close()


def _exit_code(failures: list[tuple[str, ConnectorError]]) -> int:
    errors = [error for _, error in failures]
    if not errors:
        return 0
    if any(isinstance(error, NeedsLogin) for error in errors):
        return SIGN_IN_NEEDED
    return TEMPORARY if all(isinstance(error, Retryable) for error in errors) else FAILED


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def calendars(ctx: click.Context, as_json: bool) -> None:
    """List what each account offers."""
    asked = everybody(ctx)
    found: list[dict[str, object]] = []
    failures: list[tuple[str, ConnectorError]] = []
    for settings in asked.owners:
        for name in settings.accounts:
            try:
                infos = _calendars_of(settings, name)
            except ConnectorError as error:
                failures.append((name, error))
                click.echo(
                    f"rebookd: {f'{settings.name}: ' if asked.is_many else ''}{name}: {error}", err=True
                )
                continue
            found += asked.named(settings, (_as_dict(name, info) for info in infos))
    if as_json:
        print_json(found)
    else:
        for one in found:
            shown = (one.get("owner"), one["account"], one["name"], one["id"])
            click.echo("  ".join(str(word) for word in shown if word is not None))
    ctx.exit(gravest([asked.code, _exit_code(failures)]))


def _as_dict(account: str, info: CalendarInfo) -> dict[str, object]:
    return {
        "account": account,
        "name": info.name,
        "id": info.ref.id,
        "schedules": info.capabilities.schedules,
        "sync_token": info.capabilities.sync_token,
    }


@click.command()
@click.argument("which", type=click.Choice(["config", "rules"]))
def schema(which: Literal["config", "rules"]) -> None:
    """Print the JSON Schema of config.yaml or rules.yaml, for your editor."""
    print_json(schema_of(which))
