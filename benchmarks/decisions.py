"""How fast is it decided which rules look at which meetings?"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any, TypeVar

import cel
import zen
from c7n.filters.core import FilterRegistry
from rule_engine import Rule

from benchmarks.bench import Bench
from benchmarks.conditions import CONDITIONS
from benchmarks.meetings import NOW, meetings, record, snapshot
from benchmarks.table import Row
from rules.look import Examiner
from rules.policy import Policy
from rules.view import View

MEETINGS = 100_000
SLOW = 4_000
"""So many meetings for what would need minutes for all; its cost grows with their number alone."""
_Result = TypeVar("_Result")

NAMES = [one.name for one in CONDITIONS]
Fitting = list[list[str]]
"""For each meeting the names of the conditions it meets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """Another tool, its conditions compiled; ``most`` is how many meetings it is given."""

    name: str
    decide: Callable[[Sequence[dict[str, Any]]], Fitting]
    most: int = MEETINGS


def rows(bench: Bench) -> list[Row]:
    """Twenty rules over 100,000 meetings. Raises RuntimeError when two disagree on a meeting.

    Every tool is given what it looks at already read: rebookd the columns of its sieve, the others records.
    What that reading costs is a line of its own, and so is all of it together.
    """
    contenders = _contenders()
    rounds = [_round(bench.size(MEETINGS), contenders) for _ in range(bench.rounds)]
    spent = {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}
    times = len(CONDITIONS)
    best = min(contenders, key=lambda each: spent[each.name])
    what = f"decide {times} rules on each of {bench.size(MEETINGS):,} meetings"
    found = [
        Row(
            what=what,
            ours=spent[_DECIDE] / times * 1e6,
            against=each.name if each.most >= bench.size(MEETINGS) else f"{each.name}, on {each.most:,}",
            theirs=spent[each.name] / times * 1e6,
            unit="µs CPU a rule",
            aim=5 if each is best else None,
        )
        for each in sorted(contenders, key=lambda each: spent[each.name])
    ]
    return [
        *found,
        Row(
            what="read what the rules ask about, not counted above",
            ours=spent[_READ] * 1e6,
            against="a plain record",
            theirs=spent[_RECORD] * 1e6,
            unit="µs CPU a meeting",
        ),
        Row(
            what="read and decide",
            ours=(spent[_READ] + spent[_DECIDE]) * 1e6,
            against=f"a plain record and {best.name}",
            theirs=(spent[_RECORD] + spent[best.name]) * 1e6,
            unit="µs CPU a meeting",
        ),
        Row(
            what="index the snapshot for all detectors, not counted above",
            ours=spent[_VIEW] * 1e6,
            against="nothing of the kind",
            theirs=0,
            unit="µs CPU a meeting",
        ),
    ]


_VIEW, _READ, _DECIDE, _RECORD = "view", "read", "decide", "record"


def _round(count: int, contenders: Sequence[Contender]) -> dict[str, float]:
    """Processor seconds a meeting for each work, on meetings nobody has looked at before."""
    subjects = meetings(count)
    spent: dict[str, float] = {}

    def timed(name: str, work: Callable[[], _Result], some: int = count) -> _Result:
        gc.collect()
        begun = time.process_time()
        result = work()
        spent[name] = (time.process_time() - begun) / some
        return result

    given = snapshot(subjects)
    view = timed(_VIEW, lambda: View(given, NOW))
    sieve = Examiner(_policy(), view).sieve
    columns = timed(_READ, lambda: sieve.read(subjects))
    places = timed(_DECIDE, lambda: sieve.fitting(columns))
    ours = [[NAMES[place] for place in some] for some in places]
    records = timed(_RECORD, lambda: [record(one) for one in subjects])
    for each in contenders:
        most = min(count, each.most)
        some = records[:most]
        if timed(each.name, lambda each=each, some=some: each.decide(some), most) != ours[:most]:
            raise RuntimeError(f"{each.name} decides otherwise")
    return spent


def _policy() -> Policy:
    steps = [{"step": "tell", "do": "notify", "at": "1h before start"}]
    rules = [
        {"name": one.name, "match": one.match, "when": "unconfirmed", "then": steps} for one in CONDITIONS
    ]
    return Policy.model_validate({"version": 1, "rules": rules})


def _contenders() -> list[Contender]:
    """The other tools; those that can are asked all twenty in one call, which is quickest for them."""
    in_zen = zen.compile_expression(f"[{', '.join(f'({one.zen})' for one in CONDITIONS)}]")
    in_cel = cel.compile(f"[{', '.join(f'({one.cel})' for one in CONDITIONS)}]")
    in_rule_engine = [Rule(one.rule_engine) for one in CONDITIONS]
    registry = FilterRegistry("meetings")
    in_custodian = [registry.parse(one.custodian, None) for one in CONDITIONS]

    def by_zen(records: Sequence[dict[str, Any]]) -> Fitting:
        return [list(compress(NAMES, in_zen.evaluate(one))) for one in records]

    def by_cel(records: Sequence[dict[str, Any]]) -> Fitting:
        return [list(compress(NAMES, in_cel.execute(one))) for one in records]

    def by_rule_engine(records: Sequence[dict[str, Any]]) -> Fitting:
        rules = list(zip(NAMES, in_rule_engine, strict=True))
        return [[name for name, rule in rules if rule.matches(one)] for one in records]

    def by_custodian(records: Sequence[dict[str, Any]]) -> Fitting:
        fitting: dict[int, list[str]] = {id(one): [] for one in records}
        for name, filters in zip(NAMES, in_custodian, strict=True):
            left = list(records)
            for each in filters:
                left = each.process(left)
            for one in left:
                fitting[id(one)].append(name)
        return list(fitting.values())

    return [
        Contender(name="zen-engine", decide=by_zen),
        Contender(name="common-expression-language", decide=by_cel, most=SLOW * 5),
        Contender(name="rule-engine", decide=by_rule_engine, most=SLOW),
        Contender(name="Cloud Custodian's filters", decide=by_custodian, most=SLOW * 5),
    ]
