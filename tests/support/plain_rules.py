"""Rules as they are written, and what is wrong with them."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from rules.faults import Fault, faults_of
from rules.policy import Policy

STEP = {"step": "tell", "do": "notify", "at": "1h before start"}
LATE_STEP = {"step": "tell", "do": "notify", "at": "1h after end"}


def rule(**keys: Any) -> dict[str, Any]:
    """A plain rule with some keys replaced."""
    return {"name": "one", "when": "unconfirmed", "then": [STEP]} | keys


def mistakes(*rules: dict[str, Any], **top: Any) -> list[Fault]:
    """Everything wrong with a policy of these rules."""
    with pytest.raises(ValidationError) as raised:
        Policy.model_validate({"version": 1, "rules": list(rules)} | top)
    return faults_of(raised.value)
