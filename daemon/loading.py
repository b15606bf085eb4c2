"""Modules that are loaded late are loaded by one thread at a time.

What few days need is imported where it is first used, so that it costs no memory before; that may be in any
thread. Where modules import each other in a circle, and two threads enter the circle at two places, Python
rather hands out a module that is not finished than wait for ever, and the import fails.
"""

from __future__ import annotations

import threading

loading = threading.RLock()
"""Held around every import that more than one thread may come to."""
