"""A step that names a webhook nobody configured, or a label that would be evidence, is told at its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.config.settings import ConfigProblems, load
from tests.support.files import CONFIG, write

RULES = """\
version: 1
rules:
  - name: watch
    when: unconfirmed
    then:
      - {{step: one, do: {do}, at: 2h before start}}
"""
EVIDENCE = "is one of the marks; use another; by that label I say myself what a meeting is or became"
HOOK = "webhooks: {crm: {url: https://crm.va.example/, secret: {env: CRM}}}\n"


def told(folder: Path, do: str, more: str = "") -> list[str]:
    """What is wrong with a rule of this step; nothing when it loads."""
    path = write(folder, CONFIG + more, rules=RULES.format(do=do))
    try:
        load(path)
    except ConfigProblems as error:
        return [
            f"{Path(one.file).name}:{one.line}:{one.column}: {one.message}; {one.help}"
            for one in error.problems
        ]
    return []


@pytest.mark.parametrize(
    ("do", "more", "wrong"),
    [
        ("webhook, webhook: crm", HOOK, []),
        (
            "webhook, webhook: crn",
            HOOK,
            ["rules.yaml:6:43: 'crn' is not one of your webhooks: crm; did you mean 'crm'?"],
        ),
        (
            "webhook, webhook: crm",
            "",
            ["rules.yaml:6:43: 'crm' is no webhook of yours; add it under webhooks: in the configuration"],
        ),
        ("mark, label: unconfirmed", "", []),
        ("mark, label: no-show", "", [f"rules.yaml:6:38: 'no-show' {EVIDENCE}"]),
        (
            'mark, label: "[No-Show]"',
            "",
            [f"rules.yaml:6:38: '[No-Show]' {EVIDENCE}"],
        ),
        ('mark, label: "[no-show]"', "marks: {missed: absent}\n", []),
        (
            "mark, label: Absent",
            "marks: {missed: absent}\n",
            [f"rules.yaml:6:38: 'Absent' {EVIDENCE}"],
        ),
    ],
)
def test_names_of_steps(tmp_path: Path, do: str, more: str, wrong: list[str]) -> None:
    """Known names load; the others are told with line, column and a way out."""
    assert told(tmp_path, do, more) == wrong
