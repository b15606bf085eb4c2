"""The batch endpoint: many calls in one multipart/mixed request."""

from __future__ import annotations

from collections.abc import Callable
from email.parser import BytesParser
from email.policy import HTTP
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from tests.support.fake_google.errors import GoogleError
from tests.support.wire import Answer, Request

if TYPE_CHECKING:
    from tests.support.fake_google.world import FakeGoogle

_MOST = {"/batch/calendar/v3": 50}
_BOUNDARY = "batch_fake"


def serve(google: FakeGoogle, request: Request, dispatch: Callable[[FakeGoogle, Request], Answer]) -> Answer:
    """Answer every part by itself, in one multipart answer. Raises GoogleError."""
    kind = request.headers.get("content-type", "")
    whole = BytesParser(policy=HTTP).parsebytes(
        b"Content-Type: " + kind.encode() + b"\r\n\r\n" + request.body
    )
    if whole.get_content_type() != "multipart/mixed" or not whole.is_multipart():
        raise GoogleError(400, "badRequest", "Failed to parse batch request.")
    parts = list(whole.iter_parts())
    if len(parts) > _MOST.get(request.path, 100):
        raise GoogleError(400, "invalidArgument", "The batch request has too many calls.")
    made = b""
    for part in parts:
        payload = part.get_payload(decode=True)
        answer = dispatch(google, _inner(request, payload if isinstance(payload, bytes) else b""))
        if answer.dropped:
            return answer
        name = str(part["Content-ID"] or "").strip("<>")
        made += f"--{_BOUNDARY}\r\nContent-Type: application/http\r\n".encode()
        made += f"Content-ID: <response-{name}>\r\n\r\n".encode()
        made += f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}\r\n".encode()
        for header, value in answer.headers.items():
            made += f"{header}: {value}\r\n".encode()
        made += f"Content-Length: {len(answer.body)}\r\n\r\n".encode() + answer.body + b"\r\n"
    made += f"--{_BOUNDARY}--\r\n".encode()
    return Answer(200, made, {"Content-Type": f"multipart/mixed; boundary={_BOUNDARY}"})


def _inner(outer: Request, raw: bytes) -> Request:
    head, _, body = raw.replace(b"\r\n", b"\n").partition(b"\n\n")
    first, _, rest = head.decode().partition("\n")
    try:
        method, target, _ = first.split(" ")
    except ValueError as error:
        raise GoogleError(400, "badRequest", "Failed to parse batch request.") from error
    headers = {}
    for line in rest.splitlines():
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    headers.setdefault("authorization", outer.headers.get("authorization", ""))
    address = urlsplit(target)
    query = parse_qs(address.query, keep_blank_values=True)
    return Request(method, address.path, query, headers, body, batched=True)
