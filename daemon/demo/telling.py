"""The demo in the terminal: each moment as it happens, and the table at the end."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from daemon.config.settings import Settings
from daemon.demo.meeting import Meeting
from daemon.demo.story import Moment
from daemon.demo.verdict import Arrival
from daemon.mail.readable import readable
from daemon.mail.spoken_time import language, spoken
from daemon.poll import PollReport
from daemon.store.deliveries import Delivery
from rules.explain import RuleTrace, StepTrace
from rules.look import Stage
from rules.model import Because, Intent, Interval, Occurrence

WIDEST = 88
_LABEL = 10

_SIGNS = {True: "✓", False: "✗", None: "?"}


class Teller:
    """Says what happens, in the owner's zone."""

    def __init__(self, zone: ZoneInfo) -> None:
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="replace")
        self._out = Console(highlight=False)
        self._out.width = min(self._out.width, WIDEST)
        self._zone = zone
        self._quoted = False

    def opening(self, settings: Settings, day: datetime, places: tuple[str, str, str], port: int) -> None:
        """Who is who, and the rules of the day. ``places``: of the CalDAV server, Google and Microsoft."""
        dav, google, outlook = places
        self._out.print(Text("A day with rebookd", style="bold"), justify="center")
        self._out.print(
            Text(
                f"{settings.owner.name} works for {', '.join(_clients(settings))}. It is {day:%A}, "
                f"{day.day} {day:%B %Y}, in {self._zone.key}. The CalDAV server is real, at {dav}; the mail "
                f"server is real, at port {port}; Initech is at Google, which {google} plays, and Umbrella "
                f"at Microsoft, which {outlook} plays. Only the clock is set by hand.\n"
            )
        )
        table = Table.grid(padding=(0, 2))
        for rule in settings.policy.rules:
            table.add_row(Text(rule.name, style="bold"), Text(rule.description))
        self._out.print(table)

    def moment(self, moment: Moment) -> None:
        """The headline of one moment, and what people did."""
        self._out.print()
        self._out.rule(
            Text.assemble((f"{moment.at:%H:%M}", "bold cyan"), "  ", (moment.title, "bold")),
            align="left",
            style="dim",
        )
        for words, _ in moment.deeds:
            self._line("people", words, style="yellow")
        if moment.call is not None:
            self._line("call", moment.call[0], style="yellow")

    def visit(self, words: str) -> None:
        """Somebody opens an answer page."""
        self._line("page", words, style="yellow")

    def page(self, words: str, shown_by: str) -> None:
        """What the page says after it."""
        self._line("", f"“{words}”, says the page (played by {shown_by})", style="yellow")

    def moved(self, meeting: Meeting, start: datetime, sequence: int) -> None:
        """Where a meeting is now."""
        when = spoken(Interval(start, start), self._zone, None, language("en"))["short"]
        words = f"“{meeting.title}” is at {when} now, SEQUENCE {sequence}, and its UID is the same"
        self._line("calendar", words, style="green")

    def deed(self, delivery: Delivery) -> None:
        """Something that was done, and is no mail."""
        self._line("done", f"{delivery.subject} ({delivery.reason})", style="green")

    def polled(self, reports: Iterable[PollReport]) -> None:
        """Which accounts were read, and what was new there."""
        reports = list(reports)
        news = [f"{one.changed} changed in {one.account}" for one in reports if one.changed]
        names = ", ".join(one.account for one in reports)
        self._line("polled", f"{names}: {', '.join(news) or 'nothing new'}")
        for report in reports:
            for trouble in report.troubles:
                self._line("trouble", f"{trouble.account}: {trouble.message}", style="red")

    def found(self, intent: Intent, subject: Occurrence) -> None:
        """What was found, and why."""
        self._line("found", f"{intent.rule}: “{subject.title}”: {intent.reason}", style="green")

    def mail(self, delivery: Delivery, zone: str, path: Path) -> None:
        """A mail that left. ``zone`` is the recipient's, in which the offered times are told."""
        facts = Table.grid(padding=(0, 1))
        facts.add_row(Text("To", style="dim"), Text(delivery.to))
        facts.add_row(Text("Subject", style="dim"), Text(delivery.subject, style="bold"))
        for number, slot in enumerate(delivery.offered, 1):
            when = spoken(slot, ZoneInfo(zone), None, language("en"))["text"]
            facts.add_row(Text("Offered" if number == 1 else "", style="dim"), Text(f"{number}. {when}"))
        facts.add_row(Text("File", style="dim"), Text(path.name, style="dim"))
        body: list[RenderableType] = [facts]
        if delivery.offered and not self._quoted:
            self._quoted = True
            text = readable(delivery.raw or b"").partition("\n\n")[2]
            body += ["", Text("As its reader sees it:", style="dim"), "", Text(text)]
        title = f"mail: {delivery.rule}, step {delivery.step}"
        self._out.print(Panel(Group(*body), title=Text(title), title_align="left", border_style="green"))

    def unsent(self, delivery: Delivery) -> None:
        """A message that did not leave, with its state."""
        why = f": {delivery.error}" if delivery.error else ""
        self._line(
            "not sent", f"{delivery.rule}/{delivery.step} to {delivery.to} is {delivery.state}{why}", "red"
        )

    def quiet(self, subject: Occurrence, trace: RuleTrace) -> None:
        """Why a rule sends nothing about a meeting."""
        self._line("no mail", f"{trace.rule}: “{subject.title}”: {_why(trace, self._zone)}", style="magenta")

    def restarted(self) -> None:
        """Rebookd was started again."""
        self._line("restart", "the same configuration, the same state file", style="yellow")

    def nothing(self) -> None:
        """A round after which nothing left."""
        self._line("sent", "nothing", style="dim")

    def table(self, arrivals: Iterable[Arrival]) -> None:
        """Everything that left."""
        self._out.print()
        self._out.rule(Text("What left", style="bold"), align="left", style="dim")
        table = Table(box=None, header_style="bold", padding=(0, 1), expand=False)
        for name in ("time", "to", "subject", "rule/step"):
            table.add_column(name, overflow="fold", no_wrap=name == "time")
        for one in arrivals:
            table.add_row(f"{one.at:%H:%M}", Text(one.to), Text(one.subject), Text(f"{one.rule}/{one.step}"))
        self._out.print(table)

    def end(self, wrong: list[str], count: int, mails: Path, kept: Path | None) -> None:
        """Whether all went well, where the mails lie, and the folder in which everything is kept."""
        self._out.print()
        if wrong:
            self._out.print(Text("This is not how the day should have gone:", style="bold red"))
            for one in wrong:
                self._out.print(Text(f"  {one}", style="red"))
        else:
            self._out.print(Text(f"{count} mails left, each once, and no other.", style="bold green"))
        self._out.print(Text(f"The mails: {mails}"), soft_wrap=True)
        if kept is not None:
            self._out.print(Text(f"The outbox: rebookd --config {kept} outbox list"), soft_wrap=True)

    def _line(self, label: str, words: str, style: str = "") -> None:
        grid = Table.grid(padding=0)
        grid.add_column(width=_LABEL)
        grid.add_column(overflow="fold")
        grid.add_row(Text(label, style=style or "dim"), Text(words))
        self._out.print(grid)


def _clients(settings: Settings) -> list[str]:
    return [account.client or name for name, account in settings.accounts.items()]


def _why(trace: RuleTrace, zone: ZoneInfo) -> str:
    """Where each step stands, or else the field that says no."""
    if trace.steps:
        return "; ".join(_standing(step, zone) for step in trace.steps)
    decisive = [one for one in trace.because if one.holds is not True]
    return _said(decisive[-1]) if decisive else trace.outcome


def _standing(step: StepTrace, zone: ZoneInfo) -> str:
    if step.stage == Stage.AHEAD:
        return f"{step.step} waits until {step.due.astimezone(zone):%H:%M}"
    if step.stage == Stage.DONE:
        return f"{step.step} is {step.stage}: {step.why.partition(' at ')[0]}"
    return f"{step.step} is {step.stage}: {step.why}"


def _said(because: Because) -> str:
    return f"{_SIGNS[because.holds]} {because.predicate} ({because.field}: {because.value})"
