"""`rebookd run --worker`: what keeps a worker from starting is said in one sentence."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path

import pytest
from click.testing import CliRunner

from daemon.__main__ import main
from daemon.clock import SetClock
from daemon.cluster.node import Node
from daemon.crew import Crew
from daemon.deployment import Deployment
from daemon.engine import Key
from daemon.exits import Failure
from daemon.loop import Daemon
from daemon.store.errors import StoreAway, StoreError
from daemon.store.lock import lock
from tests.support.databases import empty_database
from tests.support.meetings import NOW
from tests.unit.test_deployment import write

MISSING = "postgresql://rebookd@/rebookd?host=/nonexistent"


@pytest.fixture(autouse=True)
def there(monkeypatch: pytest.MonkeyPatch) -> SetClock:
    """PostgreSQL's clock."""
    clock = SetClock(NOW)
    monkeypatch.setattr("daemon.store.postgresql.clock_of", lambda _: clock.now())
    return clock


def _deployment(folder: Path, node: Node) -> Deployment:
    return Deployment(folder, SetClock(NOW), make=node.make, shared=True)


def test_a_round_is_no_worker(tmp_path: Path) -> None:
    """The two options exclude each other."""
    write(tmp_path, "dana.yaml")
    done = CliRunner().invoke(main, ["--config", str(tmp_path), "run", "--once", "--worker"])
    assert done.exit_code == 2
    assert "leave out --once or --worker" in done.output


def test_without_the_extra_the_command_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Procrastinate comes with the extra."""
    from daemon.commands import work

    usual = find_spec
    monkeypatch.setattr(
        "daemon.commands.work.importlib.util.find_spec",
        lambda name: None if name == "procrastinate" else usual(name),
    )
    with pytest.raises(Failure, match=r"--worker needs procrastinate; install the extra: pipx install"):
        work._node()


def test_workers_want_a_database(tmp_path: Path) -> None:
    """A file is for one machine."""
    write(tmp_path, "dana.yaml")
    with pytest.raises(StoreError, match=r"state\.db is a file; write state: postgresql://"):
        _deployment(tmp_path, Node(SetClock(NOW))).open()


@pytest.mark.postgresql
def test_workers_want_one_database(tmp_path: Path) -> None:
    """The queue lies in it."""
    write(tmp_path, "dana.yaml", state=empty_database())
    write(tmp_path, "eli.yaml", state=empty_database())
    node = Node(SetClock(NOW))
    with closing(_deployment(tmp_path, node)) as deployment:
        deployment.open()
        with pytest.raises(StoreError, match="Workers share one database, and the owners name postgresql"):
            node.open(deployment)


@pytest.mark.postgresql
def test_a_worker_and_a_daemon_exclude_each_other(tmp_path: Path) -> None:
    """Whoever comes second is refused by name; two workers are welcome."""
    url = empty_database()
    write(tmp_path, "dana.yaml", state=url)
    with closing(_deployment(tmp_path, Node(SetClock(NOW)))) as one:
        one.open()
        with closing(_deployment(tmp_path, Node(SetClock(NOW)))) as other:
            other.open()
        with pytest.raises(StoreError, match=r"Another rebookd \(.+\) is already running"):
            Deployment(tmp_path, SetClock(NOW)).open()
    with lock(url), pytest.raises(StoreError, match=r"Another rebookd \(.+\) is already running"):
        _deployment(tmp_path, Node(SetClock(NOW))).open()


@pytest.mark.postgresql
def test_what_a_page_wishes_is_sent_by_any_worker(tmp_path: Path) -> None:
    """An answer at one node puts a delivery into everybody's queue."""
    url = empty_database()
    write(tmp_path, "dana.yaml", state=url)
    node = Node(SetClock(NOW))
    with closing(_deployment(tmp_path, node)) as deployment:
        deployment.open()
        node.open(deployment)
        try:
            (name,) = deployment.offices
            with deployment.offices[name].store.read() as conn:
                conn.exec_driver_sql("SELECT 1")
            node._nudge(name)
            node._nudge(name)
            assert node._queue is not None
            waiting = node._queue._app.job_manager.list_jobs(task="deliver")
            assert [job.task_kwargs for job in waiting] == [{"owner": name, "account": ""}]
        finally:
            node.close()


@pytest.mark.postgresql
def test_a_worker_rests_while_its_clock_is_not_postgresqls(tmp_path: Path, there: SetClock) -> None:
    """At the start it waits, later it takes nothing more; what it would do is left to the others."""
    write(tmp_path, "dana.yaml", state=empty_database())
    node = Node(SetClock(NOW))
    with closing(_deployment(tmp_path, node)) as deployment:
        deployment.open()
        there.at = NOW + timedelta(minutes=12)
        with pytest.raises(StoreAway, match="is 12 minutes behind PostgreSQL's; set it right"):
            node.open(deployment)
        there.at = NOW + timedelta(seconds=30)
        node.open(deployment)
        try:
            node.start({})
            first = node._worker
            there.at = NOW - timedelta(minutes=2)
            node.hold()
            assert first is not None
            assert first.join(20)
            node.hold()
            assert node._worker is first
            there.at = NOW
            node.hold()
            assert node._worker is not first
        finally:
            node.close()


def test_a_worker_waits_for_its_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Containers start in any order; a stop ends the wait."""
    write(tmp_path, "dana.yaml", state=MISSING)
    found = Daemon(tmp_path, SetClock(NOW), node=Node(SetClock(NOW)))
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        found._is_stopping = len(waits) == 3

    monkeypatch.setattr(found._never, "wait", wait)
    assert found._open() is False
    assert len(waits) == 3


class _Office:
    """As much of an office as a crew needs to decide."""

    def __init__(self, error: StoreError) -> None:
        self._error = error
        self.waits: list[float] = []
        self.stopping = self

    def wait(self, seconds: float) -> None:
        """Remember how long."""
        self.waits.append(seconds)

    def decide(self) -> None:
        """Fail."""
        raise self._error


def test_a_database_that_is_away_ends_no_crew(tmp_path: Path) -> None:
    """On one machine, too: it is waited for, and only a state that is of no use is the end."""
    away = Crew(_Office(StoreAway("away")))  # type: ignore[arg-type]
    away.tick()
    assert away.failure is None
    assert away.office.waits  # type: ignore[attr-defined]
    broken = Crew(_Office(StoreError("damaged")))  # type: ignore[arg-type]
    broken.tick()
    assert broken.failure is not None
    assert str(Key(owner="dana", account="own")) == "dana/own"


def test_a_worker_works_for_every_owner(tmp_path: Path) -> None:
    """What it takes from the queue may be anybody's, so it cannot be told to work for one."""
    write(tmp_path, "dana.yaml")
    done = CliRunner().invoke(main, ["--config", str(tmp_path), "--owner", "dana", "run", "--worker"])
    assert done.exit_code == 2
    assert "a worker works for every owner" in done.output
