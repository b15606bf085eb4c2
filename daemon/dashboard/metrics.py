"""Numbers for monitoring, read from the store whenever somebody asks. They name no person and no meeting."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from daemon import __version__, health
from daemon.beats import Beats
from daemon.mail.foreign_text import clean
from daemon.office import Office
from daemon.store import tally
from daemon.store.agreements import Stage
from rules.delivery import State


def registry(office: Office, beats: Beats, owner: str = "") -> CollectorRegistry:
    """A registry of its own, with what is known of the office and the process.

    Every number says whose it is, where ``owner`` is one of several.
    """
    made = CollectorRegistry(auto_describe=False)
    made.register(_Rebookd(office, beats) if not owner else _Owned(_Rebookd(office, beats), owner))
    ProcessCollector(registry=made)
    return made


def text(numbers: CollectorRegistry) -> bytes:
    """The numbers as Prometheus reads them."""
    return generate_latest(numbers)


class _Rebookd(Collector):
    """Everything about one office at the moment of a scrape."""

    def __init__(self, office: Office, beats: Beats) -> None:
        self._office = office
        self._beats = beats

    def describe(self) -> list[Metric]:
        """Nothing beforehand, so that registering reads no store."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All of it. Raises StoreError."""
        office = self._office
        with office.store.read() as conn:
            found = health.look(conn, office.settings, office.clock.now())
            agreed, answered = tally.agreed(conn), tally.answered(conn)
        yield InfoMetricFamily("rebookd_build", "The version that runs.", value={"version": __version__})
        deliveries = GaugeMetricFamily("rebookd_deliveries", "Messages in each state.", labels=["state"])
        for state in State:
            deliveries.add_metric([state.value], found.outbox.get(state, 0))
        yield deliveries
        yield from _accounts(found)
        yield from _calendars(found)
        stuck = GaugeMetricFamily(
            "rebookd_part_stuck", "1 where a part of the daemon no longer moves.", labels=["part"]
        )
        for part, is_stuck in self._beats.parts().items():
            stuck.add_metric([part], is_stuck)
        yield stuck
        yield CounterMetricFamily(
            "rebookd_answers", "Answers that people gave beside their calendars.", value=answered
        )
        agreements = GaugeMetricFamily("rebookd_agreements", "Agreed times in each state.", labels=["state"])
        for stage in Stage:
            agreements.add_metric([stage.value], agreed.get(stage.value, 0))
        yield agreements


class _Owned(Collector):
    """The same with the owner's name at each number."""

    def __init__(self, numbers: _Rebookd, owner: str) -> None:
        self._numbers = numbers
        self._owner = owner

    def describe(self) -> list[Metric]:
        """Nothing beforehand."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All of it. Raises StoreError."""
        for family in self._numbers.collect():
            family.samples = [
                one._replace(labels={"owner": self._owner, **one.labels}) for one in family.samples
            ]
            yield family


def _accounts(found: health.Health) -> Iterator[Metric]:
    seen = GaugeMetricFamily(
        "rebookd_account_seen_timestamp_seconds",
        "When the account was last read completely.",
        labels=["account"],
    )
    failures = GaugeMetricFamily(
        "rebookd_account_failures", "Failed reads since the last that went well.", labels=["account"]
    )
    stale = GaugeMetricFamily(
        "rebookd_account_stale", "1 where nothing is concluded from the account.", labels=["account"]
    )
    for one in found.accounts:
        if one.seen_at is not None:
            seen.add_metric([one.name], one.seen_at.timestamp())
        failures.add_metric([one.name], one.failures)
        stale.add_metric([one.name], one.stale)
    yield from (seen, failures, stale)


def _calendars(found: health.Health) -> Iterator[Metric]:
    seen = GaugeMetricFamily(
        "rebookd_calendar_seen_timestamp_seconds",
        "When the calendar was last read completely.",
        labels=["account", "calendar"],
    )
    events = GaugeMetricFamily(
        "rebookd_calendar_events", "Events in the calendar.", labels=["account", "calendar"]
    )
    for one in found.accounts:
        names = [each.name for each in one.calendars]
        for each in one.calendars:
            labels = [one.name, _label(each, alone=names.count(each.name) == 1)]
            seen.add_metric(labels, each.seen_at.timestamp())
            events.add_metric(labels, each.events)
    yield from (seen, events)


def _label(one: health.CalendarHealth, *, alone: bool) -> str:
    """What a calendar is called here: never an address, and never the same as another."""
    name = clean(one.name)
    if name and alone and "@" not in name:
        return name
    return f"calendar-{hashlib.sha256(one.id.encode()).hexdigest()[:8]}"
