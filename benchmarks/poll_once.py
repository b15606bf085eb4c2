"""A process that opens the state, polls every account once, and ends: the reading half of ``run --once``."""

from __future__ import annotations

import sys
from pathlib import Path

from daemon.clock import SystemClock
from daemon.config.settings import load
from daemon.logs import configure
from daemon.office import Office
from daemon.store import open_store


def main(config: Path) -> int:
    """Poll; how many occurrences were stored goes to standard output, troubles make it fail."""
    configure(verbosity=-1)
    settings, clock = load(config), SystemClock()
    store = open_store(settings.state, clock.now())
    office = Office(settings, store, clock)
    office.start()
    reports = office.poll_all()
    office.close()
    store.close()
    print(sum(report.changed for report in reports))
    return int(not all(report.ok for report in reports))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
