"""What the domain that mails come from says of itself in the DNS: SPF, DKIM and DMARC."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property

import dns.exception
import dns.resolver

from daemon.doctor.checks import Check, doubtful, fine, wrong

NAME = "dns"

SECONDS = 4.0
"""How long one question may take."""

SELECTORS = (
    "default",
    "google",
    "selector1",
    "selector2",
    "mail",
    "dkim",
    "k1",
    "s1",
    "fm1",
    "protonmail",
)
"""Names under which providers usually keep a DKIM key; which one is used stands in no public place."""


class _Unanswered(Exception):
    """Nobody could say."""


class Domain:
    """Asks about one domain. ``resolver`` is the machine's own unless a test has another."""

    def __init__(self, domain: str, resolver: dns.resolver.Resolver | None = None) -> None:
        self._domain = (
            domain.rstrip(".").encode("idna").decode() if not domain.isascii() else domain.rstrip(".")
        )
        self._given = resolver

    @cached_property
    def _resolver(self) -> dns.resolver.Resolver:
        made = self._given or dns.resolver.Resolver()
        made.lifetime = SECONDS
        return made

    def checks(self) -> Iterator[Check]:
        """All three; one doubtful finding where the DNS does not answer."""
        try:
            yield self.spf()
            yield self.dkim()
            yield self.dmarc()
        except _Unanswered as error:
            yield doubtful(
                NAME, f"the DNS does not answer ({error})", "try again later; see /etc/resolv.conf"
            )

    def spf(self) -> Check:
        """Which servers may send for the domain (RFC 7208)."""
        name = self._domain
        found = [one for one in self._texts(name) or [] if re.match(r"v=spf1( |$)", one, re.IGNORECASE)]
        if not found:
            return doubtful(
                NAME,
                f"{name} has no SPF record, so mails from it may end as spam",
                f'ask your mail provider for it; a TXT record of {name} such as "v=spf1 include:… -all"',
            )
        if len(found) > 1:
            return wrong(
                NAME, f"{name} has {len(found)} SPF records, which counts as none", "keep one of them"
            )
        if re.search(r" \+?all$", found[0], re.IGNORECASE):
            return doubtful(NAME, f"the SPF record of {name} lets everybody send", "end it with ~all or -all")
        return fine(NAME, f"{name} has an SPF record")

    def dkim(self) -> Check:
        """Whether the domain signs its mails (RFC 6376), as far as can be seen from here."""
        name = f"_domainkey.{self._domain}"
        for selector in SELECTORS:
            texts = self._texts(f"{selector}.{name}") or []
            if any(re.search(r"\bp=[A-Za-z0-9+/]", one) for one in texts):
                return fine(NAME, f"{self._domain} has a DKIM key ({selector})")
        if self._texts(name) is None:
            return doubtful(
                NAME,
                f"{self._domain} has no DKIM key, so mails from it may end as spam",
                "turn DKIM on at your mail provider",
            )
        return fine(NAME, f"{self._domain} has DKIM keys, under names that are not the usual ones")

    def dmarc(self) -> Check:
        """What receivers shall do with mails that fail both (RFC 7489): of the domain, or one above it."""
        labels = self._domain.split(".")
        for start in range(max(1, len(labels) - 1)):
            name = ".".join(labels[start:])
            found = [one for one in self._texts(f"_dmarc.{name}") or [] if one.lower().startswith("v=dmarc1")]
            if len(found) > 1:
                return wrong(
                    NAME, f"{name} has {len(found)} DMARC records, which counts as none", "keep one of them"
                )
            if found:
                return fine(NAME, f"{name} has a DMARC record")
        return doubtful(
            NAME,
            f"{self._domain} has no DMARC record; large providers want one",
            f'add a TXT record of _dmarc.{self._domain}: "v=DMARC1; p=none"',
        )

    def _texts(self, name: str) -> list[str] | None:
        """The TXT records of a name; empty where it has none, None where nothing is at or below it."""
        try:
            answer = self._resolver.resolve(name, "TXT", search=False)
        except dns.resolver.NXDOMAIN:
            return None
        except dns.resolver.NoAnswer:
            return []
        except (dns.exception.DNSException, OSError) as error:
            raise _Unanswered(f"{name}: {type(error).__name__}") from error
        return [b"".join(row.strings).decode("utf-8", "replace") for row in answer]
