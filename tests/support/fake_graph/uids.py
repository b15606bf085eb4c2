"""Global object ids, by which Exchange knows a meeting in every mailbox ([MS-OXOCAL] 2.2.1.27)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, date, datetime

_ARRAY = bytes.fromhex("040000008200E00074C5B7101A82E008")
_FOREIGN = b"vCal-Uid\x01\x00\x00\x00"
_FILETIME_ZERO = datetime(1601, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class GlobalId:
    """A meeting's id: when it was made, and the data that tells it from all others."""

    made: bytes
    data: bytes

    def text(self, day: date | None = None) -> str:
        """As ``iCalUId`` shows it; an instance carries its original ``day``, a series and a single none."""
        when = day.year.to_bytes(2, "big") + bytes((day.month, day.day)) if day else bytes(4)
        size = len(self.data).to_bytes(4, "little")
        return (_ARRAY + when + self.made + bytes(8) + size + self.data).hex().upper()


def new_global_id(now: datetime, number: int) -> GlobalId:
    """Of a meeting made in Exchange."""
    ticks = int((now.astimezone(UTC) - _FILETIME_ZERO).total_seconds()) * 10_000_000 + number
    return GlobalId(ticks.to_bytes(8, "little"), hashlib.sha256(f"meeting {number}".encode()).digest()[:16])


def foreign(uid: str) -> GlobalId:
    """Of an invitation from elsewhere, under the UID it has there ([MS-OXCICAL] 2.1.3.1.1.20.26)."""
    return GlobalId(bytes(8), _FOREIGN + uid.encode() + b"\x00")
