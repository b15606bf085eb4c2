"""Results of rule tests as JUnit XML, which Jenkins, GitLab and others read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET  # only writes  # nosec B405

from daemon.rehearse import Rehearsal


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """One file of rule tests: its name, what its tests showed, and which rules and steps none came by."""

    name: str
    played: Sequence[Rehearsal]
    untested: Sequence[str] = ()


def write(path: Path, suites: Iterable[Suite]) -> None:
    """Write one ``testsuite`` per file and one ``testcase`` per test. Raises OSError.

    No time is given: a story takes none.
    """
    root = ET.Element("testsuites", name="rebookd test")
    for suite in suites:
        root.append(_suite(suite))
    for count in ("tests", "failures", "errors"):
        root.set(count, str(sum(int(each.get(count, "0")) for each in root)))
    ET.indent(root)
    ET.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def _suite(suite: Suite) -> ET.Element:
    name = _clean(suite.name)
    failed = sum(bool(one.failures) for one in suite.played)
    element = ET.Element(
        "testsuite",
        name=name,
        tests=str(len(suite.played)),
        failures=str(failed),
        errors="0",
        skipped="0",
        time="0",
    )
    for one in suite.played:
        case = ET.SubElement(element, "testcase", classname=name, name=_clean(one.test), file=name, time="0")
        if one.failures:
            text = _clean("\n".join(line for failure in one.failures for line in failure.lines()))
            first = _clean(one.failures[0].lines()[1].strip())
            ET.SubElement(case, "failure", type="mismatch", message=first).text = text
    if suite.untested:
        lines = [f"no test touches {one}" for one in suite.untested]
        ET.SubElement(element, "system-out").text = _clean("\n".join(lines))
    return element


def _clean(text: str) -> str:
    """Text without the characters that XML 1.0 cannot hold (section 2.2)."""
    return "".join(
        char
        for char in text
        if char in "\t\n\r" or "\x20" <= char <= "\ud7ff" or "\ue000" <= char <= "\ufffd" or char > "\uffff"
    )
