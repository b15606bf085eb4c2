"""Watch a process's system calls, or end it at one of them, with strace where that is there."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest

CALLS = ("write", "pwrite64", "fsync", "fdatasync", "sendto", "ftruncate", "unlink")
"""Whatever changes the disk or goes out to a server. Each is counted by itself in each thread."""

PATIENCE = 60.0


def needed() -> None:
    """Skip the test where nothing can be traced."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")


def wait_until_stopped(pid: int) -> None:
    """Wait until a process has stopped itself."""
    end = time.monotonic() + PATIENCE
    while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
        assert time.monotonic() < end, "the process does not stop"
        time.sleep(0.002)


def trace(process: ForkServerProcess, log: Path, *inject: str) -> int:
    """Let a process that is held, or soon will be, go on under strace to its end; its exit code."""
    assert process.pid is not None
    wait_until_stopped(process.pid)
    words = ["strace", "-f", "-y", "-e", f"trace={','.join(CALLS)}", *inject]
    with subprocess.Popen(
        [*words, "-o", str(log), "-p", str(process.pid)], stderr=subprocess.PIPE, text=True
    ) as tracer:
        assert tracer.stderr is not None
        said = tracer.stderr.readline()
        if "attached" not in said:
            process.kill()
            pytest.skip(f"nothing can be traced here: {said.strip()}")
        os.kill(process.pid, signal.SIGCONT)
        process.join(PATIENCE)
        if process.exitcode is None:
            process.kill()
            process.join()
            pytest.fail("a traced round does not end")
        tracer.stderr.read()
    return process.exitcode


def kill_at(call: str, number: int) -> tuple[str, str]:
    """What ends the process at its n-th such call, before that does anything."""
    return "-e", f"inject={call}:signal=KILL:when={number}"


def read(log: Path) -> list[tuple[str, int, str]]:
    """The calls of an untouched run in order: which, the how many-th of these, and its line."""
    counts: Counter[str] = Counter()
    found = []
    for line in log.read_text("utf-8", "replace").splitlines():
        match = re.match(r"(?:\d+ +)?(\w+)\(", line)
        if match:
            counts[match[1]] += 1
            found.append((match[1], counts[match[1]], line))
    return found
