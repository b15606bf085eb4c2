"""Webhooks: what is signed, what is certain, and what nobody knows."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime

import pytest

from connectors.base import (
    ConnectorError,
    NeedsLogin,
    Receipt,
    Rejected,
    Retryable,
    Uncertain,
    Unreachable,
)
from connectors.http import Limits
from connectors.webhook import Webhook, signed
from tests.support.fake_hook import Hook, serving
from tests.support.servers import free_port

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
BODY = json.dumps({"meeting": "Kickoff"}).encode()
QUICK = Limits(seconds=0.5, body_bytes=4096)


def tell(hook: Hook, secret: str = "s3cret", limits: Limits = QUICK) -> tuple[list[str], Receipt]:
    """Tell it something; how often it was committed to."""
    committed: list[str] = []
    receipt = Webhook(hook.url, lambda: secret, limits=limits).send(
        BODY, "a\x1fkey", NOW, lambda: committed.append("now")
    )
    return committed, receipt


def status(line: str, *headers: str) -> bytes:
    """An answer without a body."""
    return "\r\n".join((f"HTTP/1.1 {line}", *headers, "Content-Length: 0", "", "")).encode()


def test_what_is_told_is_signed_and_committed_to_once() -> None:
    """Standard Webhooks: id, timestamp and ``v1,`` signature over ``id.timestamp.body``."""
    with serving(Hook()) as hook:
        committed, receipt = tell(hook)
    assert committed == ["now"]
    assert receipt == Receipt(response="HTTP 204")
    [(headers, body)] = hook.heard
    assert body == BODY
    assert headers["content-type"] == "application/json"
    assert headers["webhook-timestamp"] == str(int(NOW.timestamp()))
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + BODY
    expected = base64.b64encode(hmac.new(b"s3cret", content, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert "key" not in headers["webhook-id"]


def test_the_specifications_own_example() -> None:
    """A ``whsec_`` secret is base64; the digest is the one its reference libraries test against."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = signed(b'{"test": 2432232314}', "k", datetime.fromtimestamp(1614265330, tz=UTC), secret)
    content = f"{headers['webhook-id']}.1614265330.".encode() + b'{"test": 2432232314}'
    assert headers["webhook-signature"] == "v1," + base64.b64encode(
        hmac.new(key, content, hashlib.sha256).digest()
    ).decode("ascii")
    known = hmac.new(key, b'msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232314}', hashlib.sha256)
    assert base64.b64encode(known.digest()) == b"g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    with pytest.raises(NeedsLogin, match="not base64"):
        signed(b"{}", "k", NOW, "whsec_?")


def test_the_same_key_has_the_same_id_whenever_it_is_told() -> None:
    """So that the other side can tell a repetition from news."""
    first, second = (signed(BODY, "k", at, "s") for at in (NOW, NOW.replace(hour=10)))
    assert first["webhook-id"] == second["webhook-id"] != signed(BODY, "other", NOW, "s")["webhook-id"]


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        (status("400 Bad Request"), Rejected, "refused what it was told"),
        (status("401 No", 'WWW-Authenticate: Basic realm="x"'), Rejected, "check the secret"),
        (status("404 Not Found"), Rejected, "check the url"),
        (status("302 Found", "Location: https://elsewhere.example/"), Rejected, "redirects elsewhere"),
        (status("307 Temporary", "Location: /other"), Rejected, "redirects elsewhere"),
        (status("429 Slow", "Retry-After: 120"), Retryable, "just now"),
        (status("503 Busy"), Retryable, "just now"),
        (status("500 Oops"), Uncertain, "told or not"),
        (status("502 Bad Gateway"), Uncertain, "told or not"),
        (b"", Uncertain, "told or not"),
        (b"garbage\r\n\r\n", Uncertain, "told or not"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n" + b"x" * 9999, Uncertain, "told or not"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx", Uncertain, "told or not"),
    ],
)
def test_each_answer_has_its_next_move(answer: bytes, error: type[ConnectorError], says: str) -> None:
    """Refused for good, to be tried again, or known to nobody; one request, never a second."""
    with serving(Hook(answer)) as hook, pytest.raises(error, match=says) as caught:
        tell(hook)
    assert type(caught.value) is error
    assert len(hook.heard) == 1
    assert getattr(caught.value, "retry_after", None) == (120 if b"429" in answer else None)
    assert "s3cret" not in str(caught.value)


def test_silence_ends_at_the_deadline() -> None:
    """A server that takes all and says nothing may have been told."""
    with serving(Hook(silent=True)) as hook, pytest.raises(Uncertain, match="within"):
        tell(hook, limits=Limits(seconds=0.2))


def test_nobody_there_means_certainly_not_told() -> None:
    """A refused connection commits to nothing."""
    hook = Hook(url=f"http://127.0.0.1:{free_port()}/")
    committed: list[str] = []
    with pytest.raises(Unreachable, match="cannot be reached"):
        Webhook(hook.url, lambda: "s").send(BODY, "k", NOW, lambda: committed.append("now"))
    assert committed == []


def test_an_error_of_the_fence_stops_the_message_unchanged() -> None:
    """Nothing of the body leaves when the commitment could not be made durable."""
    for error in (OSError("disk full"), ValueError("no"), KeyboardInterrupt()):
        with serving(Hook()) as hook, pytest.raises(type(error)) as caught:
            Webhook(hook.url, lambda: "s", limits=QUICK).send(BODY, "k", NOW, _raiser(error))
        assert caught.value is error
        assert hook.heard == []


def _raiser(error: BaseException) -> object:
    def committing() -> None:
        raise error

    return committing


@pytest.mark.parametrize("url", ["http://crm.example/", "ftp://crm.example/"])
def test_plain_http_elsewhere_is_refused(url: str) -> None:
    """Only this machine may be told in the clear."""
    with pytest.raises(ConnectorError):
        Webhook(url, lambda: "s")
