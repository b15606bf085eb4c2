"""The command line: options, exit codes, and where each command lives."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import click

from daemon import __version__
from daemon.exits import FAILED, explain_failure

COMMANDS = {
    "accept-shrink": ("work:accept_shrink", "Believe a calendar that suddenly holds far less than before."),
    "auth": ("auth:auth", "Sign in to a Google or Outlook account."),
    "backup": ("keeping:backup", "Copy the state to a file, also while rebookd runs."),
    "calendars": ("setup:calendars", "List what each account offers."),
    "check": ("setup:check", "Validate configuration and rules, every mistake at once."),
    "demo": ("work:demo", "Play one scripted day on loopback, every mail shown."),
    "doctor": ("doctor:doctor", "Look for what is wrong on this machine, and name the cure."),
    "explain": ("explain:explain", "Say what every rule makes of a meeting."),
    "init": ("setup:init", "Write a commented configuration to start from."),
    "mark": ("work:mark", "Say what became of a meeting."),
    "optout": ("standing:optout", "Say who must not be written to."),
    "outbox": ("queue:outbox", "Look at the mail queue, and have your say."),
    "plan": ("insight:plan", "Print what would be sent now and what is next."),
    "replay": ("replay:replay", "Show which messages other rules would have sent in the past."),
    "restore": ("keeping:restore", "Put a backup in the state's place; nobody is mailed again."),
    "run": ("work:run", "Run the daemon, or one round of it."),
    "schema": ("setup:schema", "Print the JSON Schema of a file, for your editor."),
    "silence": ("standing:silence", "Hold back messages for a while."),
    "state": ("state:state", "Move the state between a file and a database; nobody is mailed again."),
    "status": ("insight:status", "Show how fresh each calendar is and what waits."),
    "test": ("rehearsal:test", "Play rule tests; lists rules that no test touches."),
}
"""Where each command lives; its module is imported only when it is used, so that others start quickly."""


class Commands(click.Group):
    """Finds a command by name, and turns whatever goes wrong into one sentence and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """All commands, sorted."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002
        """The command of that name; None when there is none."""
        if name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(f"daemon.commands.{module}"), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The list of commands, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in sorted(COMMANDS.items())])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Click's own, with a suggestion for a misspelt name."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib  # noqa: PLC0415 - only for a misspelt command

            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            if not near or "Did you mean" in error.message:
                raise
            raise click.UsageError(f"{error.message} Did you mean '{near[0]}'?", ctx) from error

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; no traceback reaches its user."""
        try:
            return super().invoke(ctx)
        except (click.exceptions.Exit, click.ClickException, click.Abort):
            raise
        except BrokenPipeError:
            sys.stderr.close()
            ctx.exit(FAILED)
        except Exception as error:  # noqa: BLE001 - the last resort before the user
            ctx.exit(explain_failure(error, verbose=ctx.params.get("verbose", 0) > 0))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--config", metavar="PATH", help="The configuration file; default: the usual places.")
@click.option("--owner", metavar="NAME", help="Whose, where --config names a folder with several owners.")
@click.option("-v", "--verbose", count=True, help="Say more on standard error; twice for everything.")
@click.option("-q", "--quiet", is_flag=True, help="Only warnings and errors on standard error.")
@click.version_option(__version__, prog_name="rebookd")
@click.pass_context
def main(
    ctx: click.Context,
    config: str | None,
    owner: str | None,  # noqa: ARG001 - the commands take it from here
    verbose: int,
    quiet: bool,
) -> None:
    """Watch calendars, and ask for a new time when a meeting is missed, unanswered or double-booked."""
    from daemon.logs import configure  # noqa: PLC0415 - a command's help needs no logging
    from daemon.zone_data import use_newest  # noqa: PLC0415 - nor zones

    use_newest()
    calm = ctx.invoked_subcommand != "run"  # the other commands print what they find themselves
    usual = -2 if calm else -1 if quiet else 0
    configure(verbosity=usual + verbose + bool(calm and verbose))
    ctx.obj = config


if __name__ == "__main__":
    main(prog_name="rebookd")
