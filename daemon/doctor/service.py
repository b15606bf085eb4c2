"""The systemd units, where there are any: understood, hardened, and given the credentials they need."""

from __future__ import annotations

import re
import shutil
import subprocess  # its one use is below  # nosec B404
from collections.abc import Iterator, Sequence
from pathlib import Path

from daemon.config.settings import Settings
from daemon.doctor.checks import Check, doubtful, fine, wrong

NAME = "service"

PLACES = tuple(
    Path(folder)
    for folder in ("/etc/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system")
)
UNITS = ("rebookd.service", "rebookd-worker@.service")

MOST_EXPOSED = 2.0
"""The rating of ``systemd-analyze security`` up to which the unit counts as hardened."""

SECONDS = 20.0


def checks(owners: Sequence[Settings], places: Sequence[Path] = PLACES) -> Iterator[Check]:
    """The units as they are installed, each where it is found first; nothing where none is."""
    for name in UNITS:
        unit = next((place / name for place in places if (place / name).is_file()), None)
        if unit is not None:
            yield from understood(unit)
            yield from hardened(unit)
            yield from credentials(unit, owners, places)


def understood(unit: Path) -> Iterator[Check]:
    """Every line means something to systemd, which fails silently on those that do not."""
    said = _analyze("verify", "--man=no", str(unit))
    if said is None:
        return
    mine = [line for line in said[1].splitlines() if "rebookd" in line]
    if mine:
        yield doubtful(NAME, f"systemd does not understand all of {unit}: {mine[0]}", f"sudoedit {unit}")
    else:
        yield fine(NAME, f"systemd understands {unit}")


def hardened(unit: Path) -> Iterator[Check]:
    """What the service could do to its machine."""
    said = _analyze("security", "--offline=true", str(unit))
    rating = re.search(r"exposure level for \S+: ([\d.]+)", said[0]) if said else None
    if rating is not None and float(rating[1]) > MOST_EXPOSED:
        yield doubtful(
            NAME,
            f"the unit leaves the service more rights than it needs (exposure {rating[1]} of 10)",
            f"install systemd/{unit.name} of this version again",
        )


def credentials(unit: Path, owners: Sequence[Settings], places: Sequence[Path] = PLACES) -> Iterator[Check]:
    """Every credential that the configuration asks for is loaded, from a file that is there."""
    files = [unit, *(one for place in places for one in sorted((place / f"{unit.name}.d").glob("*.conf")))]
    text = "\n".join(file.read_text(encoding="utf-8", errors="replace") for file in files)
    loaded = dict(re.findall(r"^LoadCredential(?:Encrypted)?=([^:\s]+):?(\S*)$", text, re.MULTILINE))
    secrets = [secret for one in owners for secret in one.secrets()]
    for name in sorted({one.value[0] for one in secrets if one.kind == "credential"}):
        if name not in loaded:
            yield wrong(
                NAME,
                f"the unit does not load the credential {name}",
                f"sudo systemctl edit {unit.stem}, and add: "
                f"LoadCredential={name}:/etc/rebookd/secrets/{name}",
            )
        elif loaded[name].startswith("/") and not _may_be_there(Path(loaded[name])):
            yield wrong(
                NAME,
                f"the credential {name} lies at {loaded[name]}, which is not there",
                f"sudo install -m 0600 /dev/stdin {loaded[name]}",
            )


def _may_be_there(path: Path) -> bool:
    """False only where it certainly is not: its folder may be closed to whoever asks."""
    try:
        path.stat()
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return True


def _analyze(*words: str) -> tuple[str, str] | None:
    """What ``systemd-analyze`` says on both outputs; None where it is not there."""
    program = shutil.which("systemd-analyze")
    if program is None:
        return None
    try:
        done = subprocess.run(  # nosec B603 # noqa: S603 - a program of the system, with words of ours
            [program, "--no-pager", *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout, done.stderr
