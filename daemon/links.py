"""The addresses of the answer pages: signed, each for one purpose of one message to one person.

An address is all that is needed to answer for its recipient, as a reply to the mail would be. It holds the
message's number and a digest of what it is about (meeting, time, recipient, step), so that one of an
earlier life of the state file opens nothing else; and it names nobody.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from enum import StrEnum
from hashlib import sha256

from itsdangerous import BadSignature, Signer
from itsdangerous.signer import HMACAlgorithm

from connectors.base import ConnectorError, NeedsLogin
from daemon.config.secret import SecretUnavailable
from daemon.config.settings import DEFAULT, Settings
from daemon.own_keys import OwnKey
from daemon.store.deliveries import Delivery
from rules.delivery import AGAIN
from rules.policy import Do

CREDENTIAL = "rebookd-links"
"""The systemd credential that is taken where the configuration names no key."""

SHORTEST = 32
"""Characters that a key has at least."""

LONGEST = 200
"""No token of ours has this many characters."""

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_SALT = b"rebookd answers: "
_LARGEST = 1 << 63


class Purpose(StrEnum):
    """What a page is for."""

    CONFIRM = "c"
    PICK = "p"
    CHECK_IN = "i"
    STOP = "s"


_BY_ACTION = {
    Do.CONFIRM.value: Purpose.CONFIRM,
    Do.RESCHEDULE.value: Purpose.PICK,
    AGAIN: Purpose.PICK,
    Do.CHECK_IN.value: Purpose.CHECK_IN,
}


def purpose_of(do: str) -> Purpose | None:
    """The page that a message of this action leads to, if any."""
    return _BY_ACTION.get(do)


class _HalfHmac(HMACAlgorithm):
    """The first half of HMAC-SHA256 (RFC 2104 section 5): addresses stay short enough for a line of mail."""

    def get_signature(self, key: bytes, value: bytes) -> bytes:
        return super().get_signature(key, value)[:16]


class Links:
    """Makes and reads addresses below ``public_url``. The first key signs, every one is believed.

    What is signed for one ``tenant`` opens nothing of another's, whoever shares the key.
    """

    def __init__(self, public_url: str, keys: Sequence[str], tenant: str = DEFAULT) -> None:
        self._root = public_url.rstrip("/")
        self._salt = _SALT if tenant == DEFAULT else _SALT + f"{tenant}: ".encode()
        self._keys = [key.encode() for key in reversed(keys)]  # itsdangerous signs with the last

    def address(self, purpose: Purpose, delivery: Delivery) -> str:
        """Where a message's recipient answers it; the same each time."""
        return self.place(purpose, delivery.id, digest_of(delivery))

    def place(self, purpose: Purpose, delivery_id: int, digest: str) -> str:
        """The same of a message that is known by its number and digest."""
        return f"{self._root}{path_of(purpose, self.token(purpose, delivery_id, digest))}"

    def token(self, purpose: Purpose, delivery_id: int, digest: str) -> str:
        """What stands in an address: purpose and number, digest, signature."""
        word = f"{purpose}{_short(delivery_id)}.{digest}"
        return self.signer(b"link").sign(word).decode()

    def read(self, token: str) -> tuple[Purpose, int, str] | None:
        """Purpose, message and digest of a token of ours; None for any other text."""
        if len(token) > LONGEST or not token.isascii():
            return None
        try:
            word = self.signer(b"link").unsign(token).decode()
            name, _, digest = word.partition(".")
            purpose, number = Purpose(name[:1]), int(name[1:], 36)
        except (BadSignature, ValueError):
            return None
        return (purpose, number, digest) if 0 < number < _LARGEST else None

    def is_alike(self, other: Links) -> bool:
        """Whether one of these could read what the other made."""
        return self._salt == other._salt and not set(self._keys).isdisjoint(other._keys)

    def marks(self) -> list[str]:
        """What tells each key from others and gives nothing of it away; that of the signing one first."""
        made = [Links(self._root, [key.decode()]).signer(b"mark") for key in reversed(self._keys)]
        return [one.get_signature(b"").decode() for one in made]

    def signer(self, use: bytes) -> Signer:
        """Signs for one use, with a key derived for it alone; what it signed is nothing for another."""
        return Signer(self._keys, salt=self._salt + use, key_derivation="hmac", algorithm=_HalfHmac(sha256))


def example(public_url: str, purpose: Purpose) -> str:
    """What an address looks like, for a message that is only being shown; it opens nothing."""
    return f"{public_url}{path_of(purpose, 'only-in-the-mail')}"


def path_of(purpose: Purpose, token: str) -> str:
    """The path of a page."""
    return f"/{'stop' if purpose is Purpose.STOP else 'a'}/{token}"


def digest_of(delivery: Delivery) -> str:
    """What a message is about, as one short word."""
    digest = sha256(delivery.intent_key.encode("utf-8", "surrogatepass")).digest()
    return urlsafe_b64encode(digest[:9]).decode()


def is_about(delivery: Delivery, digest: str) -> bool:
    """Whether a digest is that of this message."""
    return hmac.compare_digest(digest_of(delivery), digest)


def links(settings: Settings) -> Links | None:
    """Those of a configuration, their key made at first need; None where it has no pages.

    Raises ConnectorError where there is no key to be had.
    """
    configured = settings.config.answers
    if configured is None:
        return None
    key = OwnKey(settings=settings, configured=configured.key, credential=CREDENTIAL, ending=".links-key")
    key.make()
    try:
        keys = key.read().split()
    except SecretUnavailable as error:
        raise NeedsLogin(f"The key that answer pages are signed with cannot be read: {error}.") from error
    if any(len(one) < SHORTEST for one in keys):
        raise ConnectorError(
            f"A key of the answer pages is shorter than {SHORTEST} characters; "
            "make one with: openssl rand -base64 32"
        )
    return Links(configured.public_url, keys, settings.tenant)


def _short(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits or "0"
