"""Microsoft's identity platform v2.0 on the wire, over HTTPS: stateful, and faulty on request.

Start with :func:`fake_entra` inside :func:`tests.support.authority.trusted`; ``entra.authority`` is what the
configuration names. People are made with ``entra.user(address)``, registrations with ``entra.app()``; who
sits at the browser and what they say are knobs (see :class:`FakeEntra`). Tokens are minted through
``entra.grants``, so that a Graph that shares them believes them. ``entra.fail(route, effect)`` makes things
go wrong, ``entra.requests`` is everything that came in.
"""

from tests.support.fake_entra.certificates import app_certificate
from tests.support.fake_entra.entra_errors import EntraError, refused, unavailable
from tests.support.fake_entra.server import fake_entra
from tests.support.fake_entra.world import PERSONAL, App, Device, FakeEntra, User

__all__ = [
    "PERSONAL",
    "App",
    "Device",
    "EntraError",
    "FakeEntra",
    "User",
    "app_certificate",
    "fake_entra",
    "refused",
    "unavailable",
]
