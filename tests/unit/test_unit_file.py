"""The systemd unit file is understood whole, exposes little, and fits the program it starts."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from daemon.__main__ import main
from daemon.crew import DECIDE_PATIENCE
from daemon.exits import INVALID_CONFIGURATION
from daemon.loop import GRACE

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "systemd" / "rebookd.service"
MOST_EXPOSED = 1.2

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


def _analyze(*words: str) -> subprocess.CompletedProcess[str]:
    command = ["systemd-analyze", "--no-pager", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def _settings() -> dict[str, str]:
    lines = (line for line in UNIT.read_text(encoding="utf-8").splitlines() if line[:1].isalpha())
    return dict(line.split("=", 1) for line in lines)


@needs_systemd
def test_systemd_understands_every_line(tmp_path: Path) -> None:
    """Verifying says nothing at all; it returns 0 even for unknown keys, so its words are what counts."""
    program = tmp_path / "rebookd"
    program.write_text("#!/bin/sh\n", encoding="ascii")
    program.chmod(0o755)
    text = UNIT.read_text(encoding="utf-8").replace("/opt/rebookd/bin/rebookd", str(program))
    unit = tmp_path / "rebookd.service"
    unit.write_text(text.replace("#LoadCredential", "LoadCredential"), encoding="utf-8")
    done = _analyze("verify", "--man=no", str(unit))
    assert (done.returncode, done.stderr) == (0, "")


@needs_systemd
def test_the_service_exposes_little() -> None:
    """The rating systemd gives to what the service could do to its machine stays low."""
    done = _analyze("security", "--offline=true", str(UNIT))
    rating = re.search(r"exposure level for \S+: ([\d.]+)", done.stdout)
    assert rating is not None, done.stderr
    assert float(rating[1]) <= MOST_EXPOSED


def test_the_service_starts_a_command_that_exists() -> None:
    """ExecStart is a command line of rebookd."""
    _, *words = _settings()["ExecStart"].split()
    parent = click.Context(main, info_name="rebookd")
    options, rest, _ = main.make_parser(parent).parse_args(args=words)
    assert options["config"] == "/etc/rebookd/config.yaml"
    command = main.get_command(parent, rest[0])
    assert command is not None
    command.make_context(rest[0], rest[1:], parent=parent)


def test_the_service_is_patient_and_does_not_spin() -> None:
    """The watchdog outlasts a long decision, a stop is waited for, and an invalid file is not restarted."""
    settings = _settings()
    assert settings["Type"] == "notify"
    assert str(INVALID_CONFIGURATION) in settings["RestartPreventExitStatus"].split()
    assert int(settings["WatchdogSec"].removesuffix("min")) * 60 > 2 * DECIDE_PATIENCE
    assert int(settings["TimeoutStopSec"].removesuffix("s")) > GRACE
