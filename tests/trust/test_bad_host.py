"""P1 and P2 on a machine in a bad state: rebookd refuses or holds in one sentence; doctor names the cure."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from daemon.exits import FAILED, SIGN_IN_NEEDED
from tests.support import prefork, strace
from tests.support.house import House, house
from tests.support.lives import Lives
from tests.support.verdict import OWNER, arrivals, judge
from tests.trust.conftest import Trial

Hurt = Callable[[House], None]


@dataclass(frozen=True)
class Trouble:
    """What is done to the machine, how rebookd ends then and what it says, and what doctor names as cure."""

    name: str
    hurt: Hurt
    code: int
    says: str
    cure: str
    as_nobody: bool = False


def _empty(place: House) -> None:
    place.state.write_bytes(b"")


def _noise(place: House) -> None:
    whole = bytearray(place.state.read_bytes())
    for page in range(1, len(whole) // 4096):
        whole[page * 4096 : page * 4096 + 64] = b"\xff" * 64
    place.state.write_bytes(whole)


def _unindexed(place: House) -> None:
    """The index that keeps a mail from being queued twice knows nothing of what was queued."""
    with closing(sqlite3.connect(place.state, isolation_level=None)) as state:
        (index,) = state.execute(
            "SELECT rootpage FROM sqlite_master WHERE type = 'index' AND tbl_name = 'deliveries'"
            " AND name IN (SELECT name FROM pragma_index_list('deliveries') WHERE \"unique\")"
        ).fetchone()
        state.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
    whole = bytearray(place.state.read_bytes())
    whole[(index - 1) * 4096 : (index - 1) * 4096 + 8] = b"\x0a" + bytes(4) + b"\x10\x00" + bytes(1)
    place.state.write_bytes(whole)


def _cut(place: House) -> None:
    whole = place.state.read_bytes()
    place.state.write_bytes(whole[: len(whole) // 2])


def _foreign(place: House) -> None:
    place.state.unlink()
    with closing(sqlite3.connect(place.state)) as other:
        other.execute("CREATE TABLE meta (key TEXT, value TEXT)").close()


def _gone(place: House) -> None:
    place.state.rename(place.folder / "elsewhere.db")
    (place.folder / "state.db-wal").write_bytes(b"x" * 100)


def _over_its_journal(place: House) -> None:
    with (
        closing(sqlite3.connect(place.state)) as state,
        closing(sqlite3.connect(place.folder / "old")) as old,
    ):
        state.backup(old)
        old.execute("PRAGMA journal_mode=DELETE").close()
    shutil.copy(place.folder / "old", place.state)
    (place.folder / "state.db-wal").write_bytes(b"x" * 100)


def _no_password(place: House) -> None:
    _configure(place, "{env: DAV_PASSWORD}", "{file: dav.password}")


def _closed_password(place: House) -> None:
    (place.folder / "dav.password").write_text(place.dav.password)
    (place.folder / "dav.password").chmod(0o600)
    _configure(place, "{env: DAV_PASSWORD}", "{file: dav.password}")
    for each in (place.folder, *place.folder.glob("state.db*"), place.folder / "clock"):
        each.chmod(0o777 if each.is_dir() else 0o666)


def _closed_folder(place: House) -> None:
    place.folder.chmod(0o755)


def _closed_file(place: House) -> None:
    place.folder.chmod(0o777)
    for each in place.folder.glob("state.db.*"):
        each.chmod(0o666)
    place.state.chmod(0o444)


def _configure(place: House, old: str, new: str) -> None:
    file = place.folder / "config.yaml"
    file.write_text(file.read_text().replace(old, new))


TROUBLES = (
    Trouble("zero-length", _empty, FAILED, "no longer knows whom it mailed", "restore"),
    Trouble("noise in each page", _noise, FAILED, "restore it from a backup", "restore"),
    Trouble("an index without its entries", _unindexed, FAILED, "restore it from a backup", "restore"),
    Trouble("cut in half", _cut, FAILED, "restore it from a backup", "restore"),
    Trouble("another program's", _foreign, FAILED, "not a state file of rebookd", "restore"),
    Trouble("gone", _gone, FAILED, "put the file back", "restore"),
    Trouble("put over its journal", _over_its_journal, FAILED, "rebookd restore", "restore"),
    Trouble("no credential", _no_password, SIGN_IN_NEEDED, "cannot be read", "install -m 0600"),
    Trouble(
        "credential of root's", _closed_password, SIGN_IN_NEEDED, "Permission denied", "install -m 0600", True
    ),
    Trouble("folder of root's", _closed_folder, FAILED, "cannot be written", "chown", True),
    Trouble("file of root's", _closed_file, FAILED, "write access", "chown", True),
)


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that everybody can enter, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.promise("P1, P2", "state empty, damaged, gone or closed, credentials missing or closed")
def test_a_bad_machine_costs_no_mail_and_doubles_none(trial: Trial) -> None:
    """Each time nothing leaves, rebookd says why in one sentence, and doctor names what mends it."""
    played = [one for one in TROUBLES if os.getuid() == 0 or not one.as_nobody]
    chosen = played if trial.full else played[:: max(1, len(played) // 4)]
    wanted: set[tuple[str, str]] = set()
    with open_folder() as folder, house(folder) as place:
        lives = Lives(place)
        for trouble in chosen:
            _round(lives)
            kept = folder / "kept"
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(place.folder, kept)
            number = len(wanted)
            uid, address = f"meeting-{number}", f"guest{number}@acme.example"
            place.put(uid, 72 + number / 20, to=address)
            wanted.add((uid, address))
            trouble.hurt(place)
            _refused(place, trouble)
            _named(place, trouble)
            _mend(place, kept)
        lives.settle()
        verdict = judge(place, wanted, lives.restarts)
    trial.saw(f"{len(chosen)} troubles", f"nothing left, each cure named; then {verdict}")


def _round(lives: Lives) -> None:
    process = lives.begin("run", "--once")
    process.join(strace.PATIENCE)
    assert process.exitcode == 0, (lives.place.folder / "said").read_text()
    lives.later(300)


def _refused(place: House, trouble: Trouble) -> None:
    before = _to_guests(place)
    code, _, said = _run(place, trouble, "-q", "run", "--once")
    assert code == trouble.code, (trouble.name, code, said)
    assert trouble.says in said, (trouble.name, said)
    plain = [line for line in said.splitlines() if not line.startswith("{")]
    assert len(plain) == 1, said
    assert plain[0].startswith("rebookd: "), said
    assert "should not have happened" not in plain[0], said
    assert _to_guests(place) == before, f"{trouble.name}: a mail left"


def _to_guests(place: House) -> int:
    """How many mails left but those that tell the owner of the trouble."""
    return sum(one.to != (OWNER,) for one in arrivals(place))


def _named(place: House, trouble: Trouble) -> None:
    code, said, more = _run(place, trouble, "doctor", "--json")
    assert said, (trouble.name, more)
    told = json.loads(said)
    problems = [one for one in told["checks"] if one["state"] == "problem"]
    assert code == FAILED, (trouble.name, said)
    assert any(trouble.cure in one["cure"] for one in problems), (trouble.name, problems)


def _run(place: House, trouble: Trouble, *words: str) -> tuple[int, str, str]:
    """The exit code, and what was said on both outputs."""
    outputs = [place.folder.parent / name for name in ("stdout", "stderr")]
    for output in outputs:
        output.write_text("")
        output.chmod(0o666)
    process = prefork.start(
        "tests.support.as_nobody" if trouble.as_nobody else "daemon",
        place.command(*words)[1:],
        environment=place.environment(),
        stdout=str(outputs[0]),
        stderr=str(outputs[1]),
    )
    process.join(strace.PATIENCE)
    assert process.exitcode is not None, "it does not end"
    return process.exitcode, outputs[0].read_text(), outputs[1].read_text()


def _mend(place: House, kept: Path) -> None:
    """Everything as it was before, without the clock going back."""
    for each in place.folder.iterdir():
        if each.name != "clock":
            each.unlink()
    for each in kept.iterdir():
        if each.name != "clock":
            shutil.copy2(each, place.folder / each.name)
    place.folder.chmod(0o755)
