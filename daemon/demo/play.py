"""Play the day: write real files, run real servers, move the clock, and see what leaves."""

from __future__ import annotations

import contextlib
import email
import email.policy
import shutil
import signal
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from importlib import resources
from pathlib import Path
from string import Template
from types import FrameType

from connectors.ical import parse
from daemon import logs
from daemon.clock import SetClock, SystemClock
from daemon.config.settings import Settings, load
from daemon.demo.authority import certificates, server_context, trusted
from daemon.demo.google import GoogleServer, google_server
from daemon.demo.meeting import LISBON, CalendarApp, Meeting
from daemon.demo.outlook import OutlookServer, outlook_server
from daemon.demo.servers import LOOPBACK, CalendarServer, Sink, calendar_server, free_port, mail_sink
from daemon.demo.stand_in import StandIn
from daemon.demo.story import AT_FIRST, CALENDARS, DANA, GOOGLE, MOMENTS, OUTLOOK, Look, Moment, Visit
from daemon.demo.telling import Teller
from daemon.demo.verdict import Arrival, differences
from daemon.demo.visitor import link_in, pick
from daemon.exits import DONE, FAILED, Failure
from daemon.office import Office, Round
from daemon.outbox import Outcome
from daemon.store import agenda, deliveries
from daemon.store.deliveries import Delivery
from daemon.store.opening import open_store
from daemon.web.serving import serve
from rules.delivery import AGREE, State
from rules.explain import explain


def play(keep: str | None) -> int:
    """Play the day and return the exit code: 0 when every expected mail left once, and no other.

    ``keep`` names a new or empty folder where everything stays; without it only the mails do, in a
    new temporary folder. Raises :class:`Failure` when the folder cannot be used.
    """
    logs.configure(verbosity=-1)
    with _stopped_politely(), _folders(keep) as folders:
        users = CALENDARS.keys() - {GOOGLE, OUTLOOK}
        vouched = certificates(folders.work, SystemClock().now())
        with (
            trusted(vouched),
            calendar_server(folders.work / "calendars", users) as server,
            google_server(DANA.address, CALENDARS[GOOGLE]) as google,
            outlook_server(DANA.address, CALENDARS[OUTLOOK], server_context(vouched)) as outlook,
            mail_sink(folders.mails) as sink,
        ):
            settings = load(_write_files(folders.work, server, google, outlook, sink))
            teller = Teller(LISBON)
            teller.opening(settings, MOMENTS[0].at, (server.url, google.url, outlook.url), sink.port)
            day = _Day(settings, server, {GOOGLE: google, OUTLOOK: outlook}, sink, teller)
            day.play()
        arrivals = day.arrivals()
        wrong = [*differences(MOMENTS, arrivals), *day.troubles]
        teller.table(arrivals)
        teller.end(wrong, len(arrivals), folders.mails, folders.work if keep else None)
        folders.finished = True
    return FAILED if wrong else DONE


_STOPPING = 10.0
"""Seconds that the answer pages get to stop."""


@dataclass(slots=True)
class _Folders:
    """Where things lie; ``finished`` once the mails are worth keeping."""

    work: Path
    mails: Path
    finished: bool = False


@contextlib.contextmanager
def _folders(keep: str | None) -> Iterator[_Folders]:
    if keep is not None:
        folder = Path(keep).expanduser()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            taken = any(folder.iterdir())
        except OSError as error:
            raise Failure(f"{folder} cannot be used ({error.strerror}); name another folder") from error
        if taken:
            raise Failure(f"{folder} is not empty; name a new folder")
        yield _Folders(folder, folder / "mails")
        return
    with tempfile.TemporaryDirectory(prefix="rebookd-demo-") as work:
        folders = _Folders(Path(work), Path(tempfile.mkdtemp(prefix="rebookd-mails-")))
        try:
            yield folders
        finally:
            if not folders.finished:
                shutil.rmtree(folders.mails, ignore_errors=True)


@contextlib.contextmanager
def _stopped_politely() -> Iterator[None]:
    """A request to end cleans up, Ctrl-C even where it is ignored, as by what runs in the background."""

    def stop(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _write_files(
    folder: Path, server: CalendarServer, google: GoogleServer, outlook: OutlookServer, sink: Sink
) -> Path:
    """The owner's files; the path of the configuration."""
    ours = resources.files("daemon.demo")
    secrets = {"password": server.password, "key.json": google.key, "secret": outlook.token}
    for name, secret in secrets.items():
        (folder / name).touch(mode=0o600)
        (folder / name).write_text(secret, encoding="utf-8")
    rules = ours.joinpath("rules.yaml").read_text(encoding="utf-8")
    (folder / "rules.yaml").write_text(rules, encoding="utf-8")
    config = Template(ours.joinpath("config.yaml").read_text(encoding="utf-8"))
    path = folder / "config.yaml"
    answers = f"{LOOPBACK}:{free_port()}"
    places = {
        "answers_listen": answers,
        "answers_url": f"http://{answers}",
        "dav_url": server.url,
        "google_url": google.url,
        "outlook_authority": outlook.url.rstrip("/"),
        "outlook_url": outlook.endpoint,
        "smtp_port": sink.port,
    }
    path.write_text(config.substitute(places), encoding="utf-8")
    return path


@dataclass(slots=True)
class _Day:
    """The day while it is played. ``troubles`` are sentences about what should never happen."""

    settings: Settings
    server: CalendarServer
    services: Mapping[str, StandIn]
    sink: Sink
    teller: Teller
    troubles: list[str] = field(default_factory=list)
    clock: SetClock = field(default_factory=lambda: SetClock(MOMENTS[0].at))
    _sent: list[Delivery] = field(default_factory=list)

    def play(self) -> None:
        """Every moment in its order; rebookd starts anew where the story says so."""
        lives: list[list[Moment]] = []
        for moment in MOMENTS:
            if moment.restart or not lives:
                lives.append([])
            lives[-1].append(moment)
        with CalendarApp(self.server) as app:
            for account, name in CALENDARS.items():
                if account not in self.services:
                    app.make_calendar(account, name)
            for meeting in AT_FIRST:
                self._save(meeting, app)
            for life in lives:
                self._live(life, app)

    def _live(self, moments: list[Moment], app: CalendarApp) -> None:
        """One life of rebookd, from its start to its stop."""
        self.clock.at = moments[0].at.astimezone(UTC)
        store = open_store(self.settings.state, self.clock.now())
        office = Office(self.settings, store, self.clock)
        pages = serve(office)
        try:
            office.start()
            for moment in moments:
                self._moment(office, moment, app)
        finally:
            if pages is not None:
                pages.stop()
                pages.join(_STOPPING)
            office.close()
            store.close()

    def _moment(self, office: Office, moment: Moment, app: CalendarApp) -> None:
        self.clock.at = moment.at.astimezone(UTC)
        self.teller.moment(moment)
        if moment.restart:
            self.teller.restarted()
        for _, meeting in moment.deeds:
            self._save(meeting, app)
        if moment.call is not None:
            _, meeting, presences = moment.call
            self.services[meeting.account].record(meeting, list(presences))
        if moment.visit is not None:
            self._visit(moment.visit)
        done = office.round()
        self._tell(office, done)
        if moment.visit is not None:
            self._show(moment.visit.meeting, app)
        for look in moment.looks:
            self._explain(office, look)

    def _save(self, meeting: Meeting, app: CalendarApp) -> None:
        """Write a meeting into the calendar of its account."""
        service = self.services.get(meeting.account)
        if service is not None:
            service.save(meeting)
        else:
            app.save(meeting)

    def _visit(self, visit: Visit) -> None:
        """Open the page that the last mail to somebody leads to, and pick a time there."""
        mails = [content for path, content in self.sink.taken if path.stem.endswith(visit.who.address)]
        self.teller.visit(visit.words)
        try:
            self.teller.page(*pick(link_in(mails[-1]), visit.choice))
        except (LookupError, OSError) as error:
            self.troubles.append(f"the answer page did not work: {error}")

    def _show(self, meeting: Meeting, app: CalendarApp) -> None:
        """The meeting as its calendar has it now; it must be where it was agreed to be."""
        event = parse(app.read(meeting), LISBON.key).events[0]
        start = event.start.aware
        self.teller.moved(meeting, start, event.details["sequence"])
        offered = self._sent[-1].start
        if start == meeting.start or start != offered:
            self.troubles.append(f"“{meeting.title}” is not at the time that was picked, but at {start}")

    def _tell(self, office: Office, done: Round) -> None:
        self.teller.polled(done.polls)
        for report in done.polls:
            self.troubles += [f"{one.account} could not be read: {one.message}" for one in report.troubles]
        with office.store.read() as conn:
            subjects = agenda.get(conn, [one.key for one in done.decided.planned])
        for intent in done.decided.planned:
            self.teller.found(intent, subjects[intent.key])
        outcomes = done.sent.outcomes if done.sent else []
        for outcome in outcomes:
            self._tell_outcome(office, outcome)
        if not outcomes:
            self.teller.nothing()

    def _tell_outcome(self, office: Office, outcome: Outcome) -> None:
        with office.store.read() as conn:
            delivery = deliveries.get(conn, outcome.id)
        assert delivery is not None  # nosec B101 # noqa: S101 - rows are never deleted
        if delivery.state is not State.SENT:
            self.teller.unsent(delivery)
            return
        if delivery.do == AGREE:
            self.teller.deed(delivery)
            return
        self._sent.append(delivery)
        account = self.settings.accounts[delivery.key.calendar.account] if delivery.key else None
        path = next(path for path, content in self.sink.taken if _message_id(content) == delivery.message_id)
        self.teller.mail(delivery, (account and account.time_zone) or LISBON.key, path)

    def _explain(self, office: Office, look: Look) -> None:
        now = self.clock.now()
        with office.store.read() as conn:
            subject = agenda.by_uids(conn, [look.uid])[0]
            seen = office.decider.snapshot(conn, [subject], now)
        traces = {trace.rule: trace for trace in explain(seen, self.settings.policy, subject, now)}
        self.teller.quiet(subject, traces[look.rule])

    def arrivals(self) -> list[Arrival]:
        """What the mail server took, with what the outbox says of it."""
        known = {delivery.message_id: delivery for delivery in self._sent}
        found = []
        for path, content in self.sink.taken:
            message = email.message_from_bytes(content, policy=email.policy.default)
            delivery = known.get(_message_id(content))
            sent_at = (delivery.sent_at if delivery else None) or self.clock.now()
            found.append(
                Arrival(
                    at=sent_at.astimezone(LISBON),
                    rule=delivery.rule if delivery else "",
                    step=delivery.step if delivery else "",
                    to=str(message["To"].addresses[0].addr_spec),
                    subject=str(message["Subject"]),
                    path=path,
                )
            )
        return found


def _message_id(content: bytes) -> str:
    return str(email.message_from_bytes(content, policy=email.policy.default)["Message-ID"])
