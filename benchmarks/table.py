"""The lines of the result and how they are printed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One comparison of two costs: less is better, whatever the ``unit``.

    ``aim`` is how many times less ours should be (1 = no more; below 1 = it may be that much more);
    None for a line that only informs.
    """

    what: str
    ours: float
    against: str
    theirs: float
    unit: str
    aim: float | None = None

    @property
    def times(self) -> float:
        """How many times less ours is."""
        return self.theirs / self.ours if self.ours else float("inf")

    @property
    def verdict(self) -> str:
        """Whether the aim was met, in a word."""
        if self.aim is None:
            return ""
        return "yes" if self.times >= self.aim else "NO"


def markdown(rows: Sequence[Row]) -> str:
    """The table, aligned, readable as it stands and as Markdown."""
    head = ("what", "ours", "theirs", "unit", "against", "times less", "aim", "met")
    body = [
        (
            row.what,
            _number(row.ours),
            _number(row.theirs),
            row.unit,
            row.against,
            _number(row.times),
            "" if row.aim is None else f"≥ {_number(row.aim)}",
            row.verdict,
        )
        for row in rows
    ]
    widths = [max(len(line[column]) for line in (head, *body)) for column in range(len(head))]
    rule = tuple("-" * width for width in widths)
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in (head, rule, *body)
    )


def _number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
