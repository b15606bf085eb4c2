"""Processes of rebookd without its half second of imports: forked from one that has made them already.

Each is a process of its own as the installed command is, with its own environment, output and pid, and
dies as one. That the command also starts from nothing is shown where it is run as itself.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkServerProcess
from typing import BinaryIO

from daemon.__main__ import main

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(
    [
        "alembic.command",
        "babel.numbers",
        "connectors.caldav",
        "connectors.smtp",
        "daemon.commands.explain",
        "daemon.commands.insight",
        "daemon.commands.queue",
        "daemon.commands.setup",
        "daemon.commands.work",
        "daemon.logs",
        "daemon.loop",
        "daemon.mail.compose",
        "email.generator",
        "rich.table",
        "tests.support.prefork",
    ]
)


def start(
    words: Sequence[str],
    environment: Mapping[str, str],
    stdout: str = os.devnull,
    stderr: str = os.devnull,
) -> ForkServerProcess:
    """A process that runs this command line, its output going to these files."""
    process = _context.Process(target=_live, args=(list(words), dict(environment), stdout, stderr))
    process.start()
    return process


def run(
    words: Sequence[str], environment: Mapping[str, str], timeout: float
) -> subprocess.CompletedProcess[str]:
    """Run this command line to its end. Raises subprocess.TimeoutExpired when that takes too long."""
    with tempfile.NamedTemporaryFile() as stdout, tempfile.NamedTemporaryFile() as stderr:
        process = start(words, environment, stdout.name, stderr.name)
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(list(words), timeout)
        return subprocess.CompletedProcess(list(words), process.exitcode, _read(stdout), _read(stderr))


def _read(file: BinaryIO) -> str:
    return file.read().decode()


def _live(words: list[str], environment: dict[str, str], stdout: str, stderr: str) -> None:
    for target, name in ((1, stdout), (2, stderr)):
        descriptor = os.open(name, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.dup2(descriptor, target)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(environment)
    main(words, prog_name="rebookd")
