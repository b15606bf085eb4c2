"""Ask every question, or those named, and print the table."""

from __future__ import annotations

import argparse
import importlib
import sys

from benchmarks.bench import Bench
from benchmarks.table import Row, markdown

QUESTIONS = (
    "reading",
    "expansion",
    "free_slots",
    "tick",
    "decisions",
    "clashes",
    "first_sync",
    "idle_poll",
    "google",
    "outlook",
    "few_changes",
    "memory",
    "cluster",
)
"""Modules of this package; another benchmark is another name here."""


def main() -> None:
    """Run; the table goes to standard output, what is being done to standard error."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("questions", nargs="*", metavar="QUESTION", help=f"of {', '.join(QUESTIONS)}")
    parser.add_argument("--quick", action="store_true", help="a tenth of the size, each measured once")
    asked = parser.parse_args()
    if unknown := set(asked.questions) - set(QUESTIONS):
        parser.error(f"no such question: {', '.join(sorted(unknown))}")
    found: list[Row] = []
    try:
        with Bench(quick=asked.quick) as bench:
            for name in asked.questions or QUESTIONS:
                print(f"measuring {name} …", file=sys.stderr, flush=True)
                found += importlib.import_module(f"benchmarks.{name}").rows(bench)
    finally:
        print(markdown(found))


if __name__ == "__main__":
    main()
