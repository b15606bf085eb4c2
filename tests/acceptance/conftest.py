"""What all tests of the installed command share."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command is a process of its own: let them keep what they compiled."""
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
