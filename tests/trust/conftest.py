"""What experiments share: their size, what they report, and the table of all of them.

``make test`` plays each small; ``make trust`` plays each at full size, one after the other, and prints one
row for each: promise, experiment, count, result.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

FULL = os.environ.get("REBOOKD_TRUST") == "full"
"""Whether experiments are played at full size."""

_rows = pytest.StashKey[list[tuple[str, str, str, str]]]()


@dataclass
class Trial:
    """One experiment: how large it is, and what it saw."""

    record: list[tuple[str, object]]

    @property
    def full(self) -> bool:
        """Whether it is played at full size."""
        return FULL

    def size(self, small: int, full: int) -> int:
        """How many times: enough to see a mistake in passing, or as often as the promise deserves."""
        return full if FULL else small

    def saw(self, count: str, result: str) -> None:
        """Fill its row of the table: what was counted (``300 kills``), and what came of it."""
        self.record += [("count", count), ("result", result)]


@pytest.fixture
def trial(request: pytest.FixtureRequest) -> Iterator[Trial]:
    """The experiment at hand. A test that is marked ``promise(WHICH, EXPERIMENT)`` has to fill its row."""
    said: list[tuple[str, object]] = request.node.user_properties
    which, experiment = request.node.get_closest_marker("promise").args
    said += [("promise", which), ("experiment", experiment)]
    made = Trial(said)
    yield made
    report = request.node.stash.get(_passed, False)
    assert not report or "result" in dict(said), "an experiment says what it saw"


_passed = pytest.StashKey[bool]()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Remember whether the experiment itself passed."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if report.when == "call":
        item.stash[_passed] = report.passed


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the table."""
    rows = []
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in terminalreporter.getreports(outcome):
            said = dict(getattr(report, "user_properties", ()))
            if "experiment" not in said or (outcome == "passed" and report.when != "call"):
                continue
            result = str(said.get("result", "")) if outcome == "passed" else _excuse(outcome, report)
            rows.append((str(said["promise"]), str(said["experiment"]), str(said.get("count", "")), result))
    if not rows:
        return
    head = ("promise", "experiment", "count", "result")
    terminalreporter.section(f"trust, {'full size' if FULL else 'small'}")
    for row in [head, ("---",) * 4, *sorted(rows, key=_order)]:
        terminalreporter.write_line("| " + " | ".join(row) + " |")


def _order(row: tuple[str, ...]) -> tuple[int, str]:
    number = re.search(r"\d+", row[0])
    return int(number[0]) if number else 99, row[1]


def _excuse(outcome: str, report: pytest.TestReport) -> str:
    if outcome == "skipped":
        return str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else "skipped"
    return "**FAILED**"
