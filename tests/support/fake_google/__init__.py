"""A Google on the wire: sign-in, Calendar v3, Gmail v1 and Meet v2, stateful, and faulty on request.

Start with :func:`fake_google`; ``google.root`` is the endpoint for all three APIs. People are made with
``google.user(address)``, their events with ``user.primary.event(…)``; what others do by hand is
``google.answer``, ``move``, ``edit``, ``cancel`` and ``delete_own_copy``. ``google.fail(route, effect)``
makes things go wrong, ``google.requests`` is everything that came in.
"""

from tests.support.fake_google import faults
from tests.support.fake_google.discovery import rerooted
from tests.support.fake_google.events import Calendar
from tests.support.fake_google.faults import Effect, Fault
from tests.support.fake_google.server import fake_google
from tests.support.fake_google.world import FakeGoogle, Notice, User
from tests.support.wire import Answer, Request

__all__ = [
    "Answer",
    "Calendar",
    "Effect",
    "FakeGoogle",
    "Fault",
    "Notice",
    "Request",
    "User",
    "fake_google",
    "faults",
    "rerooted",
]
