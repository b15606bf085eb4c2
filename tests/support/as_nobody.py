"""``python -m tests.support.as_nobody …`` is ``python -m daemon …`` run by a user who owns nothing."""

from __future__ import annotations

import codecs
import os
import runpy

# whatever is imported later may lie where a stranger cannot read
import daemon.commands.doctor
import daemon.commands.work
import daemon.doctor.examine  # noqa: F401 - the same

if __name__ == "__main__":
    for encoding in ("ascii", "idna", "latin-1", "utf-8"):
        codecs.lookup(encoding)
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    runpy.run_module("daemon", run_name="__main__", alter_sys=True)
