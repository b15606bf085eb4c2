"""Give back memory that is free but kept: after a large poll the C library would hold it for ever."""

from __future__ import annotations

import ctypes


def give_back() -> None:
    """Return free memory to the system, a matter of milliseconds; does nothing where there is no glibc."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
