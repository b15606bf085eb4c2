"""The systemd unit files are understood whole, expose little, and fit the program they start."""

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
UNITS = {
    "rebookd.service": {"config": "/etc/rebookd/config.yaml", "worker": False},
    "rebookd-worker@.service": {"config": "/etc/rebookd", "worker": True},
}
"""Each unit, and how it starts rebookd."""
MOST_EXPOSED = 1.2

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


def _analyze(*words: str) -> subprocess.CompletedProcess[str]:
    command = ["systemd-analyze", "--no-pager", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture(params=UNITS)
def unit(request: pytest.FixtureRequest) -> Path:
    """One of the units."""
    return ROOT / "systemd" / str(request.param)


def _settings(unit: Path) -> dict[str, str]:
    lines = (line for line in unit.read_text(encoding="utf-8").splitlines() if line[:1].isalpha())
    return dict(line.split("=", 1) for line in lines)


@needs_systemd
def test_systemd_understands_every_line(unit: Path, tmp_path: Path) -> None:
    """Verifying says nothing at all; it returns 0 even for unknown keys, so its words are what counts."""
    program = tmp_path / "rebookd"
    program.write_text("#!/bin/sh\n", encoding="ascii")
    program.chmod(0o755)
    text = unit.read_text(encoding="utf-8").replace("/opt/rebookd/bin/rebookd", str(program))
    copy = tmp_path / unit.name.replace("@", "@1")
    copy.write_text(text.replace("#LoadCredential", "LoadCredential"), encoding="utf-8")
    done = _analyze("verify", "--man=no", str(copy))
    assert (done.returncode, done.stderr) == (0, "")


@needs_systemd
def test_the_service_exposes_little(unit: Path) -> None:
    """The rating systemd gives to what the service could do to its machine stays low."""
    done = _analyze("security", "--offline=true", str(unit))
    rating = re.search(r"exposure level for \S+: ([\d.]+)", done.stdout)
    assert rating is not None, done.stderr
    assert float(rating[1]) <= MOST_EXPOSED


def test_the_service_starts_a_command_that_exists(unit: Path) -> None:
    """ExecStart is a command line of rebookd."""
    _, *words = _settings(unit)["ExecStart"].split()
    parent = click.Context(main, info_name="rebookd")
    options, rest, _ = main.make_parser(parent).parse_args(args=words)
    command = main.get_command(parent, rest[0])
    assert command is not None
    taken = command.make_context(rest[0], rest[1:], parent=parent).params
    assert {"config": options["config"], "worker": taken["worker"]} == UNITS[unit.name]


def test_the_service_is_patient_and_does_not_spin(unit: Path) -> None:
    """The watchdog outlasts a long decision, a stop is waited for, and an invalid file is not restarted."""
    settings = _settings(unit)
    assert settings["Type"] == "notify"
    assert str(INVALID_CONFIGURATION) in settings["RestartPreventExitStatus"].split()
    assert int(settings["WatchdogSec"].removesuffix("min")) * 60 > 2 * DECIDE_PATIENCE
    assert int(settings["TimeoutStopSec"].removesuffix("s")) > GRACE


def test_both_services_are_fenced_in_alike() -> None:
    """What one of them may not do, the other may not do either."""
    fences = [
        text[text.index("# It needs the network") :].partition("\n")[2]
        for text in ((ROOT / "systemd" / name).read_text(encoding="utf-8") for name in UNITS)
    ]
    assert fences[0] == fences[1]
