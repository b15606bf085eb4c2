"""What one look found: fine, doubtful or wrong, in one sentence, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from daemon.store.errors import StoreError


class Finding(StrEnum):
    """How it stands."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing looked at; ``cure`` is empty where there is nothing to do."""

    name: str
    finding: Finding
    message: str
    cure: str = ""


def fine(name: str, message: str) -> Check:
    """It is as it should be."""
    return Check(name=name, finding=Finding.OK, message=message)


def doubtful(name: str, message: str, cure: str) -> Check:
    """It works, but should not stay so."""
    return Check(name=name, finding=Finding.WARNING, message=message, cure=cure)


def wrong(name: str, message: str, cure: str) -> Check:
    """It keeps rebookd from doing its work."""
    return Check(name=name, finding=Finding.PROBLEM, message=message, cure=cure)


def refused(name: str, error: StoreError, otherwise: str) -> Check:
    """It keeps rebookd from opening a state; the error says what and, behind a semicolon, what to do."""
    sentence, _, cure = str(error).partition("; ")
    return wrong(name, sentence.rstrip("."), cure.rstrip(".") or otherwise)


def looked(name: str, look: Callable[[], Iterator[Check]]) -> list[Check]:
    """What a look found; one that fails itself is a finding, and hinders no other."""
    found: list[Check] = []
    try:
        found.extend(look())
    except Exception as error:  # noqa: BLE001 - a doctor who faints helps nobody
        said = " ".join(str(error).split()) or type(error).__name__
        found.append(doubtful(name, f"this could not be looked at: {said}", "run it as rebookd's own user"))
    return found
