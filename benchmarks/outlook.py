"""What do a first sync and an idle poll of an Outlook calendar cost, against reading the JSON alone?"""

from __future__ import annotations

from benchmarks.bench import Bench
from benchmarks.cloud import Service
from benchmarks.table import Row

OUTLOOK = Service(
    name="Outlook",
    reader="benchmarks.outlook_reader",
    stub="benchmarks.outlook_stub",
    against="requests and json, reading only",
)


def rows(bench: Bench) -> list[Row]:
    """Ours makes plain records, puts series together and keeps each event's text, without its body."""
    return OUTLOOK.rows(bench)
