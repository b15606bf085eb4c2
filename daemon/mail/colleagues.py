"""When the people of a meeting are busy, where the account that holds it can see that."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog

from connectors.base import CalendarConnector, ConnectorError, FreeBusy
from rules.model import Address, Interval

log = structlog.get_logger()


class Colleagues:
    """Asks the calendars of one configuration. For one thread, as its connectors are.

    ``connect`` gives an account's connector.
    """

    def __init__(self, connect: Callable[[str], CalendarConnector]) -> None:
        self._connect = connect

    def busy(self, account: str, people: Sequence[Address], span: Interval) -> list[Interval]:
        """When one of them is known to be busy. Never raises: whoever cannot be seen hinders nothing."""
        try:
            connector = self._connect(account)
            if not people or not isinstance(connector, FreeBusy):
                return []
            found = connector.free_busy(people, span)
        except ConnectorError as error:
            log.info("the times of others cannot be seen", account=account, error=str(error))
            return []
        return [one for some in found.values() if some is not None for one in some]
