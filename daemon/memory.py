"""Hold little memory: what is free after a large poll the C library would keep, in a heap of every thread."""

from __future__ import annotations

import ctypes

_ARENA_MAX = -8
"""M_ARENA_MAX of glibc's ``mallopt``."""


def share_heaps() -> None:
    """Have all threads use two heaps, before they begin; does nothing where there is no glibc."""
    tune = getattr(ctypes.CDLL(None), "mallopt", None)
    if tune is not None:
        tune(_ARENA_MAX, 2)


def give_back() -> None:
    """Return free memory to the system, a matter of milliseconds; does nothing where there is no glibc."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
