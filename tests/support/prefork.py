"""Programs without their second of imports: each forked from a process that has made them already.

Each is a process of its own, with its own environment, output and pid, and dies as one. That rebookd
also starts from nothing is shown where the installed command is run as itself.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(
    [
        "alembic.command",
        "babel.numbers",
        "connectors.caldav",
        "connectors.smtp",
        "daemon.cluster.node",
        "daemon.commands.explain",
        "daemon.commands.insight",
        "daemon.commands.queue",
        "daemon.commands.setup",
        "daemon.commands.work",
        "daemon.logs",
        "daemon.loop",
        "daemon.mail.colleagues",
        "daemon.mail.compose",
        "daemon.mail.scribe",
        "email.generator",
        "psycopg",
        "radicale.__main__",
        "rich.table",
        "sqlalchemy.dialects.postgresql.psycopg",
        "tests.support.prefork",
        "xandikos.__main__",
        "xandikos.web",
    ]
)


def start(
    module: str,
    words: Sequence[str],
    *,
    environment: Mapping[str, str] = os.environ,
    folder: Path | None = None,
    stdout: str = os.devnull,
    stderr: str = os.devnull,
) -> ForkServerProcess:
    """What ``python -m MODULE WORDS…`` starts, in ``folder``, its output added to these files."""
    process = _context.Process(
        target=_live, args=(module, list(words), dict(environment), folder or Path.cwd(), (stdout, stderr))
    )
    process.daemon = True  # a test that fails leaves nobody whom the end of pytest would wait for
    process.start()
    return process


def run(
    module: str, words: Sequence[str], environment: Mapping[str, str], timeout: float
) -> subprocess.CompletedProcess[str]:
    """Run this to its end. Raises subprocess.TimeoutExpired when that takes too long."""
    with tempfile.TemporaryDirectory() as name:
        stdout, stderr = Path(name) / "stdout", Path(name) / "stderr"
        process = start(module, words, environment=environment, stdout=str(stdout), stderr=str(stderr))
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired([module, *words], timeout)
        told = stdout.read_text("utf-8"), stderr.read_text("utf-8")
        return subprocess.CompletedProcess([module, *words], process.exitcode, *told)


def _live(
    module: str, words: list[str], environment: dict[str, str], folder: Path, outputs: tuple[str, str]
) -> None:
    for target, name in enumerate(outputs, 1):
        descriptor = os.open(name, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.dup2(descriptor, target)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv[1:] = words
    runpy.run_module(module, run_name="__main__", alter_sys=True)
