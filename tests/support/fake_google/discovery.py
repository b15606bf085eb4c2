"""The discovery documents bundled with the client library: routes, parameters, scopes, schemas."""

from __future__ import annotations

import functools
import importlib.util
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from tests.support.fake_google.errors import GoogleError, invalid
from tests.support.fake_google.times import is_rfc3339

APIS = {"calendar": "calendar.v3", "gmail": "gmail.v1", "meet": "meet.v2"}

Schema = dict[str, Any]


@functools.cache
def document(api: str) -> Schema:
    """The discovery document of ``calendar``, ``gmail`` or ``meet``."""
    spec = importlib.util.find_spec("googleapiclient")
    if spec is None or spec.origin is None:
        raise RuntimeError("google-api-python-client is not installed")
    folder = Path(spec.origin).parent / "discovery_cache" / "documents"
    found: Schema = json.loads((folder / f"{APIS[api]}.json").read_text())
    return found


def rerooted(api: str, root: str) -> Schema:
    """The document with every address under ``root`` (ends in a slash), for ``build_from_document``."""
    doc = dict(document(api))
    doc["rootUrl"] = root
    doc["baseUrl"] = root + doc["servicePath"]
    doc.pop("mtlsRootUrl", None)
    return doc


@dataclass(frozen=True)
class Method:
    """One method of one API. ``id`` is Google's name for it, ``calendar.events.list``."""

    id: str
    api: str
    verb: str
    pattern: re.Pattern[str]
    parameters: Schema
    request: str
    response: str
    scopes: frozenset[str]
    uploads: str = ""

    def arguments(self, query: dict[str, list[str]], path: dict[str, str]) -> dict[str, Any]:
        """Typed arguments. Raises GoogleError for what the method does not take."""
        found: dict[str, Any] = {name: unquote(value) for name, value in path.items()}
        for name, values in query.items():
            spec = self.parameters.get(name) or document(self.api)["parameters"].get(name)
            if name in ("uploadType", "upload_protocol") and self.uploads:
                continue
            if spec is None or spec.get("location") != "query":
                raise invalid(name, f"Unknown name {name!r}: cannot bind query parameter.")
            typed = [_typed(name, value, spec) for value in values]
            if len(typed) > 1 and not spec.get("repeated"):
                raise invalid(name, f"Parameter {name!r} is given more than once.")
            found[name] = typed if spec.get("repeated") else typed[0]
        return found


def _typed(name: str, value: str, spec: Schema) -> Any:
    kind = spec.get("type")
    if kind == "boolean":
        if value not in ("true", "false"):
            raise invalid(name, f"Invalid boolean value: '{value}'.")
        return value == "true"
    if kind == "integer":
        if not re.fullmatch(r"-?\d+", value):
            raise invalid(name, f"Invalid value '{value}'. Values must match the type integer.")
        number = int(value)
        if number < int(spec.get("minimum", number)) or number > int(spec.get("maximum", number)):
            raise invalid(name, f"Invalid value '{value}'. It is out of range.")
        return number
    if "enum" in spec and value not in spec["enum"]:
        raise invalid(name, f"Invalid value '{value}'. Values must be within {spec['enum']}.")
    if spec.get("format") == "date-time" and not is_rfc3339(value):
        raise GoogleError(400, "badRequest", "Bad Request", location=name)
    return value


def _pattern(prefix: str, method: Schema) -> re.Pattern[str]:
    """The method's path as a regular expression over the still percent-encoded path."""
    pieces = re.split(r"(\{\+?\w+\})", prefix + method["path"])
    made = ""
    for piece in pieces:
        if not piece.startswith("{"):
            made += re.escape(piece)
        elif piece.startswith("{+"):
            name = piece[2:-1]
            inner = method["parameters"][name].get("pattern", "^.+$").strip("^$")
            made += f"(?P<{name}>{inner})"
        else:
            made += f"(?P<{piece[1:-1]}>[^/]+)"
    return re.compile("/" + made)


@functools.cache
def methods() -> tuple[Method, ...]:
    """Every method of the three APIs."""
    found: list[Method] = []

    def walk(api: str, node: Schema) -> None:
        for method in node.get("methods", {}).values():
            upload = method.get("mediaUpload", {}).get("protocols", {}).get("simple", {}).get("path", "")
            found.append(
                Method(
                    id=method["id"],
                    api=api,
                    verb=method["httpMethod"],
                    pattern=_pattern(document(api)["servicePath"], method),
                    parameters=method.get("parameters", {}),
                    request=method.get("request", {}).get("$ref", ""),
                    response=method.get("response", {}).get("$ref", ""),
                    scopes=frozenset(method.get("scopes", ())),
                    uploads=upload,
                )
            )
        for child in node.get("resources", {}).values():
            walk(api, child)

    for api in APIS:
        walk(api, document(api))
    return tuple(found)


def find(verb: str, path: str) -> tuple[Method, dict[str, str]] | None:
    """The method behind a request, and its path arguments still percent-encoded."""
    plain = path.removeprefix("/upload") if path.startswith("/upload/") else path
    for method in methods():
        match = method.pattern.fullmatch(plain) if method.verb == verb else None
        if match:
            return method, match.groupdict()
    return None
