"""Whose turn it is to read an account: one read of it at a time, and how the last one went.

Whoever waits for fresh calendars shares the read that has not begun yet, so that a hundred visitors at once
cost two reads and not a hundred.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, wait

import structlog

log = structlog.get_logger()

PATIENCE = 8.0
"""Seconds that somebody who waits for an answer is kept waiting for the calendars."""


class Reading:
    """The turns of all accounts. Safe to share between threads."""

    def __init__(self, accounts: Iterable[str]) -> None:
        self._turns = {name: threading.Lock() for name in accounts}
        self._guard = threading.Lock()
        self._seen = dict.fromkeys(self._turns, False)
        self._news = False
        self._next: dict[str, Future[bool]] = {}

    def take(self, account: str, read: Callable[[], bool], begun: Callable[[], None] = lambda: None) -> None:
        """Read an account when its turn comes; ``read`` says whether all of it could be seen.

        ``begun`` is told when it starts.
        """
        with self._turns[account]:
            with self._guard:
                self._seen[account] = False
            begun()
            seen = read()
            with self._guard:
                self._seen[account] = seen
                self._news = True

    def anew(self, read: Callable[[str], bool], patience: float = PATIENCE) -> bool:
        """Read every account, from now on and side by side; whether all were seen in time."""
        with self._guard:
            reads = [self._joined(account, read) for account in self._turns]
        _, late = wait(reads, timeout=patience)
        return not late and all(one.exception() is None and one.result() for one in reads)

    def has_news(self) -> bool:
        """Whether every account is seen, and one was read since this was last asked."""
        with self._guard:
            news = self._news and all(self._seen.values())
            if news:
                self._news = False
            return news

    def _joined(self, account: str, read: Callable[[str], bool]) -> Future[bool]:
        """The read of an account that has not begun, or another one."""
        waiting = self._next.get(account)
        if waiting is None:
            waiting = self._next[account] = Future()
            threading.Thread(
                target=self._run, args=(account, read, waiting), name=f"read {account}", daemon=True
            ).start()
        return waiting

    def _run(self, account: str, read: Callable[[str], bool], promise: Future[bool]) -> None:
        result = False

        def begun() -> None:
            with self._guard:
                self._next.pop(account, None)

        def reading() -> bool:
            nonlocal result
            result = read(account)
            return result

        try:
            self.take(account, reading, begun)
        except Exception as error:
            log.exception("an account could not be read for somebody who waits", account=account)
            promise.set_exception(error)
        else:
            promise.set_result(result)
