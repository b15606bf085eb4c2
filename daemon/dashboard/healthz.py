"""Whether all is well, for a machine that asks. It names nobody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from starlette.responses import JSONResponse, Response

from daemon import health
from daemon.beats import Beats
from daemon.office import Office
from daemon.store.errors import StoreError

GRAVITY = (health.OK, health.DEGRADED, health.STUCK)


def told(offices: Iterable[tuple[Office, Beats]], missing: int = 0) -> Response:
    """How these offices stand together: the worst of them. ``missing`` owners have none at all."""
    try:
        found = [_look(office, beats) for office, beats in offices]
    except StoreError:
        return JSONResponse({"status": "unreadable"}, status_code=503)
    words = [one.word for one in found] + ([health.DEGRADED] if missing else [])
    stuck = sum(len(one.stuck) for one in found)
    outbox: Counter[str] = Counter()
    for one in found:
        outbox.update({state.value: count for state, count in one.outbox.items()})
    body: dict[str, object] = {
        "status": max(words, key=GRAVITY.index),
        "stuck": stuck,
        "accounts": sum(len(one.accounts) for one in found),
        "stale": sum(account.stale for one in found for account in one.accounts),
        "outbox": dict(sorted(outbox.items())),
    }
    if len(found) > 1 or missing:
        body |= {"owners": len(found), "missing": missing}
    return JSONResponse(body, status_code=503 if stuck else 200)


def _look(office: Office, beats: Beats) -> health.Health:
    with office.store.read() as conn:
        return health.look(conn, office.settings, office.clock.now(), beats.stuck())
