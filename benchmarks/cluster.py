"""How much more do more workers do, and what does PostgreSQL carry for it?

Each owner has a calendar server and a mail server that take 100 ms of time, and no processor, for each
request; so a worker waits most of its time, as it does in an agency.
"""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import Engine, event

from benchmarks.bench import Bench
from benchmarks.table import Row
from rules.delivery import OPEN
from tests.support.agency import Agency, agency
from tests.support.cluster import Cluster, cluster
from tests.support.postgresql import ROLE, Server, own_server

LATENCY = 0.1
"""Seconds that each poll, each last look at an event, and each mail waits for its server."""

OWNERS, EACH = 40, 10
WORKERS = (1, 2, 4)
FACT = "a fact, not a comparison"


def rows(bench: Bench) -> list[Row]:
    """The same mails by 1, 2 and 4 workers, in one run; then what one poll, decision and mail asks for."""
    owners = bench.size(OWNERS)
    seconds, connections = {}, 0.0
    for count in WORKERS:
        with closing(own_server()) as servers:
            server = next(servers)
            with agency(bench.folder(), server, owners=owners, meetings=EACH, slow=LATENCY) as at:
                _slow_down(at, owners)
                began = time.monotonic()
                for _ in range(count):
                    at.begin()
                at.wait(lambda at=at: at.arrived() >= len(at.wanted), 900)  # type: ignore[misc]
                seconds[count] = time.monotonic() - began
                at.wait(lambda at=at: not at.count(OPEN), 60)  # type: ignore[misc]
                connections = _connections(at) / count
                sizes = list(_sizes(server, at.database))
    mails = owners * EACH
    what = f"{mails} mails of {owners} owners, first reads included, at 100 ms latency"
    return [
        Row(
            what=f"{what}: {count} workers",
            ours=seconds[count],
            against="1 worker",
            theirs=seconds[1],
            unit="s",
        )
        for count in WORKERS[1:]
    ] + [
        Row(what=name, ours=value, against=FACT, theirs=value, unit=unit)
        for name, value, unit in (
            ("mails a minute, 1 worker", 60 * mails / seconds[1], "1/min"),
            ("mails a minute, 4 workers", 60 * mails / seconds[4], "1/min"),
            ("connections of a worker", connections, ""),
            *sizes,
            *_statements(bench.folder()),
        )
    ]


def _slow_down(at: Agency, owners: int) -> None:
    port = (at.folder / "port").read_text()
    for number in range(owners):
        told = f"http://127.0.0.1:{port}/_slow?user=u{number}&seconds={LATENCY}"
        urllib.request.urlopen(urllib.request.Request(told, method="POST"), timeout=30).close()


def _connections(at: Agency) -> int:
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = %s"
    with at.server.connect(at.database) as conn:
        found = conn.execute(query, [ROLE]).fetchone()
    return int(found[0]) if found else 0


def _sizes(server: Server, database: str) -> Iterator[tuple[str, float, str]]:
    """Bytes with indexes, for each event and each message."""
    tables = {"event": ("resources", "occurrences"), "message": ("deliveries",)}
    with server.connect(database) as conn:
        for thing, names in tables.items():
            size = sum(_number(conn, f"SELECT pg_total_relation_size('{name}')") for name in names)
            count = _number(conn, f"SELECT count(*) FROM {names[0]}")
            yield f"bytes in PostgreSQL for each {thing}", size / max(1, count), "B"


def _number(conn: object, query: str) -> int:
    return int(conn.execute(query).fetchone()[0])  # type: ignore[attr-defined]


@contextmanager
def _counted() -> Iterator[list[str]]:
    seen: list[str] = []

    def note(*args: object) -> None:
        seen.append(str(args[2]))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def _statements(folder: Path) -> Iterator[tuple[str, float, str]]:
    """What one step asks of PostgreSQL; beginnings and ends of transactions are told beside."""
    with cluster(folder, ("dana",)) as at:
        yield from _of_dana(at)


def _of_dana(at: Cluster) -> Iterator[tuple[str, float, str]]:
    dana = at.owners["dana"]
    dana.meet("acme", "kickoff", 30, "NEEDS-ACTION", "jo@acme.example")
    office = dana.office
    office.poll("own")
    office.poll("acme")
    for name, step in (
        ("a decision with one mail to plan", office.decide),
        ("a run that sends one mail", office.send),
        ("an idle poll", lambda: office.poll("acme")),
        ("an idle decision", office.decide),
        ("an idle run of the outbox", office.send),
        ("a tick that finds nothing due", lambda: at.queue.due(office)),
    ):
        with _counted() as seen:
            step()
        begun = sum(1 for one in seen if one.startswith("BEGIN"))
        yield f"statements of {name} ({begun} transactions)", float(len(seen) - begun), ""
