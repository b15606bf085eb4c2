"""The real daemon on a clock that a test moves, stopped before it begins: whoever started it may trace it."""

from __future__ import annotations

import os
import runpy
from pathlib import Path

from tests.support.own_time import _hold, _shift

if __name__ == "__main__":
    _hold()
    _shift(Path(os.environ["OWN_TIME"]))
    runpy.run_module("daemon", run_name="__main__", alter_sys=True)
