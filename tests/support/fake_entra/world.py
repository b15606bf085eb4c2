"""What Microsoft's identity platform knows: tenants, people, apps, what was allowed, and what it gave out."""

from __future__ import annotations

import secrets
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.fake_entra.entra_errors import EntraError
from tests.support.faults import Effect, Fault
from tests.support.grants import Grants
from tests.support.wire import Request

PERSONAL = "9188040d-6c67-4c5b-b112-36a304b66dad"
SHARED = frozenset({"common", "organizations", "consumers"})
OIDC = frozenset({"openid", "profile", "email", "offline_access"})
WORK_ONLY = frozenset({"OnlineMeetings.Read", "OnlineMeetingArtifact.Read.All"})
"""Permissions that personal accounts do not know."""


@dataclass(frozen=True)
class User:
    """A person: their address, their id, and the tenant they belong to."""

    address: str
    id: str
    tenant: str

    @property
    def personal(self) -> bool:
        """Whether they belong to no organisation."""
        return self.tenant == PERSONAL


@dataclass
class App:
    """A registration. ``public`` ones sign people in without a secret. ``roles`` are its own permissions."""

    client_id: str
    public: bool
    secret: str
    certificate: str
    redirects: tuple[str, ...]
    roles: frozenset[str]


@dataclass
class Given:
    """A code or a refresh token on its way: whose, for which app, with which scopes.

    ``dead`` is the number of the error it meets with.
    """

    user: User
    app: App
    tenant: str
    scopes: tuple[str, ...]
    redirect: str = ""
    challenge: str = ""
    nonce: str = ""
    expires: datetime | None = None
    dead: int = 0


@dataclass
class Device:
    """A code that waits to be entered. ``by`` is who did, ``answer`` the number of what came of it else."""

    app: App
    tenant: str
    scopes: tuple[str, ...]
    user_code: str
    expires: datetime
    by: User | None = None
    answer: int = 70016


class FakeEntra:
    """The state and its knobs.

    ``signs_in`` is who sits at the browser (None: the first user); ``declines`` makes them say no.
    ``needs_admin`` are permissions that only an administrator may allow, ``ignores`` those that are left out
    without a word. ``lifetime`` is an access token's. ``rotates`` makes a used refresh token useless;
    ``lasting`` gives any at all. ``interval`` is how often a device may ask. ``prefix`` is put before the
    names of scopes in answers. ``problems`` collects what must never happen.
    """

    def __init__(self, now: Callable[[], datetime] | None = None, grants: Grants | None = None) -> None:
        self.authority = ""
        self.now = now or (lambda: datetime.now(UTC))
        self.grants = grants or Grants()
        self.lock = threading.RLock()
        self.stopping = threading.Event()
        self.tenants: dict[str, str] = {}
        self.users: dict[str, User] = {}
        self.apps: dict[str, App] = {}
        self.consents: dict[tuple[str, str], set[str]] = {}
        self.codes: dict[str, Given] = {}
        self.refreshes: dict[str, Given] = {}
        self.devices: dict[str, Device] = {}
        self.requests: list[Request] = []
        self.faults: list[Fault] = []
        self.problems: list[str] = []
        self.signs_in: User | None = None
        self.declines = False
        self.needs_admin: frozenset[str] = frozenset()
        self.ignores: frozenset[str] = frozenset()
        self.lifetime = timedelta(seconds=3599)
        self.rotates = True
        self.lasting = True
        self.interval = 5
        self.prefix = ""

    def tenant(self, domain: str) -> str:
        """The id of an organisation's tenant."""
        return self.tenants.setdefault(domain, str(uuid.uuid4()))

    def user(self, address: str, *, tenant: str = "", personal: bool = False) -> User:
        """A person, of the tenant of their domain unless said otherwise."""
        where = PERSONAL if personal else self.tenant(tenant or address.rpartition("@")[2])
        made = self.users[address] = User(address, str(uuid.uuid4()), where)
        return made

    def app(
        self,
        client_id: str = "",
        *,
        public: bool = True,
        secret: str = "",
        certificate: str = "",
        redirects: tuple[str, ...] = ("http://localhost",),
        roles: frozenset[str] = frozenset(),
    ) -> App:
        """A registration; one with a secret or a certificate (PEM) may sign in for itself with ``roles``."""
        client_id = client_id or str(uuid.uuid4())
        alone = public and not secret and not certificate
        made = self.apps[client_id] = App(client_id, alone, secret, certificate, redirects, roles)
        return made

    def fail(
        self,
        route: str,
        effect: Effect,
        *,
        times: int | None = 1,
        after: int = 0,
        when: Callable[[Request], bool] | None = None,
    ) -> Fault:
        """Make a route go wrong: ``configuration``, ``discovery``, ``authorize``, ``token``, ``devicecode``.

        None times: for ever.
        """
        made = Fault(route, effect, times, after, None, when)
        self.faults.append(made)
        return made

    def count(self, route: str) -> int:
        """How many requests a route had."""
        return sum(each.route == route for each in self.requests)

    def allow(self, user: User, app: App, *scopes: str) -> None:
        """Somebody, or an administrator for them, allowed these before."""
        self.consents.setdefault((user.id, app.client_id), set()).update(scopes)

    def kill(self, address: str, code: int = 50173) -> None:
        """Every sign-in of theirs meets with this error from now on."""
        for given in self.refreshes.values():
            if given.user.address == address:
                given.dead = code

    def enter(self, user_code: str, user: User | None = None) -> None:
        """Somebody enters a device's code, and accepts or declines."""
        device = next(each for each in self.devices.values() if each.user_code == user_code)
        by = user or self.person()
        try:
            self.consent(by, device.app, device.scopes)
            device.by = by
        except EntraError as error:
            device.answer = error.code

    def person(self) -> User:
        """Who sits at the browser."""
        return self.signs_in or next(iter(self.users.values()))

    def found_tenant(self, name: str) -> str:
        """The id of a tenant of the path, or the word for several. Raises EntraError."""
        if name in SHARED or name == PERSONAL or name in self.tenants.values():
            return name
        if name not in self.tenants:
            raise EntraError(90002, name)
        return self.tenants[name]

    def found_app(self, client_id: str) -> App:
        """The app. Raises EntraError."""
        if client_id not in self.apps:
            raise EntraError(700016, client_id)
        return self.apps[client_id]

    def consent(self, user: User, app: App, asked: tuple[str, ...]) -> None:
        """The page that asks for it. Raises EntraError."""
        wanted = {scope for scope in map(short, asked) if scope not in OIDC} - self.ignores
        if user.personal and wanted & WORK_ONLY:
            raise EntraError(70011, min(wanted & WORK_ONLY))
        known = self.consents.setdefault((user.id, app.client_id), set())
        if wanted - known and self.declines:
            raise EntraError(65004)
        if (wanted - known) & self.needs_admin:
            raise EntraError(90094)
        known |= wanted

    def grant(self, user: User, app: App, asked: tuple[str, ...]) -> tuple[str, str]:
        """An access token for all that was ever allowed, and its scopes. Raises EntraError."""
        known = self.consents.get((user.id, app.client_id), set())
        wanted = {scope for scope in map(short, asked) if scope not in OIDC} - self.ignores
        if not wanted <= known:
            raise EntraError(65001, app.client_id, suberror="consent_required")
        told = [self.prefix + scope for scope in sorted(known)]
        return self.grants.mint(user.address, *known), " ".join([*told, "profile", "openid", "email"])

    def refresh_token(self, given: Given) -> str:
        """A new one, for the same."""
        made = f"1.{secrets.token_urlsafe(24)}"
        self.refreshes[made] = given
        return made


def short(scope: str) -> str:
    """A permission's name without the resource before it."""
    return scope.rpartition("/")[2]


Body = dict[str, Any]
"""JSON."""
