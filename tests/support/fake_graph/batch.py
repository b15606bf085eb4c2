"""``$batch``: up to twenty requests in one, each with its own answer."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from tests.support.fake_graph.graph_errors import invalid
from tests.support.wire import Answer, Request

if TYPE_CHECKING:
    from tests.support.fake_graph.world import FakeGraph

Json = dict[str, Any]
_MOST = 20


def serve(graph: FakeGraph, request: Request, dispatch: Callable[[FakeGraph, Request], Answer]) -> Answer:
    """Answer every request by itself, in one answer that is 200 whatever came of them. Raises GraphError."""
    try:
        asked = json.loads(request.body)["requests"]
        inner = [(str(each["id"]), _inner(request, each)) for each in asked]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise invalid("Invalid batch payload format.", "BadRequest") from error
    if len(inner) > _MOST:
        message = f"Number of batch request steps exceeds the maximum value of '{_MOST}'."
        raise invalid(message, "MaximumValueExceeded")
    if len({name for name, _ in inner}) < len(inner) or not inner:
        raise invalid("Request Id is either missing, duplicate or null.", "BadRequest")
    made = []
    for name, each in inner:
        answer = dispatch(graph, each)
        if answer.dropped:
            return answer
        made.append(_response(name, answer))
    return Answer.of(200, {"responses": made}, {"Content-Type": "application/json"})


def _inner(outer: Request, given: Json) -> Request:
    address = urlsplit(str(given["url"]))
    if address.scheme or address.netloc:
        raise ValueError(given["url"])
    headers = {str(name).lower(): str(value) for name, value in given.get("headers", {}).items()}
    headers["authorization"] = outer.headers.get("authorization", "")
    body = json.dumps(given["body"]).encode() if "body" in given else b""
    path = "/v1.0/" + address.path.lstrip("/")
    query = parse_qs(address.query, keep_blank_values=True)
    return Request(str(given["method"]).upper(), path, query, headers, body, batched=True)


def _response(name: str, answer: Answer) -> Json:
    made: Json = {"id": name, "status": answer.status, "headers": answer.headers}
    if not answer.body:
        return made
    try:
        return made | {"body": json.loads(answer.body)}
    except ValueError:
        return made | {"body": base64.b64encode(answer.body).decode()}
