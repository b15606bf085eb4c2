"""HOSTILE 29: configurations that are bombs are refused at once."""

from __future__ import annotations

import itertools
import time
import tracemalloc
from pathlib import Path

import pytest

from daemon.config.problems import ConfigProblems
from daemon.config.settings import load
from tests.trust.conftest import Trial

CPU = 2.0
"""Seconds of the processor that one file may take."""

MEMORY = 256 * 1024 * 1024
"""Bytes that it may take."""

_LETTERS = "abcdefghij"
BOMBS = {
    "aliases of aliases": "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
    + "".join(
        f"{one}: &{one} [{', '.join([f'*{before}'] * 10)}]\n" for before, one in itertools.pairwise(_LETTERS)
    ),
    "a list that holds itself": "a: &a [*a]\n",
    "merges of merges": "a: &a {x: 1}\n"
    + "".join(
        f"{one}: &{one} {{<<: [{', '.join([f'*{before}'] * 10)}]}}\n"
        for before, one in itertools.pairwise(_LETTERS)
    ),
    "keys twice": "me: 1\nme: 2\n",
    "lists within lists": "[" * 50_000,
    "more than a file may hold": "x: " + "y" * 1_000_000,
    "more values than one may hold": "x: [" + "1, " * 20_000 + "1]\n",
}
WORDS = {
    "aliases of aliases": r"an alias: \*a",
    "a list that holds itself": r"an alias: \*a",
    "merges of merges": "a merge key: <<",
    "keys twice": "'me' is already given",
    "lists within lists": "nested deeper",
    "more than a file may hold": "this file is larger than",
    "more values than one may hold": "more than 20000 values",
}
"""Why each is refused: none of them is a configuration anyway."""


@pytest.mark.promise("P9", "files that are bombs (HOSTILE 29), measured")
def test_a_file_that_is_a_bomb_is_refused(tmp_path: Path, trial: Trial) -> None:
    """Each is refused in its own words within the bounds of one resource, and nothing of it is used."""
    file = tmp_path / "config.yaml"
    worst = (0.0, 0)
    for name, text in BOMBS.items():
        file.write_text(text)
        began = time.process_time()
        with pytest.raises(ConfigProblems, match=rf"config\.yaml:\d+:\d+: error: {WORDS[name]}"):
            load(file)
        seconds = time.process_time() - began
        tracemalloc.start()  # which makes everything slow
        with pytest.raises(ConfigProblems):
            load(file)
        took = seconds, tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert took[0] <= CPU, f"{name} took {took[0]:.1f} s"
        assert took[1] <= MEMORY, f"{name} took {took[1]} bytes"
        worst = max(worst[0], took[0]), max(worst[1], took[1])
    trial.saw(f"{len(BOMBS)} files", f"all refused; at most {worst[0]:.1f} s, {worst[1] >> 20} MiB")
