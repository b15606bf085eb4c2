"""What do a first sync and an idle poll of a Google calendar cost, against the client library alone?"""

from __future__ import annotations

from benchmarks.bench import Bench
from benchmarks.cloud import Service
from benchmarks.table import Row

GOOGLE = Service(
    name="Google",
    reader="benchmarks.google_reader",
    stub="benchmarks.google_stub",
    against="google-api-python-client, reading only",
)


def rows(bench: Bench) -> list[Row]:
    """Ours makes plain records, expands series and keeps each event's text; the library reads the JSON."""
    return GOOGLE.rows(bench)
